"""Settings of the builder, read once from the environment (``/etc/funai-builder/builder.env``)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from funai.builder.model import MIB

if TYPE_CHECKING:
    from collections.abc import Mapping

_LARGEST = 1 << 50
STORAGE_DRIVERS = ("auto", "overlay", "fuse-overlayfs", "vfs")


class ConfigError(Exception):
    """A setting is malformed; the message names it."""


@dataclass(frozen=True)
class Settings:
    """Everything the builder can be told from outside; a request can only ask for less."""

    #: Storage, folders of builds and results; on a file system with room for all of them.
    state_dir: Path = Path("/var/lib/funai-builder")
    #: What storage keeps until the next boot.
    run_dir: Path = Path("/run/funai-builder-storage")
    #: How layers are put together; auto: the first that works, tried once.
    storage_driver: str = "auto"
    #: Account for pulling base images; without one, only public images can be used.
    auth_file: Path | None = None
    mirror_prefix: str = ""
    #: Registries that base images may come from; empty: any.
    base_registries: tuple[str, ...] = ()
    timeout_seconds: int = 900
    output_bytes: int = 16 * MIB
    disk_bytes: int = 4096 * MIB
    #: Free space below which no build begins and those that run are ended.
    disk_reserve_bytes: int = 1024 * MIB
    #: Bytes of layers that stay as a cache, and days after which an unused image goes anyway.
    cache_bytes: int = 10240 * MIB
    cache_days: int = 14
    #: Builds of each app whose own layers stay.
    kept_builds: int = 3

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Settings:
        """Read the settings from ``BUILDER_*`` variables; an empty variable counts as unset.

        :raises ConfigError: naming the variable and what it must be
        """
        auth_file = env.get("BUILDER_AUTH_FILE")
        return cls(
            state_dir=_path(env, "BUILDER_STATE_DIR", cls.state_dir),
            run_dir=_path(env, "BUILDER_RUN_DIR", cls.run_dir),
            storage_driver=_driver(env.get("BUILDER_STORAGE_DRIVER") or cls.storage_driver),
            auth_file=Path(auth_file) if auth_file else None,
            mirror_prefix=env.get("BUILDER_MIRROR_PREFIX", ""),
            base_registries=tuple(env.get("BUILDER_BASE_REGISTRIES", "").split()),
            timeout_seconds=_number(env, "BUILDER_TIMEOUT_SECONDS", cls.timeout_seconds),
            output_bytes=_number(env, "BUILDER_OUTPUT_BYTES", cls.output_bytes),
            disk_bytes=_number(env, "BUILDER_DISK_BYTES", cls.disk_bytes),
            disk_reserve_bytes=_number(env, "BUILDER_DISK_RESERVE_BYTES", cls.disk_reserve_bytes),
            cache_bytes=_number(env, "BUILDER_CACHE_BYTES", cls.cache_bytes),
            cache_days=_number(env, "BUILDER_CACHE_DAYS", cls.cache_days),
            kept_builds=_number(env, "BUILDER_KEPT_BUILDS", cls.kept_builds),
        )

    @property
    def storage_dir(self) -> Path:
        """Where buildah keeps layers, images and the containers of builds."""
        return self.state_dir / "storage"

    @property
    def builds_dir(self) -> Path:
        """Where each build has a folder of its own."""
        return self.state_dir / "builds"

    @property
    def spool_dir(self) -> Path:
        """Where results wait for whoever asked for them."""
        return self.state_dir / "spool"

    @property
    def blobs_dir(self) -> Path:
        """Layers of base images as they were exported, for the next export."""
        return self.state_dir / "blobs"

    @property
    def home_dir(self) -> Path:
        """The home of buildah's commands, where it keeps what it knows of registries' blobs."""
        return self.state_dir / "home"

    @property
    def used_dir(self) -> Path:
        """A file per image, as old as the image's last use, with the apps that it was built for."""
        return self.state_dir / "used"


def _number(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name) or str(default)
    if not re.fullmatch(r"[0-9]{1,16}", text) or not 1 <= int(text) <= _LARGEST:
        msg = f"{name} is {text!r}; it must be a whole number from 1 to {_LARGEST}"
        raise ConfigError(msg)
    return int(text)


def _path(env: Mapping[str, str], name: str, default: Path) -> Path:
    path = Path(env.get(name) or default)
    if not path.is_absolute():
        msg = f"{name} is {str(path)!r}; it must be an absolute path"
        raise ConfigError(msg)
    return path


def _driver(value: str) -> str:
    if value not in STORAGE_DRIVERS:
        msg = f"BUILDER_STORAGE_DRIVER is {value!r}; it must be one of {', '.join(STORAGE_DRIVERS)}"
        raise ConfigError(msg)
    return value
