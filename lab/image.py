"""The image every host boots from, built out of Debian's packages; no image registry is needed."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path

from lab import engine, layout
from lab.certificates import extra_certificates
from lab.process import LabError, follow, run, tail

SUITE = "bookworm"
REPOSITORY = "funai-lab-host"
_PACKAGES = (
    "ca-certificates",
    "curl",
    "dbus",
    "iproute2",
    "nftables",
    "openssh-server",
    "procps",
    "python3",
    "python3-apt",
    "python3-venv",
    "sudo",
    "systemd",
    "systemd-sysv",
)
#: Makes each host's own SSH keys at its first start; the image carries none.
_SSH_DROP_IN = """[Service]
ExecStartPre=
ExecStartPre=/usr/bin/ssh-keygen -A
ExecStartPre=/usr/sbin/sshd -t
"""
_SSHD = """PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
"""
#: Units without a use in a container, and timers that would hold apt's lock in the middle of a run.
_MASKED = (
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "console-getty.service",
    "getty.target",
    "systemd-udevd.service",
    "systemd-udev-trigger.service",
)
_HOOKS = (
    'rm -f "$1"/etc/ssh/ssh_host_*',
    ': > "$1"/etc/machine-id',
    'mkdir -p "$1"/etc/systemd/system/ssh.service.d "$1"/root/.ssh && chmod 700 "$1"/root/.ssh',
    'chroot "$1" update-ca-certificates',
    'chroot "$1" systemctl mask ' + " ".join(_MASKED),
    'chroot "$1" systemctl enable ssh.service',
)


def _files() -> dict[str, str]:
    """Return the files that the image gets, by path."""
    files = {
        "/etc/systemd/system/ssh.service.d/host-keys.conf": _SSH_DROP_IN,
        "/etc/ssh/sshd_config.d/00-lab.conf": _SSHD,
    }
    for number, certificate in enumerate(extra_certificates()):
        files[f"/usr/local/share/ca-certificates/controller-{number}.crt"] = certificate
    proxy = os.environ.get("http_proxy")
    if proxy:
        files["/etc/apt/apt.conf.d/90controller-proxy"] = f'Acquire::http::Proxy "{proxy}";\n'
    return files


def mirror() -> list[str]:
    """Return the mirror to build from: none lets mmdebstrap take Debian's own."""
    address = os.environ.get("FUNAI_DEBIAN_MIRROR")
    return [address] if address else []


def recipe_tag(files: dict[str, str], mirror: list[str]) -> str:
    """Name the image after everything that goes into it."""
    recipe = json.dumps([SUITE, _PACKAGES, _HOOKS, files, mirror], sort_keys=True)
    return f"{REPOSITORY}:{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"


def current_tag() -> str:
    """Return the tag of the image that this version of the lab boots."""
    return recipe_tag(_files(), mirror())


def ensure_built() -> tuple[str, bool]:
    """Return the image's tag and whether it had to be built."""
    files = _files()
    tag = recipe_tag(files, mirror())
    if engine.inspect("image", tag) is not None:
        return tag, False
    layout.private_directory(layout.STATE)
    with tempfile.TemporaryDirectory(dir=layout.STATE) as scratch:
        archive = Path(scratch) / "host.tar"
        _build(archive, files, Path(scratch) / "overlay")
        changes = ['CMD ["/lib/systemd/systemd"]', "ENV container=docker"]
        options = [word for change in changes for word in ("--change", change)]
        run(["docker", "import", *options, str(archive), tag], timeout=600)
    return tag, True


def _build(archive: Path, files: dict[str, str], overlay: Path) -> None:
    for name, content in files.items():
        path = overlay / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    first, second, *rest = _HOOKS
    # sync-in keeps the modes of the overlay, which must be those of the system's folders.
    hooks = [first, second, rest[0], f'cp -r --no-preserve=mode "{overlay}"/. "$1"/', *rest[1:]]
    argv = ["mmdebstrap", "--variant=minbase", f"--include={','.join(_PACKAGES)}"]
    argv += [f"--customize-hook={hook}" for hook in hooks]
    log = layout.LOGS / "image.log"
    if follow([*argv, SUITE, str(archive), *mirror()], log) != 0:
        raise LabError(tail(log.read_text(errors="replace"), 5), log=log)
