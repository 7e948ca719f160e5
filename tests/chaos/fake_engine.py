"""A container engine in memory: ``python -m tests.chaos.fake_engine SOCKET STATE HISTORY``.

Speaks the part of the Docker API that ``funai.runtime_agent.engine`` uses. A container is a small
HTTP server on its own loopback address. Containers end with the engine; one that starts again
starts those that were running, as dockerd does for ``unless-stopped``. What an image's tag says
(``images.py``) decides how the registry and the container behave.
"""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
import urllib.parse
from pathlib import Path
from typing import Any

from tests.chaos import http_message, images
from tests.chaos.containers import Containers
from tests.chaos.history import History

#: What the engine says of itself.
_ABOUT: dict[str, object] = {
    "version": {"ApiVersion": "1.41", "MinAPIVersion": "1.24", "Version": "20.10"},
    "info": {"InitCommit": {"ID": "N/A"}, "DockerRootDir": "/"},
}
_VERSION = re.compile(r"^/v[0-9.]+")


class RefusalError(Exception):
    """An answer that is not 2xx."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Engine:
    """Routes requests to containers, images and the registry behind them."""

    def __init__(self, state: Path, history: History) -> None:
        self._history = history
        self._containers = Containers(state, history)

    async def start(self) -> None:
        await self._containers.start_all()

    async def answer(self, request: http_message.Message) -> bytes:
        """Return the bytes of the response."""
        method, target = request.first.split(" ")[:2]
        path, _, query = target.partition("?")
        path = urllib.parse.unquote(_VERSION.sub("", path))
        options = dict(urllib.parse.parse_qsl(query))
        try:
            status, content = await self._route(method, path, options, request.json())
        except RefusalError as refusal:
            status, content = refusal.status, {"message": str(refusal)}
        return http_message.response(status, content)

    async def _route(
        self, method: str, path: str, options: dict[str, str], body: Any
    ) -> tuple[int, object]:
        parts = path.strip("/").split("/")
        if parts[0] == "containers":
            return await self._containers_route(method, parts[1:], options, body)
        match parts:
            case ["images", *rest]:
                return await self._images_route(method, rest, options)
            case [word] if word in _ABOUT:
                return 200, _ABOUT[word]
            case ["networks", name]:
                return self._create_network(body) if name == "create" else self._network(name)
            case ["distribution", *name, "json"]:
                return 200, await self._distribution("/".join(name))
        raise RefusalError(404, f"page not found: {method} {path}")

    async def _containers_route(
        self, method: str, parts: list[str], options: dict[str, str], body: Any
    ) -> tuple[int, object]:
        match parts:
            case ["json"]:
                return 200, self._containers.listing(options)
            case ["create"]:
                return self._create(options["name"], body)
            case [name, *rest]:
                return await self._container(method, name, rest)
        raise RefusalError(404, f"page not found: {method} {parts}")

    async def _images_route(
        self, method: str, parts: list[str], options: dict[str, str]
    ) -> tuple[int, object]:
        match parts:
            case ["create"]:
                return await self._pull(options)
            case [*name, "json"]:
                return self._image("/".join(name))
            case [*_, "tag"]:
                return 201, None
            case [*name] if method == "DELETE":
                self._containers.forget_image("/".join(name))
                return 200, []
        raise RefusalError(404, f"page not found: {method} {parts}")

    def _create_network(self, body: dict[str, Any]) -> tuple[int, object]:
        self._containers.set_network(body["Name"], body["IPAM"]["Config"][0]["Subnet"])
        return 201, {"Id": body["Name"]}

    def _network(self, name: str) -> tuple[int, object]:
        subnet = self._containers.network(name)
        if subnet is None:
            raise RefusalError(404, f"network {name} not found")
        members = {
            name: {"Name": name, "IPv4Address": f"{address}/20"}
            for name, address in self._containers.members().items()
        }
        return 200, {"IPAM": {"Config": [{"Subnet": subnet}]}, "Containers": members}

    def _create(self, name: str, body: dict[str, Any]) -> tuple[int, object]:
        if self._containers.get(name) is not None:
            raise RefusalError(409, f"Conflict. The container name /{name} is already in use")
        if images.of(body["Labels"].get("io.funai.image", "")).create == "full":
            raise RefusalError(500, "write /var/lib/docker: no space left on device")
        endpoints = body["NetworkingConfig"]["EndpointsConfig"].values()
        address = next(iter(endpoints))["IPAMConfig"]["IPv4Address"]
        if address in self._containers.addresses():
            raise RefusalError(403, "Address already in use")
        self._containers.create(name, address, body)
        return 201, {"Id": name, "Warnings": []}

    async def _container(self, method: str, name: str, rest: list[str]) -> tuple[int, object]:
        container = self._containers.get(name)
        if container is None:
            raise RefusalError(404, f"No such container: {name}")
        match (method, rest):
            case ("GET", ["json"]):
                return 200, container.inspected()
            case ("GET", ["logs"]):
                return 200, b""
            case ("POST", ["start"]):
                await self._containers.start(name)
                return 204, None
            case ("POST", ["stop"]):
                await self._containers.stop(name)
                return 204, None
            case ("DELETE", []):
                await self._containers.remove(name)
                return 204, None
        raise RefusalError(404, f"page not found: {method} {rest}")

    async def _distribution(self, reference: str) -> object:
        behaviour = images.of(reference)
        if behaviour.registry:
            await asyncio.sleep(behaviour.registry_seconds)
            raise RefusalError(*images.REGISTRY_ERRORS[behaviour.registry])
        return {"Descriptor": {"digest": images.digest(reference)}}

    async def _pull(self, options: dict[str, str]) -> tuple[int, object]:
        name, digest = options["fromImage"], options["tag"]
        behaviour = images.of_digest(digest)
        await asyncio.sleep(behaviour.pull_seconds)
        if behaviour.pull:
            return 200, json.dumps({"error": images.PULL_ERRORS[behaviour.pull]}).encode()
        self._containers.remember_image(f"{name}@{digest}")
        return 200, b'{"status":"Pull complete"}\r\n'

    def _image(self, reference: str) -> tuple[int, object]:
        known = self._containers.image(reference)
        if known is None:
            raise RefusalError(404, f"No such image: {reference}")
        identity = "sha256:" + known.rpartition("sha256:")[2]
        return 200, {"Id": identity, "RepoDigests": [known], "RepoTags": [], "Size": 1}


async def serve(socket_path: Path, state: Path, history: History) -> None:
    """Serve until SIGTERM."""
    engine = Engine(state, history)
    await engine.start()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await http_message.read(reader)) is not None:
                writer.write(await engine.answer(request))
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    server = await asyncio.start_unix_server(talk, str(socket_path))
    await stopped.wait()
    server.close()


def main() -> None:
    socket_path, state, history = (Path(text) for text in sys.argv[1:4])
    socket_path.unlink(missing_ok=True)
    asyncio.run(serve(socket_path, state, History(history)))


if __name__ == "__main__":
    main()
