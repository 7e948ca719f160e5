"""What an app is given beside its image: environment and limits. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from funai.contract.app_settings import RESERVED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True)
class AppSettings:
    """Environment and limits of an app. Any value of the environment may be a secret."""

    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    #: None, as below: what the node gives each app.
    memory_mib: int | None = None
    #: Thousandths of a CPU.
    cpus_milli: int | None = None

    @property
    def is_default(self) -> bool:
        """Whether nothing is given at all, as by callers of an earlier contract."""
        return not self.environment and self.memory_mib is None and self.cpus_milli is None

    def pack(self) -> bytes:
        """Return the settings as bytes, the same for the same settings."""
        values = [dict(self.environment), self.memory_mib, self.cpus_milli]
        return json.dumps(values, sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def unpack(cls, content: bytes) -> AppSettings:
        """Return the settings that were packed."""
        return cls(*json.loads(content))

    @classmethod
    def of_container(
        cls, variables: Iterable[str], memory_mib: int | None, cpus_milli: int | None
    ) -> AppSettings:
        """Return what gives a container of the same image what this one has.

        :param variables: ``NAME=value``, those of its image among them
        """
        pairs = (variable.partition("=") for variable in variables)
        found = {name: value for name, _, value in pairs if name and name not in RESERVED}
        return cls(found, memory_mib, cpus_milli)
