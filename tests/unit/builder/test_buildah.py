from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from funai.builder import cgroup, processes, storage
from funai.builder.buildah import (
    Buildah,
    image_format,
    marked_build,
    mounts_anything,
    registries_conf,
    signature_policy,
)
from funai.builder.config import Settings
from funai.builder.model import BuildRequest


@pytest.mark.parametrize(
    ("dockerfile", "expected"),
    [
        (b"FROM x\nRUN --mount=type=cache,target=/c make\n", True),
        (b"FROM x\nRUN --mo\\\nunt=type=bind,target=/c make\n", True),
        (b"# escape=`\nFROM x\nRUN --mo`\r\nunt=type=bind make\n", True),
        (b"FROM x\nRUN make --amount=3\n", False),
    ],
)
def test_step_that_mounts_is_recognised(dockerfile: bytes, *, expected: bool) -> None:
    assert mounts_anything(dockerfile) is expected


def test_dockerfile_with_a_shell_of_its_own_is_built_in_the_format_that_has_one() -> None:
    assert image_format(b'FROM x\nSHELL ["/bin/bash", "-c"]\n') == "docker"
    assert image_format(b"FROM x\nRUN echo SHELL\n") == "oci"


def test_names_without_a_registry_come_from_the_mirror() -> None:
    found = tomllib.loads(registries_conf("registry.example:5000/library"))

    assert found["unqualified-search-registries"] == ["docker.io"]
    locations = {each.get("prefix"): each["location"] for each in found["registry"]}
    assert locations["docker.io/library"] == "registry.example:5000/library"
    assert locations["docker.io"] == "registry.example:5000/library"


def test_policy_names_the_registries_and_the_mirrored_one() -> None:
    found = json.loads(signature_policy(("registry.example",), mirrored=True))

    assert found["default"] == [{"type": "reject"}]
    assert set(found["transports"]["docker"]) == {"registry.example", "docker.io"}


def test_policy_without_names_allows_any_registry() -> None:
    found = json.loads(signature_policy((), mirrored=False))

    assert set(found["transports"]["docker"]) == {""}


def test_what_users_choose_never_stands_where_an_option_could(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_bytes(b"FROM scratch\n")
    request = BuildRequest(id="job", build_args={"A": "--root=/"})

    argv = Buildah(Settings(), "overlay").build_argv(request, tmp_path, cached=True)

    assert argv[argv.index("--build-arg") + 1] == "A=--root=/"
    assert argv[-1] == f"{tmp_path}/context"
    assert "--pull-always" in argv


def test_container_is_known_by_the_mark_of_its_build() -> None:
    record = {"CommonBuildOpts": {"CgroupParent": "/funai-build-job-1"}}

    assert marked_build(record) == "job-1"
    assert marked_build({"CommonBuildOpts": {"CgroupParent": "/other"}}) == ""
    assert marked_build({"CommonBuildOpts": None}) == ""


@pytest.mark.parametrize(
    ("membership", "folder"),
    [
        ("0::/system.slice/x.service\n", "system.slice/x.service"),
        ("8:pids:/a/b\n4:memory:/m\n0::/u\n", "memory/m"),
        ("3:cpu,memory:/m\n", "memory/m"),
    ],
)
def test_control_group_is_found_in_both_versions(membership: str, folder: str) -> None:
    assert cgroup.own_folder(membership, "memory", Path("/cg")) == Path("/cg", folder)


def test_storage_is_read_from_its_books(tmp_path: Path) -> None:
    layer, image = "1" * 64, "2" * 64
    for kind, entries in {
        "layers": [{"id": layer, "diff-size": 5}, {"id": "container", "parent": layer}],
        "images": [
            {"id": image, "names": ["a:1"], "layer": layer, "created": "2026-01-01T00:00:00.5Z"}
        ],
        "containers": [{"id": "c", "image": image, "layer": "container"}],
    }.items():
        path = tmp_path / f"overlay-{kind}" / f"{kind}.json"
        path.parent.mkdir()
        path.write_text(json.dumps(entries))
    record = tmp_path / "overlay-containers/c/userdata/buildah.json"
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps({"CommonBuildOpts": {"CgroupParent": "/funai-build-x"}}))

    found = storage.read(tmp_path)

    assert found.total_bytes() == 5
    assert found.images == [storage.Image(image, ("a:1",), layer, 1767225600.5)]
    assert found.containers == [storage.Container("c", image, "container", "x")]
    assert found.chain("container") == ["container", layer]


def test_storage_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert storage.read(tmp_path) == storage.Inventory({}, [], [])


_RUNAWAY = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        print(os.getpid(), flush=True)
        time.sleep(600)
    os._exit(0)
"""
_KEEPER = f"""
import subprocess, sys
from funai.builder import processes
processes.adopt_orphans()
child = subprocess.Popen([sys.executable, "-c", {_RUNAWAY!r}], stdout=subprocess.PIPE)
pid = int(child.stdout.readline())
child.wait()
print(pid in processes.descendants(__import__("os").getpid()), processes.end_all(), pid)
"""


def test_process_that_left_its_parents_is_ended_too() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _KEEPER], capture_output=True, text=True, check=True, timeout=60
    )

    found, ended, pid = done.stdout.split()
    assert (found, ended) == ("True", "True")
    assert has_ended(pid)


def has_ended(pid: str) -> bool:
    """Tell whether a process has ended, whoever has yet to take its status."""
    try:
        stat = Path("/proc", pid, "stat").read_text()
    except OSError:
        return True
    return stat.rpartition(")")[2].split()[0] in {"Z", "X"}


def test_status_of_a_child_is_kept_for_who_started_it() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    child.send_signal(signal.SIGTERM)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

    processes.reap([child])

    assert child.returncode == -signal.SIGTERM
