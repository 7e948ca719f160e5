"""Images of a few hundred kilobytes, one for each way an app can behave."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import docker

if TYPE_CHECKING:
    from docker.api.client import APIClient

BUSYBOX = Path("/bin/busybox")
#: Nothing listens there: the agent must use the image that is on the node.
NO_REGISTRY = "127.0.0.1:1"
PORT = 8080
_GATE = "/tmp/open"  # noqa: S108 - a container's own

_SERVE = (
    'mkdir -p /tmp/w/cgi-bin && echo "release $RELEASE port $PORT path $BASE_PATH" > /tmp/w/index.html'
    " && cp /cgi/* /tmp/w/cgi-bin/ && cd /tmp/w && exec httpd -f -h /tmp/w -p "
)
# As process 1 the server alone would ignore SIGTERM.
_ENDS_AT_ONCE = f"{_SERVE.replace('exec ', '')}{PORT} & trap 'kill $!; exit 0' TERM; wait"
_COMMANDS = {
    "1": f"{_SERVE}{PORT}",
    "2": f"{_SERVE}{PORT}",
    "prompt-0": _ENDS_AT_ONCE,
    "prompt-1": _ENDS_AT_ONCE,
    "socket": f"exec nc -ll -p {PORT} -e /cgi/socket",
    # Until the test lets it go on, see let_go.
    "gated": f"until [ -e {_GATE} ]; do sleep 0.2; done; {_SERVE}{PORT}",
    "exits": "echo no database; exit 3",
    "silent": "echo thinking; exec sleep 600",
    "elsewhere": f"{_SERVE}9090",
    "chatty": "printf 'one\\ntwo \\033[31mred\\033[0m \\007bell\\n';"
    f" (while sleep 1; do echo tick; done) & {_SERVE}{PORT}",
    "flood": "i=0; while [ $i -lt 6000 ]; do echo $i $PATH$PATH$PATH; i=$((i+1)); done;"
    f" {_SERVE}{PORT}",
    "broken": f"{_SERVE}{PORT}".replace("cd /tmp/w", "mv /tmp/w/index.html /tmp/w/x && cd /tmp/w"),
}
_CGI = {
    "echo": "echo 'Content-Type: text/plain'; echo; cat",
    "long": "echo 'Content-Type: text/plain'; echo; sleep 20; echo answered by $RELEASE",
    # Not by the server of the others: a WebSocket that echoes lines, anything else is answered ok.
    "socket": "up=; while read -r line; do case $line in *pgrade:*ebsocket*) up=1;; ?) break;; esac;"
    " done; if [ $up ]; then printf 'HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\n"
    "Connection: Upgrade\\r\\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\\r\\n\\r\\n';"
    " while read -r line; do echo $line; done; else printf"
    " 'HTTP/1.1 200 OK\\r\\nContent-Length: 3\\r\\nConnection: close\\r\\n\\r\\nok\\n'; fi",
    # As long as the test does not let it go on.
    "linger": "echo 'Content-Type: text/plain'; echo;"
    f" until [ -e {_GATE} ]; do sleep 0.2; done; echo lingered",
    # httpd runs it where there is no index.html.
    "index.cgi": "printf 'HTTP/1.0 500 Oops\\r\\nContent-Type: text/plain\\r\\n\\r\\nno luck today'",
}


def _add(tar: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), mode
    tar.addfile(member, io.BytesIO(content))


def _folder(tar: tarfile.TarFile, name: str, mode: int) -> None:
    member = tarfile.TarInfo(name)
    member.type, member.mode = tarfile.DIRTYPE, mode
    tar.addfile(member)


def root() -> bytes:
    """Return the files of every image as a tar: busybox, its applets, and ``/cgi``."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, mode in (("bin", 0o755), ("cgi", 0o755), ("tmp", 0o1777)):
            _folder(tar, name, mode)
        _add(tar, "bin/busybox", BUSYBOX.read_bytes(), 0o755)
        for applet in ("sh", "httpd", "sleep", "echo", "cat", "mkdir", "cp", "mv", "nc", "printf"):
            member = tarfile.TarInfo(f"bin/{applet}")
            member.type, member.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(member)
        for name, script in _CGI.items():
            _add(tar, f"cgi/{name}", f"#!/bin/sh\n{script}\n".encode(), 0o755)
    return buffer.getvalue()


def build(engine: APIClient, repository: str) -> list[str]:
    """Import every variant as ``repository:<variant>``; return the references."""
    files = root()
    for tag, command in _COMMANDS.items():
        engine.import_image_from_data(
            files,
            repository=repository,
            tag=tag,
            changes=[f"ENV RELEASE={tag}", "USER 65534", f"CMD {command}"],
        )
    return [f"{repository}:{tag}" for tag in _COMMANDS]


def let_go(engine: APIClient, container: str) -> None:
    """Let what waits in the container go on, and keep nothing waiting there any more."""
    command = engine.exec_create(container, ["sh", "-c", f": > {_GATE}"])
    engine.exec_start(command["Id"])


def lingers(engine: APIClient, container: str) -> bool:
    """Tell whether a request waits in the container."""
    return any("linger" in row[-1] for row in engine.top(container)["Processes"])


def remove_network(engine: APIClient, name: str) -> None:
    """Remove a network, unless another run on this machine still has containers on it."""
    for network in engine.networks(names=[name]):
        if not engine.inspect_network(network["Id"])["Containers"]:
            engine.remove_network(network["Id"])


def connect() -> APIClient:
    """Return a client of the machine's own engine."""
    return docker.APIClient("unix:///var/run/docker.sock", version="auto", timeout=60)
