"""Image references, taken apart. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from funai.contract.source_rules import names_host

DEFAULT_REGISTRY = "docker.io"


@dataclass(frozen=True)
class Reference:
    """``[registry/]path[:tag][@digest]``."""

    #: Registry and path as they were written, which is how the engine lists them.
    name: str
    registry: str
    tag: str
    digest: str

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Take a reference apart; without tag and digest the tag is ``latest``."""
        rest, _, digest = text.partition("@")
        name, colon, tag = rest.rpartition(":")
        if not colon or "/" in tag:
            name, tag = rest, ""
        first = name.partition("/")[0]
        return cls(
            name=name,
            registry=first if names_host(name) else DEFAULT_REGISTRY,
            tag=tag or ("" if digest else "latest"),
            digest=digest,
        )

    def at(self, digest: str) -> Reference:
        """Return the same reference, pinned."""
        return replace(self, digest=digest)

    @property
    def by_digest(self) -> str:
        """``name@digest``."""
        return f"{self.name}@{self.digest}"

    @property
    def by_tag(self) -> str:
        """``name:tag``."""
        return f"{self.name}:{self.tag}"
