"""Role ``engine``: what an engine that is there already keeps, and what the role says where it cannot."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.roles.role_run import complaint, named, run, tasks_of

if TYPE_CHECKING:
    from pathlib import Path

BRIDGE = "198.19.255.1/24"
#: What the role writes without further settings.
OURS: dict[str, Any] = {
    "bip": BRIDGE,
    "icc": False,
    "live-restore": True,
    "log-driver": "json-file",
    "log-opts": {"max-file": "3", "max-size": "10m"},
    "no-new-privileges": True,
    "userland-proxy": False,
}
ROOT_DIR = {"data-root": "/data/docker"}
PROXIES = {"proxies": {"http-proxy": "http://me:hidden@proxy.example.org:3128"}}
#: What daemon.json says, the settings of the role, and words of its refusal; none where it goes on.
FILES: dict[str, tuple[dict[str, Any] | None, dict[str, Any], tuple[str, ...]]] = {
    "none": (None, {}, ()),
    "ours": (OURS, {}, ()),
    "ours-with-other-values": (OURS, {"engine_log_max_files": 5, "engine_bridge_address": ""}, ()),
    "ours-of-a-later-release": ({**OURS, "icc": True}, {}, ()),
    "ours-with-a-key-by-hand": ({**OURS, **ROOT_DIR}, {}, ("/data/docker",)),
    "lost": (ROOT_DIR, {}, ('"data-root": "/data/docker"', "engine_extra_options")),
    "each-is-named": (
        {**ROOT_DIR, "registry-mirrors": ["https://mirror.example.org"]},
        {},
        ("/data/docker", "https://mirror.example.org", "engine_manage"),
    ),
    "carried-over": (ROOT_DIR, {"engine_extra_options": ROOT_DIR}, ()),
    "another-value-is-meant": (
        ROOT_DIR,
        {"engine_extra_options": {"data-root": "/var/lib/docker"}},
        (),
    ),
    "may-go": (ROOT_DIR, {"engine_extra_options": {"data-root": None}}, ()),
    "changed": ({"log-driver": "journald"}, {}, ('"log-driver": "journald"',)),
    "same-value": ({"live-restore": True, "log-opts": {"max-size": "1g"}}, {}, ()),
    "bridge-of-its-own": (
        {"bip": "172.18.0.1/16"},
        {"engine_bridge_address": ""},
        ("172.18.0.1/16", "engine_bridge_address"),
    ),
    "password-of-a-proxy": (PROXIES, {}, ("http://***@proxy.example.org:3128",)),
    "stays-as-it-is": (ROOT_DIR, {"engine_manage": False}, ()),
    "other-engine": (ROOT_DIR, {"engine_name": "podman"}, ()),
}


def engine(running: int, *, restores: bool, subnet: str, gateway: str | None) -> dict[str, Any]:
    """Return the answers of an engine whose containers are all on its bridge."""
    network = {"Subnet": subnet} | ({"Gateway": gateway} if gateway else {})
    return {
        "results": [
            {"json": {"ContainersRunning": running, "LiveRestoreEnabled": restores}},
            {
                "json": {
                    "IPAM": {"Config": [network]},
                    "Containers": {str(number): {} for number in range(running)},
                }
            },
        ]
    }


DEFAULT = {"subnet": "172.17.0.0/16", "gateway": "172.17.0.1"}
#: Answers of the engine, settings of the role, and words of its refusal.
ENGINES: dict[str, tuple[dict[str, Any], dict[str, Any], tuple[str, ...]]] = {
    "nothing-runs": (engine(0, restores=False, **DEFAULT), {}, ()),
    "would-stop": (
        engine(3, restores=False, subnet="198.19.255.0/24", gateway="198.19.255.1"),
        {},
        ("3 containers", "systemctl reload docker"),
    ),
    "would-be-cut-off": (
        engine(2, restores=True, **DEFAULT),
        {},
        ("172.17.0.1/16", BRIDGE, "engine_bridge_address"),
    ),
    "same-network-other-address": (
        engine(1, restores=True, subnet="198.19.255.0/24", gateway="198.19.255.9"),
        {},
        ("198.19.255.9/24",),
    ),
    "same-bridge": (
        engine(2, restores=True, subnet="198.19.255.0/24", gateway="198.19.255.1"),
        {},
        (),
    ),
    "no-gateway-named": (engine(2, restores=True, subnet="198.19.255.0/24", gateway=None), {}, ()),
    "bridge-is-left": (
        engine(2, restores=True, **DEFAULT),
        {"engine_bridge_address": "172.17.0.1/16"},
        (),
    ),
    "engine-chooses": (engine(2, restores=True, **DEFAULT), {"engine_bridge_address": ""}, ()),
    "no-bridge": ({"results": [{"json": {"ContainersRunning": 0}}, {"json": {}}]}, {}, ()),
    "nobody-answers": ({"results": [{"status": -1}, {"status": -1}]}, {}, ()),
}


def settings(folder: Path, case: str) -> dict[str, Any]:
    """Return the settings of a host whose engine is in ``folder``, with a socket that is no engine."""
    part = {"folder": str(folder), "src": "daemon.json.j2", "dest": str(folder / f"{case}.json")}
    return {
        "__engine_settings": {"docker": part, "podman": part},
        "__engine_rival_packages": ["no-such-package"],
        "engine_socket": str(folder),
        "engine_bridge_address": BRIDGE,
    }


def preflight() -> list[dict[str, Any]]:
    """Return the tasks but the one that opens a socket."""
    return [task for task in tasks_of("engine", "preflight") if "ansible.builtin.uri" not in task]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("files")
    cases = {}
    for name, (found, own, _) in FILES.items():
        if found is not None:
            (folder / f"{name}.json").write_text(json.dumps(found))
        cases[name] = {
            **settings(folder, name),
            "__engine_answers": {"skipped": True},
            "ansible_facts": {"packages": {}},
            **own,
        }
    tasks = [task for task in preflight() if "ansible.builtin.package_facts" not in task]
    tasks = [task for task in tasks if "other build" not in task["name"]]
    return run(folder, "engine", tasks, cases)


@pytest.mark.parametrize("case", FILES)
def test_settings_that_would_be_lost_are_named(files: dict[str, dict[str, Any]], case: str) -> None:
    said, words = complaint(files[case]), FILES[case][2]

    assert bool(said) == bool(words)
    assert [word for word in words if word not in said] == []
    assert "hidden" not in said


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("engines")
    cases = {
        name: {**settings(folder, name), "__engine_answers": answers, **own}
        for name, (answers, own, _) in ENGINES.items()
    }
    return run(folder, "engine", named(preflight(), "running containers"), cases)


@pytest.mark.parametrize("case", ENGINES)
def test_running_containers_go_on_on_their_network(
    engines: dict[str, dict[str, Any]], case: str
) -> None:
    said, words = complaint(engines[case]), ENGINES[case][2]

    assert bool(said) == bool(words)
    assert [word for word in words if word not in said] == []


def test_other_build_of_the_engine_is_not_removed(tmp_path: Path) -> None:
    cases = {
        "rival": settings(tmp_path, "rival") | {"__engine_rival_packages": ["apt"]},
        "none": settings(tmp_path, "none"),
        "kept": settings(tmp_path, "kept")
        | {"__engine_rival_packages": ["apt"], "engine_manage": False},
    }

    found = run(tmp_path, "engine", named(preflight(), "packages", "other build"), cases)

    assert "has apt, which apt would remove for docker.io" in complaint(found["rival"])
    assert "engine_manage" in complaint(found["rival"])
    assert complaint(found["none"]) == complaint(found["kept"]) == ""


def test_engine_that_is_to_stay_must_be_there(tmp_path: Path) -> None:
    nowhere = {"engine_manage": False, "engine_socket": str(tmp_path / "none.sock")}

    found = run(tmp_path, "engine", preflight(), {"bare": settings(tmp_path, "bare") | nowhere})

    assert "none.sock" in complaint(found["bare"])


def test_further_options_are_written_and_a_second_run_changes_nothing(tmp_path: Path) -> None:
    options = {**ROOT_DIR, "log-driver": "local", "icc": None}
    cases = {"host": settings(tmp_path, "host") | {"engine_extra_options": options}}
    (task,) = named(tasks_of("engine", "install"), "Write the engine's settings")
    for part in ("owner", "group"):
        del task["ansible.builtin.template"][part]
    del task["notify"]

    first, second = (run(tmp_path, "engine", [task], cases)["host"] for _ in range(2))

    wanted = {**OURS, **ROOT_DIR, "log-driver": "local"}
    del wanted["icc"]
    assert json.loads((tmp_path / "host.json").read_text()) == wanted
    assert first[task["name"]]["changed"]
    assert not second[task["name"]]["changed"]
