"""Commands of buildah: how it is called, and nothing of what it answers."""

from __future__ import annotations

import json
import os
import re
import subprocess
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pathlib import Path

    from funai.builder.config import Settings
    from funai.builder.model import BuildRequest

_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_FUSE_OPTION: Final = "overlay.mount_program=/usr/bin/fuse-overlayfs"
_COMMAND_SECONDS: Final = 120
#: A build's processes are the first that the kernel kills where memory runs out, and the last that it
#: runs: however many they are, the one that watches them has its turn.
_BEHIND: Final = ("nice", "-n", "19", "choom", "-n", "500", "--")
#: Says in a container's record which build it belongs to. Builds without containers of their own
#: kind (``--isolation chroot``) use it for nothing else.
_MARK: Final = "/funai-build-"
_PASSED_ON: Final = ("LANG", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE")
_SHELL = re.compile(rb"^[ \t]*SHELL[ \t]", re.IGNORECASE | re.MULTILINE)
_JOINED_LINE = re.compile(rb"[\\`][ \t]*\r?\n")


class BuildahError(Exception):
    """A command of buildah failed; the text is its last line."""


class Buildah:
    """Buildah with one storage."""

    def __init__(self, settings: Settings, driver: str) -> None:
        self._settings = settings
        self._driver = driver
        self._flags = storage_flags(settings.storage_dir, settings.run_dir, driver)

    def environment(self, folder: Path) -> dict[str, str]:
        """Return the environment of the commands of the build in ``folder``."""
        own = {
            "TMPDIR": str(folder / "tmp"),
            "CONTAINERS_REGISTRIES_CONF": str(folder / "registries.conf"),
        }
        if self._settings.auth_file is not None:
            own["REGISTRY_AUTH_FILE"] = str(self._settings.auth_file)
        return {**environment(self._settings), **own}

    def build_argv(self, request: BuildRequest, folder: Path, *, cached: bool) -> list[str]:
        """Return the command that builds from the files in ``folder``.

        Base images are looked up in the registry each time: an id or a name of something that lies
        in this storage, which builds of all users share, is no way to it.
        """
        argv = [*_BEHIND, *self._argv("bud"), "--isolation", "chroot", "--pull-always"]
        # With this capability a step could leave its root folder.
        argv += ["--cap-drop", "CAP_SYS_CHROOT", "--cgroup-parent", mark(folder.name)]
        argv += ["--format", image_format((folder / "Dockerfile").read_bytes())]
        argv += ["--signature-policy", str(folder / "policy.json")]
        argv += ["--layers"] if cached else ["--layers=false"]
        argv += ["--no-cache"] if request.no_cache or not cached else []
        argv += ["--iidfile", str(folder / "iid"), "--file", str(folder / "Dockerfile")]
        for name, value in sorted(request.build_args.items()):
            argv += ["--build-arg", f"{name}={value}"]
        return [*argv, str(folder / "context")]

    def export_argv(self, image_id: str, spool: Path) -> list[str]:
        """Return the command that writes an image in OCI layout.

        Its layers stay as they lie here, without compression: who pushes them knows from earlier
        pushes which the registry has. buildah's own push would compress them all each time.
        """
        argv = [*_BEHIND, *self._argv("unshare"), "skopeo", "--insecure-policy", "copy"]
        argv += ["--quiet", "--dest-oci-accept-uncompressed-layers"]
        return [*argv, self._stored(image_id), f"oci:{spool}:image"]

    def usage_argv(self, paths: list[Path]) -> list[str]:
        """Return the command that prints the bytes below ``paths``, whoever owns them there."""
        own = [str(path) for path in paths]
        return self._argv("unshare", "du", "--summarize", "--total", "--block-size=1", "--", *own)

    def remove_containers(self, ids: list[str]) -> None:
        """Remove containers of builds that have ended."""
        if ids:
            self._run("rm", *ids)

    def remove_image(self, image_id: str) -> None:
        """Remove an image that no container uses, and only this one.

        buildah's own ``rmi`` takes the images of earlier steps along, which are the cache.

        :raises BuildahError: where it is in use or gone
        """
        self._run("unshare", "skopeo", "delete", self._stored(image_id))

    def remove_tree(self, path: Path) -> None:
        """Remove a folder in which other users of the builds' namespace own files."""
        self._run("unshare", "rm", "-rf", "--", str(path))

    def _stored(self, image_id: str) -> str:
        """Return what skopeo calls an image of this storage."""
        settings = self._settings
        store = f"{self._driver}@{settings.storage_dir}+{settings.run_dir}"
        if self._driver == "fuse-overlayfs":
            store = store.replace(self._driver, "overlay", 1) + f":{_FUSE_OPTION}"
        return f"containers-storage:[{store}]@{image_id}"

    def _argv(self, *words: str) -> list[str]:
        return ["buildah", *self._flags, *words]

    def _run(self, *words: str) -> None:
        run(self._argv(*words), environment(self._settings))


def environment(settings: Settings) -> dict[str, str]:
    """Return the environment of any command: only proxies and their CA are inherited."""
    passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    own = {
        "PATH": _PATH,
        "HOME": str(settings.home_dir),
        "TMPDIR": str(settings.home_dir),
        "XDG_RUNTIME_DIR": str(settings.run_dir),
        "BUILDAH_ISOLATION": "chroot",
    }
    return {**passed, **own}


def run(argv: list[str], env: dict[str, str]) -> str:
    """Run a short command and return its output.

    :raises BuildahError: with the last line of its output
    """
    try:
        done = subprocess.run(  # noqa: S603 - argv is made here, no shell
            argv, env=env, capture_output=True, check=False, text=True, timeout=_COMMAND_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        msg = f"{argv[0]} did not run: {exc}"
        raise BuildahError(msg) from exc
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or [f"status {done.returncode}"]
        raise BuildahError(lines[-1])
    return done.stdout


def mark(build: str) -> str:
    """Return what stands in the records of the containers of a build."""
    return _MARK + build


def marked_build(record: dict[str, Any]) -> str:
    """Return the build of a container's record; empty where it is none of ours."""
    options = record.get("CommonBuildOpts") or {}
    parent = str(options.get("CgroupParent", ""))
    return parent.removeprefix(_MARK) if parent.startswith(_MARK) else ""


def storage_flags(storage: Path, run_dir: Path, driver: str) -> list[str]:
    """Return the flags that name a storage."""
    flags = ["--root", str(storage), "--runroot", str(run_dir)]
    if driver == "fuse-overlayfs":
        return [*flags, "--storage-driver", "overlay", "--storage-opt", _FUSE_OPTION]
    return [*flags, "--storage-driver", driver]


def mounts_anything(dockerfile: bytes) -> bool:
    """Tell whether a step mounts something: what it then does is not all written in it.

    A layer of such a step must not be taken for that of an equal line in another build, whose
    mounted files differ.
    """
    return b"--mount" in _JOINED_LINE.sub(b"", dockerfile)


def image_format(dockerfile: bytes) -> str:
    """Return the format to build in.

    Only docker's knows ``SHELL``, but buildah 1.28 finds no cached layer in it above a base image
    in OCI's.
    """
    return "docker" if _SHELL.search(dockerfile) else "oci"


def registries_conf(mirror_prefix: str) -> str:
    """Return a registries.conf: where names without a registry host come from."""
    lines = ['unqualified-search-registries = ["docker.io"]', 'short-name-mode = "disabled"']
    if mirror_prefix:
        # The longer prefix wins: official images have "library" in their full name only.
        for prefix in ("docker.io/library", "docker.io"):
            lines += ["[[registry]]", f'prefix = "{prefix}"', f'location = "{mirror_prefix}"']
    # Names that buildah gives to images without one; asking for them would only wait.
    lines += ["[[registry]]", 'location = "localhost"', "blocked = true"]
    return "\n".join([*lines, ""])


def signature_policy(base_registries: tuple[str, ...], *, mirrored: bool) -> str:
    """Return a containers policy: which registries base images may come from; none named: any.

    The policy knows an image by the name that the Dockerfile uses, a mirrored one by docker.io.
    """
    accepted = [{"type": "insecureAcceptAnything"}]
    hosts = [*base_registries, *(["docker.io"] if mirrored else [])] if base_registries else [""]
    transports = {
        "docker": dict.fromkeys(hosts, accepted),
        "containers-storage": {"": accepted},
        "oci": {"": accepted},
    }
    return json.dumps({"default": [{"type": "reject"}], "transports": transports})
