"""What the steps need to know to fetch, build and push. No secrets: only where they are kept."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

MIB = 1024 * 1024


@dataclass(frozen=True)
class BuildSettings:
    """Travels from the supervisor to the steps in the job's file, under ``build``."""

    #: Host of the registry that images are pushed to; empty where this runner builds nothing.
    registry: str = ""
    namespace: str = "funai"
    #: In the form of docker's ``config.json``, with the account that may push.
    registry_auth_file: str = ""
    registry_tls_verify: bool = True
    git_key_file: str = ""
    git_known_hosts_file: str = ""
    #: JSON, ``{"host": {"username": ..., "password": ...}}``.
    git_credentials_file: str = ""
    #: Empty: any host but this one, its link-local neighbours and the denied addresses.
    git_allowed_hosts: tuple[str, ...] = ()
    git_allow_http: bool = False
    archive_allowed_hosts: tuple[str, ...] = ()
    #: Networks that nothing is fetched from unless a list above names the host.
    fetch_denied_addresses: tuple[str, ...] = ()
    builder_socket: str = "/run/funai-builder/build.sock"
    #: Where base images without a registry's name come from; empty: as the builder is set.
    mirror_prefix: str = ""
    #: Certificates to trust; empty: the system's.
    ca_file: str = ""
    source_max_mib: int = 1024
    context_max_mib: int = 512
    build_disk_mib: int = 4096

    @property
    def source_max_bytes(self) -> int:
        """How large a repository or archive may be as it comes over the network."""
        return self.source_max_mib * MIB

    @property
    def context_max_bytes(self) -> int:
        """How large the files may be that are built from."""
        return self.context_max_mib * MIB

    def to_json(self) -> dict[str, Any]:
        """Render for the job's file."""
        return asdict(self)

    @classmethod
    def from_json(cls, found: object) -> BuildSettings:
        """Read from a job's file, where each may be left out."""
        given = found if isinstance(found, dict) else {}
        known = {field.name: given[field.name] for field in fields(cls) if field.name in given}
        for name in ("git_allowed_hosts", "archive_allowed_hosts", "fetch_denied_addresses"):
            if name in known:
                known[name] = tuple(map(str, known[name]))
        return cls(**known)
