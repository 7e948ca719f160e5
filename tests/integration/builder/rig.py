"""A builder as a socket unit runs it, without systemd: a process per connection, unprivileged."""

from __future__ import annotations

import io
import json
import os
import pwd
import socket
import subprocess
import sys
import tarfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from funai.builder import storage
from funai.builder.client import BuilderClient, BuildError
from funai.builder.model import MIB, BuildRequest, BuildResult

if TYPE_CHECKING:
    from collections.abc import Callable

BUSYBOX = Path("/bin/busybox")
SERVICES = Path(__file__).parents[3] / "services"
_WAIT_SECONDS = 60.0
#: More than any build takes that is not to run out of time, on a busy machine too.
BUILD_SECONDS = 200
#: Two runs on one machine have different ids.
_RUN = os.getpid() % 1000
#: The user of these tests and the ids of their builds; nobody else on this machine has any as high, so
#: that they tell whose a process is.
USER_ID = 1_800_000_000 + _RUN
COUNT = 65536
SUBORDINATE_IDS = 1_900_000_000 + _RUN * COUNT
_BUILDER = [sys.executable, "-m", "funai.builder"]


@dataclass
class Outcome:
    """What came of a build: a result either way, and its output."""

    result: BuildResult
    lines: list[str]
    #: The files of the result, while it was there.
    files: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    #: The files of its blobs by name.
    blobs: dict[str, int] = field(default_factory=dict)


class Builder:
    """The builder of a user of its own."""

    def __init__(self, folder: Path, user: str, **settings: str) -> None:
        self.folder = folder
        self.socket = folder / "build.sock"
        self.state = folder / "state"
        self.processes: list[subprocess.Popen[bytes]] = []
        account = pwd.getpwnam(user)
        self.uid = account.pw_uid
        for made in (self.state, folder / "run"):
            made.mkdir()
            os.chown(made, self.uid, account.pw_gid)
        self._environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(SERVICES),
            "BUILDER_STATE_DIR": str(self.state),
            "BUILDER_RUN_DIR": str(folder / "run"),
            "BUILDER_DISK_RESERVE_BYTES": str(64 * MIB),
            **settings,
        }
        # As the unit starts it: newuidmap gets its two capabilities, nothing gets any other.
        self._argv = ["setpriv", f"--reuid={self.uid}", f"--regid={account.pw_gid}"]
        self._argv += ["--clear-groups", "--no-new-privs", "--inh-caps=-all,+setuid,+setgid"]
        self._argv += ["--ambient-caps=-all,+setuid,+setgid", "--bounding-set=-all,+setuid,+setgid"]
        self._argv += _BUILDER
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.socket))
        self._listener.listen()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self.processes.append(
                    subprocess.Popen(
                        [*self._argv, "serve"],
                        stdin=connection.fileno(),
                        env=self._environment,
                        start_new_session=True,
                    )
                )

    def stop(self) -> None:
        """Refuse connections and wait until the last build has ended."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        self.wait()

    def wait(self) -> None:
        """Wait until no build runs."""
        for process in self.processes:
            process.wait(_WAIT_SECONDS)

    def run(self, *words: str, **settings: str) -> list[dict[str, Any]]:
        """Run a command of the builder; return the lines of JSON that it prints."""
        done = subprocess.run(
            [*self._argv, *words],
            env={**self._environment, **settings},
            capture_output=True,
            text=True,
            timeout=_WAIT_SECONDS,
            check=True,
        )
        return [json.loads(line) for line in done.stdout.splitlines()]

    def build(self, text: str, on_line: Callable[[str], object] = str, **fields: Any) -> Outcome:
        """Build from busybox and a Dockerfile; return how it ended, whichever way."""
        lines: list[str] = []

        def note(line: str) -> None:
            lines.append(line)
            on_line(line)

        request = BuildRequest(**{"id": "job", "timeout_seconds": BUILD_SECONDS, **fields})
        try:
            with BuilderClient(self.socket).build(request, [context(text)], note) as result:
                spool = Path(result.spool)
                files = sorted(path.name for path in spool.iterdir())
                blobs = {path.name: path.stat().st_ino for path in spool.glob("blobs/*/*")}
                return Outcome(result, lines, files, _config(spool), blobs)
        except BuildError as exc:
            return Outcome(exc.result, lines)

    def left(self) -> dict[str, Any]:
        """Return what a build may leave nothing of."""
        self.wait()
        return {
            "builds": sorted(path.name for path in (self.state / "builds").iterdir()),
            "spool": sorted(path.name for path in (self.state / "spool").iterdir()),
            "containers": storage.read(self.state / "storage").containers,
            "processes": processes_of(self.uid),
        }

    def name_images(self) -> None:
        """Give the images of the cache names, as those have that come from a registry."""
        for number, image in enumerate(sorted(self.images())):
            self.call_buildah("tag", image, f"registry.invalid/base:{number}")

    def call_buildah(self, *words: str) -> None:
        """Run a command of buildah on the builder's storage, as its user."""
        argv = [*self._argv[: -len(_BUILDER)], "buildah", "--root", str(self.state / "storage")]
        argv += ["--runroot", str(self.folder / "run"), "--storage-driver", self._driver(), *words]
        subprocess.run(
            argv, env={**self._environment, "HOME": str(self.state / "home")}, check=True
        )

    def _driver(self) -> str:
        return (self.state / "storage-driver").read_text()

    def images(self) -> set[str]:
        """Return the ids of the images that the cache holds."""
        return {image.id for image in storage.read(self.state / "storage").images}


NOTHING: dict[str, Any] = {"builds": [], "spool": [], "containers": [], "processes": []}


def context(dockerfile: str, **files: bytes) -> bytes:
    """Return a context as a tar: a Dockerfile and a shell to run its steps with."""
    members = {"Dockerfile": dockerfile.encode(), "busybox": BUSYBOX.read_bytes(), **files}
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.mode = 0o755
            tar.addfile(info, io.BytesIO(content))
    return file.getvalue()


def dockerfile(*steps: str) -> str:
    """Return a Dockerfile that runs each step in a shell, as root of the image."""
    lines = ["FROM scratch", "COPY busybox /bin/sh"]
    lines += [f"RUN {json.dumps(['/bin/sh', '-c', step])}" for step in steps]
    return "\n".join([*lines, ""])


def processes_of(uid: int) -> list[str]:
    """List the processes of a user and of its subordinate ids."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                owner = entry.stat().st_uid
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            ours = owner == uid or SUBORDINATE_IDS <= owner < SUBORDINATE_IDS + COUNT
            # One that has ended has no command line; its parent has yet to notice.
            if ours and command:
                found.append(command.replace(b"\0", b" ").decode(errors="replace"))
    return found


def eventually(what: Callable[[], bool]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _config(spool: Path) -> dict[str, Any]:
    """Return the image's configuration from its OCI layout."""
    index = json.loads((spool / "index.json").read_text())
    (entry,) = index["manifests"]
    assert entry["annotations"]["org.opencontainers.image.ref.name"] == "image"
    manifest = json.loads(_blob(spool, entry["digest"]))
    config: dict[str, Any] = json.loads(_blob(spool, manifest["config"]["digest"]))
    return config


def _blob(spool: Path, digest: str) -> bytes:
    return (spool / "blobs" / digest.replace(":", "/")).read_bytes()
