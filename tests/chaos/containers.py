"""The containers of the engine in memory: HTTP servers that can hang, fail and die."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from tests.chaos import http_message, images

if TYPE_CHECKING:
    from pathlib import Path

    from tests.chaos.history import History

_SLOW_SECONDS = 1.0
_LIFE_SECONDS = 1.0


@dataclass
class Container:
    """One container, as the state file keeps it."""

    name: str
    address: str
    image: str
    labels: dict[str, str]
    port: int
    running: bool = False
    exit_code: int = 0
    restarts: int = 0
    created_at: float = field(default_factory=time.monotonic)

    @property
    def word(self) -> str:
        return images.word_of(self.labels.get("io.funai.image", "x:r0-ok"))

    def inspected(self) -> dict[str, Any]:
        """Return what ``docker inspect`` shows of it."""
        return {
            "Name": f"/{self.name}",
            "Image": "sha256:" + self.image.rpartition("sha256:")[2],
            "RestartCount": self.restarts,
            "State": {
                "Running": self.running,
                "Restarting": False,
                "ExitCode": self.exit_code,
                "OOMKilled": False,
                "Error": "",
            },
            "Config": {"Image": self.image, "Labels": self.labels, "Tty": False},
            "NetworkSettings": {"Networks": self._networks()},
        }

    def listed(self) -> dict[str, Any]:
        """Return its line of ``docker ps``."""
        return {
            "Names": [f"/{self.name}"],
            "State": "running" if self.running else "exited",
            "Labels": self.labels,
            "NetworkSettings": {"Networks": self._networks()},
        }

    def _networks(self) -> dict[str, Any]:
        has = self.address if self.running else ""
        return {"apps": {"IPAMConfig": {"IPv4Address": self.address}, "IPAddress": has}}


class Containers:
    """All containers, images and the network; kept in a file across the engine's death."""

    def __init__(self, state: Path, history: History) -> None:
        self._state, self._history = state, history
        self._all: dict[str, Container] = {}
        self._servers: dict[str, asyncio.Server] = {}
        self._connections: dict[str, set[asyncio.StreamWriter]] = {}
        self._images: set[str] = set()
        self._networks: dict[str, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._served: set[tuple[str, bool]] = set()
        if state.exists():
            self._load(json.loads(state.read_text()))

    async def start_all(self) -> None:
        """Start what was running when the engine ended."""
        for container in list(self._all.values()):
            if container.running:
                container.running = False
                await self.start(container.name)

    def get(self, name: str) -> Container | None:
        return self._all.get(name)

    def addresses(self) -> list[str]:
        return [container.address for container in self._all.values()]

    def members(self) -> dict[str, str]:
        """Return the addresses of what is on the network now, by container."""
        return {c.name: c.address for c in self._all.values() if c.running}

    def listing(self, options: dict[str, str]) -> list[dict[str, Any]]:
        filters = json.loads(options.get("filters", "{}"))
        wanted = [label.partition("=")[::2] for label in filters.get("label", [])]
        ancestors = filters.get("ancestor", [])
        return [
            container.listed()
            for container in self._all.values()
            if (container.running or options.get("all") not in {None, "0", "False"})
            and all(container.labels.get(key) == value for key, value in wanted)
            and (not ancestors or any(a[-64:] == container.image[-64:] for a in ancestors))
        ]

    def network(self, name: str) -> str | None:
        return self._networks.get(name)

    def set_network(self, name: str, subnet: str) -> None:
        self._networks[name] = subnet
        self._save()

    def image(self, reference: str) -> str | None:
        """Return an image by ``name@digest`` or by id; never by tag, so the registry is asked."""
        digits = reference.rpartition("sha256:")[2]
        if "sha256:" not in reference:
            return None
        return next((known for known in sorted(self._images) if known.endswith(digits)), None)

    def remember_image(self, reference: str) -> None:
        self._images.add(reference)
        self._save()

    def forget_image(self, reference: str) -> None:
        known = self.image(reference)
        if known is not None:
            self._images.discard(known)
            self._save()

    def create(self, name: str, address: str, body: dict[str, Any]) -> None:
        environment = dict(entry.partition("=")[::2] for entry in body["Env"])
        image = self.image(body["Image"]) or body["Image"]
        self._all[name] = Container(name, address, image, body["Labels"], int(environment["PORT"]))
        self._note("created", self._all[name])
        self._save()

    async def start(self, name: str) -> None:
        container = self._all[name]
        if container.running:
            return
        self._note("started", container)
        if container.word == "exit":
            container.exit_code = 3
            self._save()
            return
        container.running = True
        self._save()
        self._spawn(self._live(container))
        # The port is taken before the answer, so that no probe meets the container's predecessor.
        await asyncio.sleep(0)

    async def stop(self, name: str) -> None:
        container = self._all[name]
        if container.running:
            container.running, container.exit_code = False, 0
            self._note("stopped", container)
            self._save()
            await self._close(name)

    async def remove(self, name: str) -> None:
        container = self._all.pop(name)
        self._note("removed", container)
        self._save()
        await self._close(name)

    async def _live(self, container: Container) -> None:
        """Serve, and die as the image says; the restart policy brings it back once."""
        if container.word == "slow":
            await asyncio.sleep(_SLOW_SECONDS)
        if container.word == "mute" or self._all.get(container.name) is not container:
            return
        if container.name in self._servers or not container.running:
            return
        self._servers[container.name] = await asyncio.start_server(
            lambda reader, writer: self._serve(container, reader, writer),
            container.address,
            container.port,
        )
        if container.word == "dies" and container.restarts == 0:
            await asyncio.sleep(_LIFE_SECONDS)
            if self._all.get(container.name) is container and container.running:
                container.restarts += 1
                self._note("died", container)
                await self._close(container.name)
                self._spawn(self._live(container))

    async def _serve(
        self,
        container: Container,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._connections.setdefault(container.name, set()).add(writer)
        status = 500 if container.word == "http500" else 200
        known = {"container": container.name, "labels": container.labels}
        try:
            while (request := await http_message.read(reader)) is not None:
                if status == 200:
                    self._note_served(container, by_gateway=bool(request.header("x-forwarded-for")))
                body = {**known, "received": len(request.body)}
                writer.write(http_message.response(status, body))
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._connections.get(container.name, set()).discard(writer)
            writer.close()

    def _note_served(self, container: Container, *, by_gateway: bool) -> None:
        """Note the first answer of each kind: the proof that it was healthy, or reached."""
        if (container.name, by_gateway) not in self._served:
            self._served.add((container.name, by_gateway))
            self._note("served", container, gateway=by_gateway)

    async def _close(self, name: str) -> None:
        server = self._servers.pop(name, None)
        if server is not None:
            server.close()
        for writer in self._connections.pop(name, set()):
            writer.transport.abort()

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _note(self, what: str, container: Container, **more: Any) -> None:
        labels = container.labels
        self._history.add(
            f"container.{what}",
            name=container.name,
            address=container.address,
            app=labels.get("io.funai.app"),
            fence=int(labels.get("io.funai.fence", 0)),
            job=labels.get("io.funai.job"),
            image=labels.get("io.funai.image"),
            **more,
        )

    def _save(self) -> None:
        temporary = self._state.with_suffix(".new")
        kept = {
            "containers": [asdict(container) for container in self._all.values()],
            "images": sorted(self._images),
            "networks": self._networks,
        }
        temporary.write_text(json.dumps(kept))
        temporary.replace(self._state)

    def _load(self, kept: dict[str, Any]) -> None:
        self._all = {entry["name"]: Container(**entry) for entry in kept["containers"]}
        self._images, self._networks = set(kept["images"]), kept["networks"]
