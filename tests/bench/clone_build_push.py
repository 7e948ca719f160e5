"""Runs on the runner's host: builds commits as a script of a few commands would, without a platform.

Reads lines (repository, commit, image), pushes each image and prints the seconds that it took. Its
storage is its own, so that neither side finds the other's layers; at the end it is gone, as are the
images. Standard library only: it is sent as text.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

STORE = Path("/var/lib/containers/bench-build")
RUN = Path("/run/bench-build")
SETTINGS = Path("/etc/funai-runner")
STEPS = """
set -eu
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
git clone --quiet "$1" .
git checkout --quiet "$2"
buildah --root "$STORE" --runroot "$RUN" bud --isolation chroot --layers --tag "$3" .
skopeo copy --quiet "containers-storage:[overlay@$STORE+$RUN]$3" "docker://$3"
"""
REGISTRIES = """
unqualified-search-registries = ["docker.io"]
[[registry]]
prefix = "docker.io/library"
location = "{prefix}"
"""


def prepare() -> dict[str, str]:
    """Return an environment with the runner's own logins and base images."""
    RUN.mkdir(mode=0o700, exist_ok=True)
    logins = json.loads((SETTINGS / "git.json").read_text())
    lines = (
        f"machine {host} login {login['username']} password {login['password']}\n"
        for host, login in logins.items()
    )
    (RUN / ".netrc").write_text("".join(lines))
    settings = (SETTINGS / "runner.env").read_text().splitlines()
    prefix = next(line for line in settings if line.startswith("RUNNER_MIRROR_PREFIX="))
    registries = RUN / "registries.conf"
    registries.write_text(REGISTRIES.format(prefix=prefix.partition("=")[2].strip('"')))
    return {
        **os.environ,
        "HOME": str(RUN),
        "STORE": str(STORE),
        "RUN": str(RUN),
        "CONTAINERS_REGISTRIES_CONF": str(registries),
        "REGISTRY_AUTH_FILE": str(SETTINGS / "registry.json"),
    }


def clean_up(pushed: list[str], environment: dict[str, str]) -> None:
    """Remove what this made: images in the registry, the storage, the logins."""
    for image in pushed:
        command = ["skopeo", "delete", f"docker://{image}"]
        subprocess.run(command, env=environment, stderr=subprocess.DEVNULL, check=False)
    # The storage mounts its own folder.
    command = ["umount", str(STORE / "overlay")]
    subprocess.run(command, stderr=subprocess.DEVNULL, check=False)
    shutil.rmtree(STORE, ignore_errors=True)
    shutil.rmtree(RUN, ignore_errors=True)


def main() -> None:
    """Build what is asked for until there is no more."""
    environment = prepare()
    pushed: list[str] = []
    try:
        for line in sys.stdin:
            words = line.split()
            pushed.append(words[-1])
            started = time.monotonic()
            command = ["sh", "-c", STEPS, "sh", *words]
            subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
            print(time.monotonic() - started, flush=True)  # noqa: T201 -- the answer
    finally:
        clean_up(pushed, environment)


main()
