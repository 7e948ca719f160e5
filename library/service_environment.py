#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
---
module: service_environment
short_description: Install a service's Python environment from an archive of wheels
description:
  - Builds a virtual environment from a tar that holds C(requirements.txt) (a lock with hashes),
    C(wheels/) (those of the lock and the service's own) and perhaps C(bundle/). No network.
  - The environment is built beside the one in use and then switched to, by one rename of the link
    C(venv). The one before stays until the next change, so that a running service keeps its code
    until it is restarted and an earlier archive is back at once.
  - All is compiled at installation, since a service cannot write its own code's folder.
author:
  - Platform team
attributes:
  check_mode:
    description: Predicts the change and writes nothing.
    support: full
  diff_mode:
    description: Returns the archive's digest before and after.
    support: full
  idempotent:
    description: The second run with the same archive and the same Python changes nothing.
    support: full
options:
  archive:
    description: The tar, a path on the host.
    type: path
    required: true
  path:
    description:
      - Existing folder of the service. The environment comes to be C(venv) in it, and the bundle,
        where the archive has one, C(bundle).
    type: path
    required: true
  python:
    description: Interpreter to build with, a name on the search path or a path.
    type: str
    default: python3
  own_package:
    description: Name of the wheel that is not in the lock, since it is built beside it.
    type: str
    default: funai_services
  archive_changes:
    description:
      - Whether the task that copies the archive says that it changes. In check mode that task has
        copied nothing, and what the host has is the archive before; with this the change of the
        environment is predicted from it.
      - Outside check mode the archive itself is compared, and this is without effect.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Install the environment
  service_environment:
    archive: /opt/funai-deploy/deploy.tar
    path: /opt/funai-deploy

# The task before it copied the archive, with `register: archive_copied`.
- name: Install the environment, and predict it where the copy is only predicted
  service_environment:
    archive: /opt/funai-deploy/deploy.tar
    path: /opt/funai-deploy
    archive_changes: "{{ archive_copied is changed }}"
"""

RETURN = r"""
venv:
  description: The link that stays when environments change.
  returned: success
  type: str
  sample: /opt/funai-deploy/venv
installed:
  description: Whether an environment is in use after the run. False in check mode on a bare host.
  returned: success
  type: bool
  sample: true
current:
  description:
    - Whether what is in use after the run is the archive's. False in check mode where it is yet to be
      built, so that what is in use is older code, or none; it cannot say what the new code would do.
  returned: success
  type: bool
  sample: true
archive_sha256:
  description: Digest of the installed archive; null in check mode while it is not on the host.
  returned: success
  type: str
  sample: 6b3a55e0261b0304143f805a24924d0c1c44524821305f31d9277843b8a10f4e
"""

import hashlib
import json
import os
import shutil
import tarfile
import tempfile
import typing as t
from dataclasses import asdict, dataclass
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

LINK = "venv"
BUNDLE = "bundle"
STAMP = ".service-environment.json"
# Compiling is all processor time; the smallest host has two.
COMPILE_WORKERS = "2"
ERROR_TAIL_CHARACTERS = 800
# What the tools say when a known cause is behind it, and what to do then.
ADVICE = {
    "ensurepip is not available": "Install the package python3-venv on the host.",
    "DO NOT MATCH THE HASHES": (
        "A wheel is not the one of the lock: build the archive again from an unchanged lock."
    ),
    "No matching distribution found": (
        "The archive lacks a wheel for this host's Python: build it for the same version."
    ),
    "No space left on device": "Free space on the host's disk.",
}

Run = t.Callable[[list[str]], tuple[int, str]]


class BuildError(Exception):
    """The environment could not be built; the text says why and what to do."""


@dataclass(frozen=True)
class Stamp:
    """What an environment was built from."""

    archive_sha256: str
    #: Real path of the interpreter: a new minor version needs a new environment.
    python: str

    @property
    def folder(self) -> str:
        """Return the name of the folder of the environment that was built from this."""
        return f"venv-{hashlib.sha256(repr(self).encode()).hexdigest()[:12]}"


def read_stamp(environment: Path) -> Stamp | None:
    """Return what a complete environment was built from; None where there is none."""
    try:
        return Stamp(**json.loads((environment / STAMP).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def archive_digest(archive: Path) -> str:
    """Return the SHA-256 of the archive in hexadecimal.

    :raises BuildError: where it cannot be read
    """
    try:
        with archive.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as exc:
        msg = f"{exc.strerror}. Copy the archive to the host first."
        raise BuildError(msg) from exc


def extract(archive: Path, folder: Path) -> None:
    """Unpack plain files and folders, and nothing that leads out of ``folder``.

    :raises BuildError: where the archive is damaged or is not one of ours
    """
    try:
        with tarfile.open(archive) as content:
            members = content.getmembers()
            for member in members:
                if not (member.isfile() or member.isdir()) or ".." in Path(member.name).parts:
                    msg = f"it holds {member.name!r}, which is no plain file. Build it again."
                    raise BuildError(msg)
                member.name = member.name.lstrip("/")
                member.mode = 0o755 if member.isdir() else 0o644
            content.extractall(folder, members)  # noqa: S202 - each member was looked at
    except (tarfile.TarError, EOFError) as exc:
        msg = f"it is damaged ({exc}). Build it again and copy it whole."
        raise BuildError(msg) from exc


def step(run: Run, what: str, argv: list[str]) -> None:
    """Run one command.

    :raises BuildError: where it fails; with the end of what it said, and advice for known causes
    """
    code, output = run(argv)
    if code:
        advice = next((text for sign, text in ADVICE.items() if sign in output), "")
        msg = f"{what} ended with {code}. {advice}\n{output.strip()[-ERROR_TAIL_CHARACTERS:]}"
        raise BuildError(msg)


def own_wheel(source: Path, package: str) -> Path:
    """Return the one wheel of the service in an unpacked archive.

    :raises BuildError: where the archive lacks it or its lock
    """
    wheels = sorted(source.glob(f"wheels/{package}-*.whl"))
    if not (source / "requirements.txt").is_file() or len(wheels) != 1:
        msg = f"it lacks requirements.txt or one wheel of {package}. Build it again."
        raise BuildError(msg)
    return wheels[0]


def build(run: Run, archive: Path, environment: Path, wanted: Stamp, own_package: str) -> None:
    """Build a complete environment; the stamp, written last, is what makes it count.

    :raises BuildError: where the archive or a tool fails; the incomplete environment is removed
    """
    shutil.rmtree(environment, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=environment.parent, prefix=".build-") as scratch:
        source = Path(scratch)
        try:
            extract(archive, source)
            install(run, source, environment, own_wheel(source, own_package), wanted.python)
        except BuildError:
            shutil.rmtree(environment, ignore_errors=True)
            raise
    (environment / STAMP).write_text(json.dumps(asdict(wanted)) + "\n")


def install(run: Run, source: Path, environment: Path, own: Path, python: str) -> None:
    """Fill the environment from the unpacked archive and compile it.

    :raises BuildError: where a tool fails
    """
    interpreter = str(environment / "bin/python")
    pip = [interpreter, "-I", "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    pip += ["--no-compile", "--no-cache-dir", "--disable-pip-version-check", "--no-input"]
    wheels = ["--find-links", str(source / "wheels")]
    lock = ["--require-hashes", "--requirement", str(source / "requirements.txt")]
    step(run, "Creating the virtual environment", [python, "-m", "venv", str(environment)])
    step(run, "Installing the locked packages", [*pip, *wheels, *lock])
    step(run, "Installing the service", [*pip, str(own)])
    if (source / BUNDLE).is_dir():
        shutil.move(source / BUNDLE, environment / BUNDLE)
    compiler = [interpreter, "-I", "-m", "compileall", "-qq", "-j", COMPILE_WORKERS]
    step(run, "Compiling", [*compiler, str(environment)])


def point(link: Path, target: str) -> None:
    """Make ``link`` lead to ``target`` by one rename, whatever it led to before.

    :raises BuildError: where a real folder is in the way
    """
    if link.is_dir() and not link.is_symlink():
        msg = f"{link} is a folder, not a link of this module. Move it away."
        raise BuildError(msg)
    fresh = link.with_name(f".{link.name}-new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(link)


def switch(path: Path, wanted: Stamp) -> None:
    """Put the built environment in use; keep the one before it and remove older ones.

    :raises BuildError: where a real folder is in the place of a link
    """
    before = (path / LINK).readlink().name if (path / LINK).is_symlink() else ""
    point(path / LINK, wanted.folder)
    if (path / LINK / BUNDLE).is_dir():
        point(path / BUNDLE, f"{LINK}/{BUNDLE}")
    for old in path.glob("venv-*"):
        if old.name not in {wanted.folder, before}:
            shutil.rmtree(old, ignore_errors=True)


def converge(params: dict[str, t.Any], run: Run, *, check_mode: bool) -> dict[str, t.Any]:
    """Bring the environment to the archive's and return the module's result.

    :raises BuildError: where that fails; the environment in use is untouched then
    """
    path, archive = Path(params["path"]), Path(params["archive"])
    venv = path / LINK
    python = os.path.realpath(shutil.which(params["python"]) or params["python"])
    current = read_stamp(venv)
    # What is on the host in check mode may not be what it is about to get.
    unknown = check_mode and (params["archive_changes"] or not archive.exists())
    wanted = None if unknown else Stamp(archive_digest(archive), python)
    changed = wanted is None or current != wanted
    if changed and wanted and not check_mode:
        if not path.is_dir():
            msg = f"{path} does not exist. Create the service's folder first."
            raise BuildError(msg)
        if read_stamp(path / wanted.folder) != wanted:
            build(run, archive, path / wanted.folder, wanted, params["own_package"])
        switch(path, wanted)
    return {
        "changed": changed,
        "venv": str(venv),
        "installed": read_stamp(venv) is not None,
        "current": not (changed and check_mode),
        "archive_sha256": wanted.archive_sha256 if wanted else None,
        "diff": {
            "before": asdict(current) if current else {},
            "after": asdict(wanted) if wanted else {"archive_sha256": None, "python": python},
        },
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "archive": {"type": "path", "required": True},
            "path": {"type": "path", "required": True},
            "python": {"type": "str", "default": "python3"},
            "own_package": {"type": "str", "default": "funai_services"},
            "archive_changes": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    # Services run as users of their own and must be able to read what root installs.
    os.umask(0o022)

    def run(argv: list[str]) -> tuple[int, str]:
        code, out, err = module.run_command(argv, environ_update={"PIP_CONFIG_FILE": os.devnull})
        return code, f"{out}{err}"

    try:
        result = converge(module.params, run, check_mode=module.check_mode)
    except (BuildError, OSError) as exc:
        archive = module.params["archive"]
        module.fail_json(msg=f"Could not install the environment from {archive!r}: {exc}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
