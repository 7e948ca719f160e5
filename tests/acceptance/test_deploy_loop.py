"""One app through the whole loop: job, runner, agent, container, gateway, edge."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any

import pymysql
import pytest

from tests.acceptance import edge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import requests

    from tests.acceptance.conftest import DeployedApp, RecordEvidence
    from tests.acceptance.live_platform import Platform

TIMEOUT = 10  # seconds
#: A runner says that it has reported after Deploy has taken the report, and the journal after that.
JOURNAL_SECONDS = 15
#: What the journal of the runner has to show of each job, and the fields beside its id.
LOG_POINTS = {
    "claimed": ("appId", "fence", "agentBaseUrl", "gatewayBaseUrl"),
    "deploy_called": ("answer",),
    "reported": ("answer",),
}


@pytest.fixture(scope="module")
def database(platform: Platform) -> Iterator[Any]:
    """Deploy's schema, read with the observer's account from the operator's address."""
    connection = pymysql.connect(
        host=platform.address("api"),
        user="funai_observer",
        password=platform.credential("db_observer_password"),
        database="db_funaistudio",
        connect_timeout=TIMEOUT,
        cursorclass=pymysql.cursors.DictCursor,
    )
    with connection:
        yield connection


def one_row(database: Any, query: str, key: str) -> dict[str, Any]:
    with database.cursor() as cursor:
        cursor.execute(query, (key,))
        rows = list(cursor.fetchall())
    assert len(rows) == 1, f"{len(rows)} rows for {key} in: {query}"
    return dict(rows[0])


@pytest.mark.point("Job goes PENDING, RUNNING, SUCCEEDED")
def test_job_goes_from_pending_over_running_to_succeeded(
    app: DeployedApp, record_evidence: RecordEvidence
) -> None:
    changes = [
        event["toStatus"]
        for event in app.events
        if event["toStatus"] and event["toStatus"] != event["fromStatus"]
    ]

    record_evidence(f"job {app.job_id}: {' -> '.join(changes)} on {app.node}")
    assert changes == ["PENDING", "RUNNING", "SUCCEEDED"]


@pytest.mark.point("Job's row is in fun_ai_deploy_job")
def test_row_of_the_job_is_in_the_database(
    app: DeployedApp, database: Any, record_evidence: RecordEvidence
) -> None:
    query = "SELECT app_id, status, runner_id FROM fun_ai_deploy_job WHERE id = %s"
    row = one_row(database, query, app.job_id)

    record_evidence(f"{app.job_id}: {row}")
    assert row["app_id"] == app.app_id
    assert row["status"] == "SUCCEEDED"


@pytest.mark.point("Last-known row is in fun_ai_deploy_app_run")
def test_last_known_of_the_app_is_in_the_database(
    app: DeployedApp, database: Any, record_evidence: RecordEvidence
) -> None:
    query = (
        "SELECT node_id, last_job_id, last_job_status, last_deployed_at"
        " FROM fun_ai_deploy_app_run WHERE app_id = %s"
    )
    row = one_row(database, query, app.app_id)

    record_evidence(f"{app.app_id}: {row}")
    assert row["last_job_id"] == app.job_id
    assert row["last_job_status"] == "SUCCEEDED"
    assert row["last_deployed_at"]


@pytest.mark.point("Runner logs claimed, deploy called, reported")
def test_runner_logged_each_point_of_the_job(
    platform: Platform,
    app: DeployedApp,
    connect: Callable[[str], Any],
    record_evidence: RecordEvidence,
) -> None:
    lines = journal(platform, app, connect)
    deadline = time.monotonic() + JOURNAL_SECONDS
    while "event=reported " not in "\n".join(lines) and time.monotonic() < deadline:
        lines = journal(platform, app, connect)

    for point, fields in LOG_POINTS.items():
        matching = [line for line in lines if f"event={point} " in line]
        assert matching, f"no runner logged {point} for job {app.job_id}: {lines}"
        record_evidence(matching[0][:300])
        missing = [field for field in fields if f" {field}=" not in matching[0]]
        assert missing == [], f"{point} lacks {missing}"


def journal(platform: Platform, app: DeployedApp, connect: Callable[[str], Any]) -> list[str]:
    """Return what the runners say of the job."""
    lines: list[str] = []
    for name in platform.hosts["runner"]:
        command = "journalctl --unit funai-runner --since -1hour --output cat --grep %s"
        found = connect(name).run(command, re.escape(app.job_id))
        lines += found.stdout.splitlines()
    return lines


@pytest.mark.point("Container exists and is confined")
def test_container_of_the_app_runs_confined(
    platform: Platform,
    app: DeployedApp,
    connect: Callable[[str], Any],
    record_evidence: RecordEvidence,
) -> None:
    host = connect(node_host(platform, app))
    listing = "docker ps --filter label=io.funai.app=%s --format '{{.ID}}'"
    ids = host.check_output(listing, app.app_id).split()
    assert len(ids) == 1, f"{len(ids)} containers of {app.app_id} run"

    found = json.loads(host.check_output("docker inspect %s", ids[0]))[0]

    limits = found["HostConfig"]
    record_evidence(
        f"{found['Name'].lstrip('/')}: CapDrop={limits['CapDrop']}"
        f" SecurityOpt={limits['SecurityOpt']} Memory={limits['Memory']}"
        f" Pids={limits['PidsLimit']} RestartPolicy={limits['RestartPolicy']['Name']}"
    )
    assert faults(found) == []


def faults(found: dict[str, Any]) -> list[str]:
    """Return what an app's container must not have, of what this one has."""
    limits = found["HostConfig"]
    security = limits["SecurityOpt"] or []
    rules = {
        "is privileged": limits["Privileged"],
        "keeps capabilities": [name.upper() for name in limits["CapDrop"] or []] != ["ALL"],
        "was given capabilities": bool(limits["CapAdd"]),
        "may gain privileges": not any(entry.startswith("no-new-priv") for entry in security),
        "runs without seccomp": "seccomp=unconfined" in security,
        "has no memory limit": not limits["Memory"],
        "has no CPU limit": not limits["NanoCpus"],
        "has no process limit": (limits["PidsLimit"] or 0) <= 0,
        "shares a namespace": "host"
        in {limits["NetworkMode"], limits["PidMode"], limits["IpcMode"], limits["UTSMode"]},
        "mounts the host": bool(limits["Binds"]),
        "has devices": bool(limits["Devices"]),
        "publishes ports": bool(limits["PortBindings"]),
        "does not come back after a reboot": limits["RestartPolicy"]["Name"] == "no",
        "has no fence label": "io.funai.fence" not in found["Config"]["Labels"],
    }
    return [fault for fault, holds in rules.items() if holds]


def node_host(platform: Platform, app: DeployedApp) -> str:
    """Return the inventory name of the host the app was placed on."""
    agent = app.job["runtimeNode"]["agentBaseUrl"].rstrip("/")
    for name, address in platform.hosts["runtime"].items():
        if agent == f"http://{address}:7005":
            return name
    pytest.fail(f"no runtime host of the inventory has the agent {agent}")


@pytest.mark.point("App answers on its node's gateway")
def test_app_answers_on_the_gateway_of_its_node(
    platform: Platform, app: DeployedApp, http: requests.Session, record_evidence: RecordEvidence
) -> None:
    address = platform.hosts["runtime"][node_host(platform, app)]
    url = f"http://{address}/apps/{app.app_id}/"

    answer = http.get(url, timeout=TIMEOUT, allow_redirects=False)

    record_evidence(f"GET {url}: {answer.status_code}, {len(answer.content)} bytes")
    assert answer.status_code == 200


@pytest.mark.point("App answers on the edge")
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_app_answers_on_the_edge(
    platform: Platform,
    app: DeployedApp,
    http: requests.Session,
    trusted_ca: str,
    record_evidence: RecordEvidence,
    scheme: str,
) -> None:
    url = f"{scheme}://{platform.address('api')}/apps/{app.app_id}/"

    answer = edge.ask(http, url, timeout=TIMEOUT, allow_redirects=False, verify=trusted_ca)

    record_evidence(f"GET {url}: {answer.status_code}, {len(answer.content)} bytes")
    assert answer.status_code == 200


@pytest.mark.point("App answers on the edge")
def test_edge_says_what_is_wrong_with_an_unknown_app(
    platform: Platform, http: requests.Session, record_evidence: RecordEvidence
) -> None:
    url = f"{platform.edge_url}/apps/no-such-app-here/"

    answer = http.get(url, timeout=TIMEOUT, allow_redirects=False)

    record_evidence(f"GET {url}: {answer.status_code} {answer.text.strip()[:80]}")
    assert answer.status_code == 404
    assert answer.text.strip()
