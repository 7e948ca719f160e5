from __future__ import annotations

from typing import Any

import pytest

from lab import demo, demo_app, identity
from lab.process import LabError

HEALTHY_NODE = [{"name": "runtime-01", "health": "HEALTHY"}]


class FakeDeploy:
    """Answers as Deploy does, from what the test says, and keeps what was posted."""

    def __init__(self, last: dict[str, Any] | None, outcome: str = "SUCCEEDED") -> None:
        self.last = last
        self.outcome = outcome
        self.created: list[dict[str, Any]] = []

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        if method == "POST":
            assert body is not None
            self.created.append(body["payload"])
            return {"id": "j1", "status": "PENDING"}
        if path.startswith("/deploy/jobs/by-app"):
            return [self.last] if self.last else []
        if path.startswith("/admin/runtime-nodes"):
            return HEALTHY_NODE
        found = {"id": "j1", "status": self.outcome, "errorMessage": "the app never answered"}
        return found | ({"reason": "no node has room"} if self.outcome == "PENDING" else {})


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(identity, "secret", lambda name: name)
    monkeypatch.setattr(demo_app, "page_release", lambda: "1")
    return monkeypatch


def use(lab: pytest.MonkeyPatch, deploy: FakeDeploy) -> FakeDeploy:
    lab.setattr(demo_app, "Caller", lambda: deploy)
    return deploy


LIVE = {"status": "SUCCEEDED", "payload": {"image": demo.DEMO_IMAGE}}


def test_live_demo_is_left_alone(lab: pytest.MonkeyPatch) -> None:
    deploy = use(lab, FakeDeploy(LIVE))

    assert demo_app.ensure_live(image_is_new=False) == "is live"
    assert deploy.created == []


@pytest.mark.parametrize(
    ("last", "image_is_new"),
    [
        pytest.param(None, False, id="never deployed"),
        pytest.param({**LIVE, "status": "FAILED"}, False, id="failed before"),
        pytest.param({**LIVE, "payload": {"image": "another"}}, False, id="another image"),
        pytest.param(LIVE, True, id="image pushed just now"),
    ],
)
def test_demo_is_deployed_where_it_is_not_live(
    lab: pytest.MonkeyPatch, last: dict[str, Any] | None, *, image_is_new: bool
) -> None:
    deploy = use(lab, FakeDeploy(last))

    demo_app.ensure_live(image_is_new=image_is_new)

    assert [payload["image"] for payload in deploy.created] == [demo.DEMO_IMAGE]
    assert deploy.created[0]["basePath"] == "/apps/demo"


def test_failed_job_says_why(lab: pytest.MonkeyPatch) -> None:
    use(lab, FakeDeploy(None, outcome="FAILED"))

    with pytest.raises(LabError, match="j1 is FAILED: the app never answered"):
        demo_app.ensure_live(image_is_new=False)


def test_job_that_waits_too_long_says_what_for(lab: pytest.MonkeyPatch) -> None:
    lab.setattr(demo_app, "_DEPLOY_SECONDS", 0.1)
    use(lab, FakeDeploy(None, outcome="PENDING"))

    with pytest.raises(LabError, match=r"j1 is still PENDING .* \(no node has room\)"):
        demo_app.ensure_live(image_is_new=False)


def test_job_that_runs_already_is_waited_for(lab: pytest.MonkeyPatch) -> None:
    deploy = use(lab, FakeDeploy({**LIVE, "id": "j0", "status": "RUNNING"}))

    assert "job j0 SUCCEEDED" in demo_app.ensure_live(image_is_new=False)
    assert deploy.created == []
