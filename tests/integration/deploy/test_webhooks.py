"""What webhooks are told of jobs, apps and nodes, and that a receiver can check it."""

from __future__ import annotations

import hashlib
import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.deploy.webhook_receiver import (
    SECRET,
    TOKEN,
    Call,
    Receiver,
    declared,
    deliveries,
    wait_for_state,
    wait_until,
)
from tests.integration.deploy_process import ADMIN, API, DeployProcess, process_env, run_command

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.deploy_process import Schema

    Start = Callable[..., DeployProcess]

PAGE = Path("docs/operations/webhooks.md")
SHA = "1481a2de7b2a7d02428ad93446ab166be7793fbb"


def hmac_by_hand(secret: bytes, message: bytes) -> str:
    """HMAC-SHA256 as RFC 2104 writes it, without the library that Deploy signs with."""
    key = secret.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(b ^ 0x36 for b in key) + message).digest()
    return hashlib.sha256(bytes(b ^ 0x5C for b in key) + inner).hexdigest()


def example() -> Callable[[str, dict[str, str], bytes], dict[str, Any] | None]:
    """Return the function that the page offers to receivers."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 - the project's own page
    found: Callable[[str, dict[str, str], bytes], dict[str, Any] | None] = names["verified"]
    return found


def check_signed(call: Call) -> None:
    stamp = call.headers["X-Funai-Timestamp"]
    right = hmac_by_hand(SECRET.encode(), stamp.encode() + b"." + call.body)
    assert call.headers["X-Funai-Signature"] == f"sha256={right}"
    assert abs(time.time() - int(stamp)) < 60


def run_job(deploy: DeployProcess, status: str, app: str = "20002", **extra: Any) -> str:
    created = deploy.create(app)[1]["data"]
    deploy.report(deploy.claimed(), status, **extra)
    job_id: str = created["id"]
    return job_id


def test_the_end_of_a_job_reaches_its_receiver_signed(start_deploy: Start, tmp_path: Path) -> None:
    with Receiver() as receiver:
        deploy = start_deploy(
            **declared(tmp_path, ops=receiver), DEPLOY_PUBLIC_BASE_URL="https://apps.test"
        )
        deploy.beat()
        done = run_job(deploy, "SUCCEEDED", result={"commit": SHA, "sourceKind": "git"})
        (call,) = receiver.wait_for(1)
        wait_for_state(deploy, "DELIVERED")

        check_signed(call)
        assert set(call.told) == {"id", "event", "at", "data"}
        assert call.told["event"] == call.headers["X-Funai-Event"] == "job.succeeded"
        assert call.headers["Content-Type"] == "application/json"
        assert re.fullmatch(r"[0-9a-f-]{36}", call.delivery)
        assert call.told["data"] == {
            "id": done,
            "type": "BUILD_AND_DEPLOY",
            "appId": "20002",
            "userId": "1",
            "status": "SUCCEEDED",
            "errorMessage": None,
            "reasonCode": None,
            "reason": None,
            "revision": 1,
            "commit": SHA,
            "deployUrl": "http://127.0.0.1:80/apps/20002/",
            "publicUrl": "https://apps.test/apps/20002/",
        }
        shown = deliveries(deploy)[0]
        assert shown["at"] == call.told["at"]
        assert (shown["id"], shown["deliveryId"]) == (call.told["id"], call.delivery)
        assert (shown["attempts"], shown["lastStatus"], shown["lastError"]) == (1, 200, None)
        log = deploy.log.read_text()
        assert SECRET not in log
        assert TOKEN not in log


def test_the_example_of_the_page_lets_only_the_genuine_through(
    start_deploy: Start, tmp_path: Path
) -> None:
    verified = example()
    with Receiver() as receiver:
        deploy = start_deploy(**declared(tmp_path, ops=receiver))
        deploy.call("POST", "/admin/webhooks/test?name=ops", None, ADMIN)
        (call,) = receiver.wait_for(1)

        assert verified(SECRET, call.headers, call.body) == call.told
        assert verified(SECRET, call.headers, call.body.replace(b"ping", b"pong")) is None
        assert verified("another-secret-0123456789", call.headers, call.body) is None
        old = {**call.headers, "X-Funai-Timestamp": str(int(time.time()) - 301)}
        right = hmac_by_hand(SECRET.encode(), f"{old['X-Funai-Timestamp']}.".encode() + call.body)
        old["X-Funai-Signature"] = f"sha256={right}"
        assert verified(SECRET, old, call.body) is None
        assert verified(SECRET, {}, call.body) is None


def test_every_cancelled_job_is_told_with_its_reason(start_deploy: Start, tmp_path: Path) -> None:
    with Receiver() as receiver:
        deploy = start_deploy(**declared(tmp_path, ops=receiver))
        deploy.beat()
        cancelled = deploy.create("c1")[1]["data"]["id"]
        deploy.call("POST", f"/deploy/jobs/{cancelled}/cancel", {"reason": "not now"}, API)
        superseded = deploy.create("c2")[1]["data"]["id"]
        body = {
            "type": "BUILD_AND_DEPLOY",
            "payload": {"appId": "c2", "userId": 1, "image": "registry.test/demo:2"},
            "onConflict": "supersede",
        }
        newer = deploy.call("POST", "/deploy/jobs", body, API)[1]["data"]["id"]
        deploy.call("POST", "/deploy/apps/cleanup", {"userId": 1, "appId": "c2"}, API)

        calls = receiver.wait_for(3)
        wait_for_state(deploy, "DELIVERED", 3)

        assert receiver.events() == ["job.cancelled"] * 3
        jobs = {call.told["data"]["id"]: call.told["data"] for call in calls}
        assert jobs[cancelled]["reason"] == "not now"
        assert jobs[cancelled]["deployUrl"] is None
        assert jobs[superseded]["reason"] == f"superseded by job {newer}"
        assert jobs[newer]["reason"] == "the app is being removed"
        for call in calls:
            check_signed(call)
            assert b"registry.test" not in call.body  # Nothing of the payload.


def test_failed_jobs_and_the_pause_that_follows_are_told(
    start_deploy: Start, tmp_path: Path
) -> None:
    with Receiver() as receiver:
        settings = declared(tmp_path, ops=receiver)
        deploy = start_deploy(**settings, DEPLOY_PAUSE_AFTER_CRASHES="1")
        deploy.beat()
        failed = run_job(deploy, "FAILED", errorMessage="the build failed", reason="BUILD")
        crashed = deploy.create("c3")[1]["data"]["id"]
        deploy.claimed()
        deploy.schema.execute(
            "UPDATE fun_ai_deploy_job SET attempt = 3, lease_expire_at = 1 WHERE status = 'RUNNING'"
        )

        told = [call.told for call in receiver.wait_for(3)]
        wait_for_state(deploy, "DELIVERED", 3)

        assert len(receiver.calls) == 3
        (paused,) = [each["data"] for each in told if each["event"] == "app.paused"]
        jobs = {each["data"]["id"]: each["data"] for each in told if each["event"] == "job.failed"}
        assert jobs[failed]["errorMessage"] == "the build failed"
        assert jobs[failed]["reasonCode"] == "BUILD"
        assert jobs[crashed]["reasonCode"] == "LEASE_EXHAUSTED"
        assert (paused["appId"], paused["jobId"]) == ("c3", crashed)
        assert "POST /deploy/apps/resume" in paused["reason"]


def test_a_webhook_is_told_what_it_asked_for(start_deploy: Start, tmp_path: Path) -> None:
    with Receiver() as everything, Receiver() as failures:
        some = {"url": failures.url, "events": ["job.failed"]}
        deploy = start_deploy(**declared(tmp_path, everything=everything, failures=some))
        deploy.beat()
        run_job(deploy, "SUCCEEDED")
        run_job(deploy, "FAILED")
        everything.wait_for(2)
        wait_for_state(deploy, "DELIVERED", 3)

        assert failures.events() == ["job.failed"]
        assert sorted(everything.events()) == ["job.failed", "job.succeeded"]
        (mine,) = failures.calls
        (theirs,) = [c for c in everything.calls if c.told["event"] == "job.failed"]
        assert mine.told == theirs.told
        assert mine.delivery != theirs.delivery


def test_a_node_is_told_stale_and_back_once_by_two_deploys(
    start_deploy: Start, tmp_path: Path
) -> None:
    with Receiver() as receiver:
        settings = {**declared(tmp_path, ops=receiver), "DEPLOY_NODE_STALE_SECONDS": "5"}
        deploy, _other = start_deploy(**settings), start_deploy(**settings)
        urls = {"agentBaseUrl": "http://127.0.0.1:7005", "gatewayBaseUrl": "http://127.0.0.1:80"}
        for declared_only in ({"name": "off", "enabled": False}, {"name": "never"}):
            deploy.call("POST", "/admin/runtime-nodes/upsert", {**declared_only, **urls}, ADMIN)
        assert deploy.beat("off")[0] == 200
        deploy.beat("node-1")
        receiver.wait_for(1)

        def is_back() -> bool:
            # Two beats count only where they come soon after each other.
            deploy.beat("node-1")
            return len(receiver.calls) >= 2

        wait_until(is_back)
        stale, back, _ = receiver.wait_for(3)

        assert receiver.events() == ["node.stale", "node.back", "node.stale"]
        assert stale.told["data"]["name"] == back.told["data"]["name"] == "node-1"
        assert (stale.told["data"]["health"], back.told["data"]["health"]) == ("STALE", "HEALTHY")
        assert back.told["data"]["lastHeartbeatAt"] > stale.told["data"]["lastHeartbeatAt"]


def test_a_ping_goes_to_one_webhook_whatever_it_asked_for(
    start_deploy: Start, tmp_path: Path
) -> None:
    with Receiver() as one, Receiver() as other:
        some = {"url": one.url, "events": ["job.failed"]}
        deploy = start_deploy(**declared(tmp_path, one=some, other=other))
        status, answer = deploy.call("POST", "/admin/webhooks/test?name=one", None, ADMIN)
        (call,) = one.wait_for(1)
        (shown,) = wait_for_state(deploy, "DELIVERED")
        unknown, refused = deploy.call("POST", "/admin/webhooks/test?name=tow", None, ADMIN)

        assert status == 200
        assert answer["data"] == {"webhook": "one", "deliveryId": call.delivery}
        assert call.told["event"] == "ping"
        assert shown["deliveryId"] == call.delivery
        assert other.calls == []
        assert unknown == 404
        assert "'tow'" in refused["message"]
        assert "one, other" in refused["message"]


def test_without_webhooks_nothing_is_written(deploy: DeployProcess) -> None:
    deploy.beat()
    run_job(deploy, "SUCCEEDED")

    assert deliveries(deploy) == []


@pytest.mark.parametrize("limit", ["0", "501", "x"])
def test_limits_of_the_list_are_checked(deploy: DeployProcess, limit: str) -> None:
    status, answer = deploy.call("GET", f"/admin/webhooks/deliveries?limit={limit}", None, ADMIN)

    assert status == 400
    assert "limit" in answer["message"]


def test_a_wrong_file_ends_deploy_for_good_and_names_no_secret(
    database: Schema, tmp_path: Path
) -> None:
    path = tmp_path / "webhooks.json"
    path.write_text(json.dumps([{"name": "ops", "url": f"ftp://x/{TOKEN}", "secret": SECRET}]))

    done = run_command(process_env(database, DEPLOY_WEBHOOKS_FILE=str(path)), "serve")

    assert done.returncode == 2
    assert f"{path}: webhook 1 (ops) must have a url" in done.stderr
    assert TOKEN not in done.stderr
    assert SECRET not in done.stderr


@pytest.mark.parametrize("how", ["rows", "days"])
def test_deliveries_are_bounded_in_number_and_age(
    start_deploy: Start, tmp_path: Path, how: str
) -> None:
    with Receiver(500) as receiver:
        settings = {**declared(tmp_path, ops=receiver), "DEPLOY_REAPER_SECONDS": "0.05"}
        deploy = start_deploy(**settings, DEPLOY_WEBHOOK_KEPT_ROWS="100")
        at = "UTC_TIMESTAMP(6)" if how == "rows" else "UTC_TIMESTAMP(6) - INTERVAL 15 DAY"
        rows = ",".join(
            f"('{n:036}','n','gone','ping',{at},'{{}}','{'PENDING' if n % 2 else 'FAILED'}',0,"
            "UTC_TIMESTAMP(6))"
            for n in range(1200)
        )
        deploy.schema.execute(
            "INSERT INTO fun_ai_deploy_webhook_delivery (delivery_id,notice_id,webhook,notice,at,data,"
            f"state,attempts,next_attempt_at) VALUES {rows}"
        )
        left = 100 if how == "rows" else 0
        count = (
            "SELECT COUNT(*) AS n, MIN(delivery_id) AS oldest FROM fun_ai_deploy_webhook_delivery"
        )

        wait_until(
            lambda: deploy.schema.rows(count)[0]["n"] == left,
            lambda: str(deploy.schema.rows(count)),
        )
        if left:
            assert int(deploy.schema.rows(count)[0]["oldest"]) == 1100
        wait_until(lambda: "webhook deliveries given up" in deploy.log.read_text())
