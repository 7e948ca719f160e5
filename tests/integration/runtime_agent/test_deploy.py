"""Deploy, stop, delete and status of apps on a real engine behind a real gateway."""

from __future__ import annotations

import http.client
import subprocess
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.integration.runtime_agent.images import let_go, lingers
from tests.integration.runtime_agent.rig import NETWORK, NODE_TOKEN, TOKEN, Node, eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from docker.api.client import APIClient


#: Those that end, say or answer something first have the time for it on a busy machine too.
READY_SECONDS = {"exits": 25, "silent": 8, "elsewhere": 2, "broken": 8}


def own_containers(engine: APIClient, node: Node) -> list[str]:
    found = engine.containers(all=True, filters={"label": f"io.funai.node={node.name}"})
    return sorted(entry["Names"][0].lstrip("/") for entry in found)


def test_deployed_app_answers_through_the_gateway(
    node: Node, app_image: Callable[[str], str]
) -> None:
    answer = node.deploy(app_image("1"), fence=1, jobId="job-1")

    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["containerName"] == "rt-shop-1"
    assert body["status"] == "DEPLOYED"
    assert body["previewUrl"] == f"http://127.0.0.1:{node.haproxy.port}/apps/shop/"
    assert body["imageDigest"].startswith("sha256:")
    assert set(body["durations"]) == {"pullMs", "startMs", "readyMs", "switchMs"}
    assert "connection refused" in body["imageNote"]
    assert node.page() == "release 1 port 8080 path /apps/shop"
    status = node.status()
    assert (status["exists"], status["running"], status["port"]) == (True, True, 8080)


def test_container_is_confined(
    node: Node, app_image: Callable[[str], str], engine: APIClient
) -> None:
    node.deploy(app_image("1"), fence=1, jobId="job-1")

    container = engine.inspect_container("rt-shop-1")
    host = container["HostConfig"]
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert not host["Privileged"]
    assert not host["Binds"]
    assert not host["PortBindings"]
    assert host["Memory"] == host["MemorySwap"] == 64 * 1024 * 1024
    assert host["PidsLimit"] == 256
    assert host["NanoCpus"] == 1_000_000_000
    assert host["RestartPolicy"]["Name"] == "unless-stopped"
    assert host["LogConfig"]["Config"] == {"max-size": "10m", "max-file": "3"}
    assert list(container["NetworkSettings"]["Networks"]) == [NETWORK]
    labels = container["Config"]["Labels"]
    assert labels["io.funai.managed"] == "true"
    assert (labels["io.funai.app"], labels["io.funai.user"]) == ("shop", "7")
    assert (labels["io.funai.fence"], labels["io.funai.job"]) == ("1", "job-1")
    network = engine.inspect_network(NETWORK)
    assert network["Options"]["com.docker.network.bridge.enable_icc"] == "false"


@pytest.mark.parametrize(
    ("variant", "expected", "said"),
    [
        pytest.param("exits", (500, "CONTAINER_EXITED"), "no database", id="exits"),
        pytest.param("silent", (504, "NEVER_READY"), "thinking", id="never-listens"),
        pytest.param("elsewhere", (504, "NEVER_READY"), "", id="other-port"),
        pytest.param("broken", (504, "NEVER_READY"), "", id="answers-500"),
    ],
)
def test_failed_deploy_leaves_the_old_version_untouched(
    node: Node,
    engine: APIClient,
    app_image: Callable[[str], str],
    variant: str,
    expected: tuple[int, str],
    said: str,
) -> None:
    assert node.deploy(app_image("1"), fence=1).ok
    before = engine.inspect_container("rt-shop-1")

    answer = node.deploy(app_image(variant), fence=2, readySeconds=READY_SECONDS[variant])

    assert (answer.status_code, answer.json()["reason"]) == expected, answer.text
    evidence = answer.json()["evidence"]
    assert said in "\n".join(evidence["logs"])
    if variant == "broken":
        assert (evidence["status"], evidence["bodyHead"]) == (500, "no luck today")
    if variant == "exits":
        assert evidence["exitCode"] == 3
    after = engine.inspect_container("rt-shop-1")
    assert (before["Id"], before["State"]["StartedAt"]) == (
        after["Id"],
        after["State"]["StartedAt"],
    )
    assert own_containers(engine, node) == ["rt-shop-1"]
    assert node.page() == "release 1 port 8080 path /apps/shop"


def test_redeploy_under_load_fails_no_request(
    node: Node, engine: APIClient, app_image: Callable[[str], str]
) -> None:
    assert node.deploy(app_image("1"), fence=1).ok
    with under_load(node) as (failures, counts):
        for fence in range(2, 8):
            assert node.deploy(app_image("1" if fence % 2 else "2"), fence=fence).ok
            assert node.page().startswith(f"release {1 if fence % 2 else 2} ")

        eventually(lambda: own_containers(engine, node) == ["rt-shop-7"], 40, "old ones gone")
    assert failures == []
    assert sum(counts) > 100
    eventually(lambda: set(node.phases()) == {"DONE"}, what="journal")


@contextmanager
def under_load(node: Node) -> Iterator[tuple[list[Any], list[int]]]:
    """Ask for the app from three threads meanwhile; yield what failed and how often each asked."""
    stop = threading.Event()
    failures: list[Any] = []
    counts = [0, 0, 0]
    threads = [
        threading.Thread(target=_load, args=(node.haproxy.port, stop, failures, counts, index))
        for index in range(3)
    ]
    for thread in threads:
        thread.start()
    try:
        yield failures, counts
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)


def _load(
    port: int, stop: threading.Event, failures: list[Any], counts: list[int], index: int
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    while not stop.is_set():
        text = f"{index} {counts[index]}"
        try:
            if counts[index] % 2:
                connection.request("POST", "/apps/shop/cgi-bin/echo", body=text)
            else:
                connection.request("GET", "/apps/shop/")
            answer = connection.getresponse()
            body = answer.read().decode()
            wrong = counts[index] % 2 and body != text
            if answer.status != 200 or wrong:
                failures.append((answer.status, body))
        except (OSError, http.client.HTTPException) as exc:
            failures.append(repr(exc))
            connection.close()
        counts[index] += 1
    connection.close()


def test_request_in_flight_finishes_on_the_old_container(
    node: Node, engine: APIClient, app_image: Callable[[str], str]
) -> None:
    assert node.deploy(app_image("1"), fence=1).ok
    bodies: list[str] = []
    slow = threading.Thread(
        target=lambda: bodies.append(node.haproxy.get("/apps/shop/cgi-bin/linger").text)
    )
    slow.start()
    eventually(lambda: lingers(engine, "rt-shop-1"), what="request arrived")

    assert node.deploy(app_image("2"), fence=2).ok

    let_go(engine, "rt-shop-1")
    slow.join(60)
    assert bodies == ["lingered\n"]
    eventually(lambda: own_containers(engine, node) == ["rt-shop-2"], 40, "old one gone")


def test_stopped_app_has_no_route_and_says_so(node: Node, app_image: Callable[[str], str]) -> None:
    assert node.deploy(app_image("1"), fence=1).ok

    answer = node.post("/agent/apps/stop", userId=7, appId="shop")

    assert (answer.status_code, answer.json()["status"]) == (200, "STOPPED")
    gone = node.haproxy.get("/apps/shop/")
    assert gone.status_code == 404
    assert "not deployed here" in gone.text
    status = node.status()
    assert (status["exists"], status["running"], status["state"]) == (True, False, "STOPPED")
    assert node.deploy(app_image("2"), fence=2).ok
    assert node.page().startswith("release 2 ")


def test_deleted_app_leaves_nothing(
    node: Node, engine: APIClient, app_image: Callable[[str], str]
) -> None:
    assert node.deploy(app_image("1"), fence=1).ok

    answer = node.post("/agent/apps/delete", userId="7", appId="shop")

    assert answer.json()["status"] == "DELETED"
    # The agent did not pull it, so it is not the agent's to remove.
    assert answer.json()["images"]["removed"] == []
    assert own_containers(engine, node) == []
    assert node.haproxy.get("/apps/shop/").status_code == 404
    assert not node.status()["exists"]
    assert node.post("/agent/apps/delete", userId="7", appId="shop").json()["containers"] == []


def test_numbers_are_accepted_where_strings_are_declared(
    node: Node, app_image: Callable[[str], str]
) -> None:
    answer = node.deploy(app_image("1"), userId=7, appId=20002, containerPort="8080", fence="3")

    assert answer.ok, answer.text
    assert answer.json()["containerName"] == "rt-20002-3"
    assert node.page("20002") == "release 1 port 8080 path /apps/20002"


def free_share_of_df(engine: APIClient) -> float:
    """Return the percentage of the engine's file system that ``df`` shows as free."""
    command = ["df", "--output=pcent", str(engine.info()["DockerRootDir"])]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return 100.0 - float(shown.split()[1].rstrip("%"))


def test_heartbeat_names_the_node_with_its_figures(
    node: Node, engine: APIClient, app_image: Callable[[str], str]
) -> None:
    assert node.deploy(app_image("1"), fence=1).ok
    beats = node.deploy_service.heartbeats
    counted: list[tuple[str | None, dict[str, Any]]] = []

    def is_counted() -> bool:
        counted[:] = [beat for beat in beats if beat[1].get("containerCount") == 1]
        return bool(counted)

    eventually(is_counted, what="heartbeat")

    token, body = counted[0]
    assert token == NODE_TOKEN
    assert (body["nodeName"], body["agentBaseUrl"]) == (node.name, node.url)
    assert body["diskFreePct"] == pytest.approx(free_share_of_df(engine), abs=2)
    assert body["diskFreeBytes"] > 0


def test_metrics_count_apps_and_outcomes(node: Node, app_image: Callable[[str], str]) -> None:
    assert node.deploy(app_image("1"), fence=1).ok
    node.deploy(app_image("exits"), fence=2)
    node.wait_reconciled()

    text = requests.get(f"{node.url}/metrics", headers={"X-Runtime-Token": TOKEN}, timeout=10).text

    assert 'funai_agent_apps{state="DEPLOYED"} 1.0' in text
    assert 'funai_agent_deploys_total{outcome="CONTAINER_EXITED"} 1.0' in text
    assert 'funai_agent_condition_ok{condition="engine"} 1.0' in text


def test_resident_memory_stays_below_60_megabytes(
    node: Node, app_image: Callable[[str], str]
) -> None:
    for fence in range(1, 4):
        assert node.deploy(app_image("1"), fence=fence).ok

    assert node.process is not None
    with open(f"/proc/{node.process.pid}/status") as status:  # noqa: PTH123
        resident = next(line for line in status if line.startswith("VmRSS"))
    print(resident)  # noqa: T201 - the measured figure, shown with -rP
    assert int(resident.split()[1]) < 60_000, resident
