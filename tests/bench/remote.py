"""A program on a host of the platform, fed with lines over one SSH connection."""

from __future__ import annotations

import shlex
import subprocess
from typing import TYPE_CHECKING, Self

from tests.bench.caller import BenchError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.acceptance.live_platform import Platform

#: Runs an image and prints the seconds from the command to the first 200, for each line it reads:
#: image, port. The container is removed before the next. The network and the address are the
#: platform's own, so both sides start on the same bridge.
FIRST_ANSWER = """
import http.client, subprocess, sys, time
NAME, NETWORK, ADDRESS = "bench-reference", "funai-apps", "198.19.15.250"
run = ["docker", "run", "-d", "--name", NAME, "--network", NETWORK, "--ip", ADDRESS]
def answers(port):
    try:
        connection = http.client.HTTPConnection(ADDRESS, port, timeout=1)
        connection.request("GET", "/")
        return connection.getresponse().status == 200
    except OSError:
        return False
for line in sys.stdin:
    image, port = line.split()
    started = time.monotonic()
    subprocess.run([*run, image], check=True, stdout=subprocess.DEVNULL)
    while not answers(int(port)):
        time.sleep(0.005)
    print(time.monotonic() - started, flush=True)
    subprocess.run(["docker", "rm", "-f", NAME], check=True, stdout=subprocess.DEVNULL)
"""
#: Prints resident and proportional KiB of all processes of each unit it is given.
MEMORY = """
import pathlib, sys
def field(path, name):
    for line in path.read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1])
    return 0
for unit in sys.argv[1:]:
    resident = proportional = processes = 0
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if f"/{unit}.service" in (folder / "cgroup").read_text():
                resident += field(folder / "status", "VmRSS:")
                proportional += field(folder / "smaps_rollup", "Pss:")
                processes += 1
        except (FileNotFoundError, ProcessLookupError):
            continue
    print(unit, processes, resident, proportional)
"""


def run_on_host(
    platform: Platform, group: str, argv: Sequence[str], stdin: str = "", seconds: float = 120.0
) -> str:
    """Return what a command on the group's first host prints.

    :raises BenchError: where it fails
    """
    name = next(iter(platform.hosts[group]))
    done = subprocess.run(
        [*platform.ssh_command(name), shlex.join(argv)],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    if done.returncode:
        msg = f"{shlex.join(argv)[:200]} on {name} failed: {done.stderr[-500:]}"
        raise BenchError(msg)
    return done.stdout.strip()


class RemoteProgram:
    """A Python program on a host that answers each line with a line."""

    def __init__(self, platform: Platform, host: str, source: str, *arguments: str) -> None:
        command = shlex.join(["python3", "-u", "-c", source, *arguments])
        self._process = subprocess.Popen(
            [*platform.ssh_command(host), command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.stdin:
            self._process.stdin.close()
        self._process.wait(timeout=30)
        if self._process.stdout:
            self._process.stdout.close()

    def ask(self, line: str) -> str:
        """Send a line and return the answer.

        :raises BenchError: where the program has ended
        """
        assert self._process.stdin
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self.read()

    def read(self) -> str:
        """Return the next line that the program prints."""
        assert self._process.stdout
        answer = self._process.stdout.readline().strip()
        if not answer:
            msg = "the program on the host ended without an answer"
            raise BenchError(msg)
        return answer
