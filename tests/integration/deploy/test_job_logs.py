"""Logs of jobs over HTTP: taken exactly once, bounded, paged and followed."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.integration.deploy_process import API, RUNNER, DeployProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LINES = 20_000
BATCH = 500
TIMEOUT = 30


def running(deploy: DeployProcess) -> dict[str, Any]:
    """Return a job that a runner has."""
    deploy.beat()
    deploy.create()
    return deploy.claimed()


def append(
    deploy: DeployProcess, job: dict[str, Any], offset: int, texts: list[str], **changed: Any
) -> tuple[int, Any]:
    """Send lines as the runner; return code and data."""
    lines = [{"t": 1_700_000_000_000, "p": "BUILD", "m": text} for text in texts]
    body = {"runnerId": "runner-1", "fence": job["fence"], "offset": offset, "lines": lines}
    status, found = deploy.call(
        "POST", f"/deploy/jobs/{job['id']}/logs", {**body, **changed}, RUNNER
    )
    assert status in {200, 400}
    return found["code"], found["data"] if found["code"] in {200, 409} else found["message"]


def page(deploy: DeployProcess, job: dict[str, Any], query: str = "") -> dict[str, Any]:
    """Return a page of the log."""
    _, found = deploy.call("GET", f"/deploy/jobs/{job['id']}/logs{query}", headers=API)
    assert found["code"] == 200, found
    data: dict[str, Any] = found["data"]
    return data


@contextmanager
def stream(
    deploy: DeployProcess, job: dict[str, Any], resume: str = ""
) -> Iterator[requests.Response]:
    """Follow the log, as far as to the headers of the answer."""
    headers = {**API, "Accept": "text/event-stream"}
    if resume:
        headers["Last-Event-ID"] = resume
    url = f"{deploy.url}/deploy/jobs/{job['id']}/logs"
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        yield answer


def read(answer: requests.Response) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield event, id and data until the answer ends."""
    fields: dict[str, str] = {}
    for raw in answer.iter_lines(chunk_size=None):
        name, _, value = raw.decode().partition(": ")
        fields[name] = value
        if not raw and "event" in fields:
            yield fields["event"], fields["id"], json.loads(fields["data"])
            fields = {}


def events(
    deploy: DeployProcess, job: dict[str, Any], resume: str = ""
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Follow the log; yield event, id and data until the connection ends or is closed."""
    with stream(deploy, job, resume) as answer:
        yield from read(answer)


def test_lines_are_numbered_over_calls_and_read_by_offset(deploy: DeployProcess) -> None:
    job = running(deploy)

    first = append(deploy, job, 0, ["one", "two"])
    second = append(deploy, job, 2, ["three"])
    found = page(deploy, job, "?offset=1")

    assert (first, second) == ((200, {"next": 2}), (200, {"next": 3}))
    assert [(line["n"], line["text"]) for line in found["lines"]] == [(1, "two"), (2, "three")]
    assert found["lines"][0] == {
        "n": 1, "at": "2023-11-14T22:13:20.000Z", "phase": "BUILD", "text": "two",
    }  # fmt: skip
    assert (found["next"], found["total"], found["ended"]) == (3, 3, False)
    assert found["dropped"] is None


def test_repeated_call_adds_nothing_and_a_gap_is_refused(deploy: DeployProcess) -> None:
    job = running(deploy)
    append(deploy, job, 0, ["one", "two"])

    again = append(deploy, job, 0, ["one", "two"])
    overlapping = append(deploy, job, 1, ["two", "three"])
    gap = append(deploy, job, 9, ["ten"])

    assert (again, overlapping) == ((200, {"next": 2}), (200, {"next": 3}))
    assert gap == (409, {"next": 3})
    assert [line["text"] for line in page(deploy, job)["lines"]] == ["one", "two", "three"]


def test_half_a_million_emoji_are_taken_at_once_as_earlier_runners_send_them(
    deploy: DeployProcess,
) -> None:
    job = running(deploy)
    rocket = "\N{ROCKET}"

    assert append(deploy, job, 0, [rocket * 900] * 582) == (200, {"next": 582})

    assert page(deploy, job, "?offset=581")["lines"][0]["text"] == rocket * 900


def test_runner_that_lost_the_job_adds_nothing(deploy: DeployProcess) -> None:
    job = running(deploy)
    append(deploy, job, 0, ["mine"])

    code, _ = append(deploy, job, 1, ["stale"], fence=job["fence"] + 1)
    unknown, _ = append(deploy, {**job, "id": "nobody"}, 0, ["x"])

    assert (code, unknown) == (409, 404)
    assert page(deploy, job)["total"] == 1


def test_rest_of_the_log_is_taken_after_the_end_but_not_for_ever(deploy: DeployProcess) -> None:
    job = running(deploy)
    deploy.report(job, "SUCCEEDED")

    late = append(deploy, job, 0, ["late"])
    deploy.schema.execute("UPDATE fun_ai_deploy_job SET ended_at = ended_at - INTERVAL 10 MINUTE")
    too_late, _ = append(deploy, job, 1, ["too late"])

    assert late == (200, {"next": 1})
    assert too_late == 409
    found = page(deploy, job)
    assert (found["total"], found["ended"], found["status"]) == (1, True, "SUCCEEDED")


def test_next_attempt_goes_on_behind_the_first(deploy: DeployProcess) -> None:
    job = running(deploy)
    append(deploy, job, 0, ["first attempt"])
    deploy.schema.execute("UPDATE fun_ai_deploy_job SET lease_expire_at = 1")
    again = deploy.claimed()

    assert append(deploy, again, 0, ["second attempt"]) == (200, {"next": 1})

    texts = [line["text"] for line in page(deploy, again)["lines"]]
    assert texts == ["first attempt", "second attempt"]


def test_what_could_act_on_a_terminal_never_gets_in(deploy: DeployProcess) -> None:
    job = running(deploy)

    append(deploy, job, 0, ["\x1b[31mred\x1b[0m\x00", "two\nlines\ttab"])

    texts = [line["text"] for line in page(deploy, job)["lines"]]
    assert texts == ["red", "two lines\ttab"]


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        pytest.param({"fence": None}, "fence", id="no fence"),
        pytest.param({"offset": -1}, "offset", id="negative offset"),
        pytest.param({"lines": "text"}, "lines", id="lines no list"),
        pytest.param({"lines": [{"t": "x", "m": "a"}]}, "lines.0.t", id="time no number"),
        pytest.param({"lines": [{"t": 1}]}, "lines.0.m", id="no text"),
        pytest.param({"lines": [{"t": 1, "m": ""}] * 1001}, "lines", id="too many"),
    ],
)
def test_bad_lines_are_refused_by_name(
    deploy: DeployProcess, changed: dict[str, Any], named: str
) -> None:
    job = running(deploy)

    body = {"runnerId": "runner-1", "fence": job["fence"], "offset": 0, "lines": []}
    path = f"/deploy/jobs/{job['id']}/logs"
    _, found = deploy.call("POST", path, {**body, **changed}, RUNNER)
    code, message = found["code"], found["message"]

    assert code == 400
    assert named in message
    assert page(deploy, job)["total"] == 0


def test_long_log_keeps_its_beginning_and_its_end(
    start_deploy: Callable[..., DeployProcess],
) -> None:
    deploy = start_deploy(DEPLOY_LOG_BYTES="65536")
    job = running(deploy)

    for offset in range(0, 4000, 100):
        append(deploy, job, offset, [f"line {offset + n:06}" for n in range(100)])

    found = page(deploy, job)
    dropped = found["dropped"]
    assert found["lines"][0]["text"] == "line 000000"
    assert 0 < dropped["from"] < dropped["to"] < found["total"] == 4000
    behind = page(deploy, job, f"?offset={dropped['from']}")
    assert behind["lines"][0]["n"] == dropped["to"]
    assert behind["lines"][-1]["text"] == f"line {behind['lines'][-1]['n']:06}"
    size = deploy.schema.rows("SELECT SUM(LENGTH(body)) AS size FROM fun_ai_deploy_job_log_chunk")
    assert int(size[0]["size"]) <= 65536
    told = [(id_, data) for name, id_, data in _until(events(deploy, job), "gap") if name == "gap"]
    assert told == [(str(dropped["to"]), dropped)]


def _until(
    found: Iterator[tuple[str, str, dict[str, Any]]], last: str
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for event in found:
        yield event
        if event[0] == last:
            return


def test_follower_that_reconnects_gets_every_line_once(deploy: DeployProcess) -> None:
    job = running(deploy)

    def produce() -> None:
        for offset in range(0, LINES, BATCH):
            texts = [f"line {offset + n}" for n in range(BATCH)]
            append(deploy, job, offset, texts)
            if offset % 2000 == 0:
                append(deploy, job, offset, texts)  # an answer that was lost: sent again
        deploy.report(job, "SUCCEEDED")

    producer = threading.Thread(target=produce)
    producer.start()
    seen: list[tuple[int, str]] = []
    resume, end = "", dict[str, Any]()
    while not end:
        for count, (name, number, data) in enumerate(events(deploy, job, resume)):
            resume = number
            if name == "end":
                end = data
                break
            seen += [(line["n"], line["text"]) for line in data["lines"]]
            if count == 4:
                break  # the connection is lost here
    producer.join(TIMEOUT)

    assert end == {"status": "SUCCEEDED"}
    assert seen == [(n, f"line {n}") for n in range(LINES)]


def test_logs_go_with_their_job(deploy: DeployProcess) -> None:
    job = running(deploy)
    append(deploy, job, 0, ["x"])

    deploy.call("POST", "/deploy/apps/purge", {"userId": 1, "appId": "20002"}, API)

    for table in ("fun_ai_deploy_job_log", "fun_ai_deploy_job_log_chunk"):
        assert deploy.schema.rows(f"SELECT * FROM {table}") == []


def test_unknown_job_has_no_log(deploy: DeployProcess) -> None:
    for path in ("/deploy/jobs/nobody/logs", "/deploy/jobs/nobody/logs/stream"):
        status, found = deploy.call("GET", path, headers=API)
        assert (status, found["code"]) == (404, 404)
