"""A delivery gets there: through receivers that fail, hang and drip, and Deploys that are killed."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

import pytest
import requests

from tests.integration.deploy.webhook_receiver import (
    TOKEN,
    Receiver,
    declared,
    deliveries,
    wait_for_state,
    wait_until,
)
from tests.integration.deploy_process import ADMIN, DeployProcess
from tests.integration.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Start = Callable[..., DeployProcess]

DUE_NOW = "UPDATE fun_ai_deploy_webhook_delivery SET next_attempt_at = UTC_TIMESTAMP(6)"


def ping(deploy: DeployProcess, name: str = "ops") -> str:
    status, answer = deploy.call("POST", f"/admin/webhooks/test?name={name}", None, ADMIN)
    assert status == 200, answer
    delivery: str = answer["data"]["deliveryId"]
    return delivery


def kill(deploy: DeployProcess) -> None:
    """End it and its worker at once, as a power cut would; its last COMMIT may still be carried out."""
    os.killpg(deploy.pid, signal.SIGKILL)
    deploy.stop()
    connected = (
        "SELECT id FROM information_schema.processlist WHERE db = %s AND id <> CONNECTION_ID()"
    )
    wait_until(lambda: not deploy.schema.rows(connected, deploy.schema.name))


def test_a_delivery_that_fails_is_tried_again_the_same(start_deploy: Start, tmp_path: Path) -> None:
    with Receiver(500, said="not\x1b[31m now") as receiver:
        settings = {**declared(tmp_path, ops=receiver), "DEPLOY_WEBHOOK_BACKOFF_SECONDS": "0.5"}
        deploy = start_deploy(**settings)
        ping(deploy)
        first = receiver.wait_for(1)[0]
        wait_until(lambda: deliveries(deploy)[0]["lastError"])
        waiting = deliveries(deploy)[0]
        # Not before the look, which may come late.
        receiver.statuses = [503, 204]
        (done,) = wait_for_state(deploy, "DELIVERED")
        calls = receiver.wait_for(3)

        assert waiting["state"] == "PENDING"
        assert waiting["lastError"] == "answered HTTP 500: not[31m now"
        assert waiting["nextAttemptAt"] > waiting["at"]
        assert {call.body for call in calls} == {first.body}
        assert {call.delivery for call in calls} == {first.delivery}
        outcome = (done["attempts"], done["lastStatus"], done["lastError"])
        assert outcome == (len(calls), 204, None)
        assert done["nextAttemptAt"] is None
        # 0.5 s and 2 s, each shorter by at most a fifth.
        assert calls[1].at - calls[0].at >= 0.4
        assert calls[2].at - calls[1].at >= 1.6


def test_tries_have_an_end(start_deploy: Start, tmp_path: Path) -> None:
    with Receiver(500) as receiver:
        deploy = start_deploy(**declared(tmp_path, ops=receiver), DEPLOY_WEBHOOK_ATTEMPTS="3")
        ping(deploy)
        (given_up,) = wait_for_state(deploy, "FAILED")

        assert (given_up["attempts"], given_up["lastStatus"]) == (3, 500)
        assert len(receiver.calls) == 3
        assert given_up["endedAt"]
        # A try is counted after it was written down.
        wait_until(lambda: tries(deploy, "failed") == 1, lambda: figures(deploy))
        assert tries(deploy, "put off") == 2


def figures(deploy: DeployProcess) -> str:
    return requests.get(f"{deploy.url}/metrics", timeout=30).text


def tries(deploy: DeployProcess, outcome: str) -> float:
    name = f'funai_deploy_webhook_tries_total{{outcome="{outcome}"}} '
    lines = (line for line in figures(deploy).splitlines() if line.startswith(name))
    return next((float(line.removeprefix(name)) for line in lines), 0)


@pytest.mark.parametrize(
    ("status", "seconds", "text"),
    [
        pytest.param(302, "20", "redirects are not followed", id="redirect"),
        pytest.param(0, "1", "no whole answer within 1 s", id="hangs"),
        pytest.param(-1, "1", "no whole answer within 1 s", id="drips"),
        pytest.param(404, "20", "answered HTTP 404", id="unknown"),
    ],
)
def test_what_a_receiver_did_is_said_without_its_address(
    start_deploy: Start, tmp_path: Path, status: int, seconds: str, text: str
) -> None:
    with Receiver(status) as receiver:
        settings = {
            **declared(tmp_path, ops=receiver),
            "DEPLOY_WEBHOOK_ATTEMPTS": "1",
            "DEPLOY_WEBHOOK_TIMEOUT_SECONDS": seconds,
        }
        deploy = start_deploy(**settings)
        ping(deploy)
        (found,) = wait_for_state(deploy, "FAILED")

        receiver.wait_for(1)
        assert text in found["lastError"]
        assert [call.path for call in receiver.calls] == [f"/hook?access_token={TOKEN}"]
        assert TOKEN not in str(found) + deploy.log.read_text()


def test_receivers_that_are_not_there_are_said(start_deploy: Start, tmp_path: Path) -> None:
    nowhere = {"url": f"http://127.0.0.1:{free_port()}/"}
    tls = {"url": "https://127.0.0.1:1/"}
    settings = declared(tmp_path, nowhere=nowhere, tls=tls)
    deploy = start_deploy(**settings, DEPLOY_WEBHOOK_ATTEMPTS="1")
    ping(deploy, "nowhere")
    ping(deploy, "tls")

    for found in wait_for_state(deploy, "FAILED", 2):
        assert found["lastError"] == "no connection: Connection refused"
        assert found["lastStatus"] is None


def test_a_hanging_receiver_holds_up_nobody_else(start_deploy: Start, tmp_path: Path) -> None:
    with Receiver(0) as hangs, Receiver(-1) as drips, Receiver() as well:
        settings = declared(tmp_path, hangs=hangs, drips=drips, well=well)
        deploy = start_deploy(**{**settings, "DEPLOY_WEBHOOK_TIMEOUT_SECONDS": "60"})
        deploy.beat()
        for number in range(10):
            deploy.create(f"app-{number}")
            deploy.report(deploy.claimed(), "SUCCEEDED")
        well.wait_for(10)
        for other in (hangs, drips):
            other.wait_for(1)

        # Both still hold their first call, and have nine that wait.
        assert (len(hangs.calls), len(drips.calls)) == (1, 1)


def test_a_killed_deploy_loses_no_delivery(start_deploy: Start, tmp_path: Path) -> None:
    with Receiver(500) as receiver:
        settings = {**declared(tmp_path, ops=receiver), "DEPLOY_WEBHOOK_BACKOFF_SECONDS": "60"}
        first = start_deploy(**settings)
        ping(first)
        before = receiver.wait_for(1)[0]
        wait_until(lambda: deliveries(first)[0]["lastStatus"] == 500)
        kill(first)

        receiver.statuses = [200]
        second = start_deploy(**settings)
        assert deliveries(second)[0]["state"] == "PENDING"
        second.schema.execute(DUE_NOW)
        (done,) = wait_for_state(second, "DELIVERED")

        assert done["attempts"] == 2
        assert receiver.calls[-1].body == before.body
        assert receiver.calls[-1].delivery == before.delivery


def test_a_deploy_killed_while_it_sends_leaves_that_try_to_another(
    start_deploy: Start, tmp_path: Path
) -> None:
    with Receiver(0, 200) as receiver:
        settings = {**declared(tmp_path, ops=receiver), "DEPLOY_WEBHOOK_ATTEMPTS": "1"}
        first = start_deploy(**{**settings, "DEPLOY_WEBHOOK_TIMEOUT_SECONDS": "20"})
        ping(first)
        receiver.wait_for(1)
        kill(first)

        second = start_deploy(**settings)
        (taken,) = deliveries(second)
        assert (taken["state"], taken["attempts"]) == ("PENDING", 1)
        assert taken["nextAttemptAt"] > taken["at"]
        # As if the time of that try were over.
        second.schema.execute(DUE_NOW)
        (done,) = wait_for_state(second, "DELIVERED")

        # Its only try was lost with Deploy, so it got another.
        assert done["attempts"] == 2
        assert len({call.delivery for call in receiver.calls}) == 1


def test_every_job_that_ended_has_its_delivery_after_a_kill(
    start_deploy: Start, tmp_path: Path
) -> None:
    with Receiver() as receiver:
        settings = declared(tmp_path, ops=receiver)
        first = start_deploy(**settings)
        first.beat()
        ends = threading.Event()

        def report_jobs() -> None:
            number = 0
            while not ends.is_set():
                number += 1
                try:
                    first.create(f"app-{number}")
                    first.report(first.claimed(), "SUCCEEDED")
                except (requests.RequestException, AssertionError):
                    return

        threads = [threading.Thread(target=report_jobs) for _ in range(3)]
        for thread in threads:
            thread.start()
        receiver.wait_for(5)
        kill(first)
        ends.set()
        for thread in threads:
            thread.join()

        second = start_deploy(**settings)
        jobs = "SELECT id FROM fun_ai_deploy_job WHERE status = 'SUCCEEDED'"
        ended = {row["id"] for row in second.schema.rows(jobs)}
        second.schema.execute(f"{DUE_NOW} WHERE state = 'PENDING'")
        wait_for_state(second, "DELIVERED", len(ended))

        told = [call.told["data"]["id"] for call in receiver.calls]
        assert set(told) == ended
        rows = second.schema.rows("SELECT COUNT(*) AS n FROM fun_ai_deploy_webhook_delivery")
        assert rows[0]["n"] == len(ended)
        # At most the one that was being sent came twice.
        assert len(told) <= len(ended) + 1


def test_two_deploys_send_each_delivery_once(start_deploy: Start, tmp_path: Path) -> None:
    with Receiver() as receiver:
        settings = declared(tmp_path, ops=receiver)
        deploys = [start_deploy(**settings), start_deploy(**settings)]
        made: list[str] = []

        def send(deploy: DeployProcess) -> None:
            made.extend(ping(deploy) for _ in range(40))

        threads = [threading.Thread(target=send, args=(deploy,)) for deploy in deploys]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        done = wait_for_state(deploys[0], "DELIVERED", 80)

        assert sorted(call.delivery for call in receiver.calls) == sorted(made)
        assert {found["attempts"] for found in done} == {1}


def test_a_deploy_that_stops_in_order_writes_down_what_it_sent(
    start_deploy: Start, tmp_path: Path
) -> None:
    with Receiver(0) as receiver:
        settings = {**declared(tmp_path, ops=receiver), "DEPLOY_WEBHOOK_TIMEOUT_SECONDS": "5"}
        first = start_deploy(**settings)
        ping(first)
        receiver.wait_for(1)
        first.stop()

        rows = first.schema.rows("SELECT * FROM fun_ai_deploy_webhook_delivery")
        assert "no whole answer" in rows[0]["last_error"]
