"""A container engine that lives in dictionaries and answers as Docker's API does."""

from __future__ import annotations

import copy
from typing import Any

from ansible.module_utils.container_engine import EngineError

JSONObject = dict[str, Any]
IMAGE = "registry.example/team/dev:1"
OTHER_IMAGE = "registry.example/team/dev:2"


def image(number: int, *, environment: tuple[str, ...] = ("PATH=/bin",)) -> JSONObject:
    return {"Id": f"sha256:{number:064d}", "Config": {"Env": [*environment], "Cmd": ["serve"]}}


class FakeEngine:
    """Holds containers and images; ``writes`` is what was asked of it."""

    def __init__(self) -> None:
        self.made: dict[str, JSONObject] = {}
        self.images = {IMAGE: image(1)}
        self.registry = {IMAGE: image(1), OTHER_IMAGE: image(2)}
        self.writes: list[str] = []
        self.refuse_create = ""

    def container(self, name: str) -> JSONObject | None:
        return copy.deepcopy(self.made.get(name))

    def containers(self) -> list[JSONObject]:
        return copy.deepcopy(list(self.made.values()))

    def image(self, reference: str) -> JSONObject | None:
        by_id = {found["Id"]: found for found in self.images.values()}
        return self.images.get(reference) or by_id.get(reference)

    def pull(self, reference: str) -> None:
        self.writes.append(f"pull {reference}")
        if reference not in self.registry:
            msg = f"the image {reference} cannot be pulled: not found"
            raise EngineError(msg)
        self.images[reference] = self.registry[reference]

    def create(self, name: str, settings: JSONObject) -> None:
        self.writes.append(f"create {name}")
        if self.refuse_create:
            raise EngineError(self.refuse_create)
        found = self.images[settings["Image"]]
        host = settings["HostConfig"]
        source, _, target = host["Binds"][0].partition(":")
        given = dict(pair.split("=", 1) for pair in [*found["Config"]["Env"], *settings["Env"]])
        self.made[name] = {
            "Name": f"/{name}",
            "Image": found["Id"],
            "State": {"Running": False},
            "Config": {
                "Image": settings["Image"],
                "Labels": settings["Labels"],
                "User": settings["User"],
                "Env": [f"{key}={value}" for key, value in given.items()],
                "Cmd": settings.get("Cmd", found["Config"]["Cmd"]),
            },
            "HostConfig": host,
            "Mounts": [{"Source": source, "Destination": target}],
        }

    def rename(self, name: str, new_name: str) -> None:
        self.writes.append(f"rename {name}")
        self.made[new_name] = {**self.made.pop(name), "Name": f"/{new_name}"}

    def start(self, name: str) -> None:
        self.writes.append(f"start {name}")
        self.made[name]["State"]["Running"] = True

    def stop(self, name: str) -> None:
        self.writes.append(f"stop {name}")
        self.made[name]["State"]["Running"] = False

    def remove(self, name: str) -> None:
        self.writes.append(f"remove {name}")
        del self.made[name]

    def add_foreign(self, name: str, port: int, **config: Any) -> None:
        """Add a running container that somebody else made."""
        self.made[name] = {
            "Name": f"/{name}",
            "Image": self.images[IMAGE]["Id"],
            "State": {"Running": True},
            "Config": {"Image": IMAGE, "Labels": {}, "User": "", "Env": ["PATH=/bin"], **config},
            "HostConfig": {
                "PortBindings": {"5173/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]}
            },
            "Mounts": [],
        }
