"""A push to a registry that is away for a while, as while its garbage is collected."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from funai.runner.build_settings import BuildSettings
from funai.runner.steps import push
from funai.runner.steps.built import Image, image_folder, write_image
from funai.runner.steps.step import Deadline, StepContext, StepError
from tests.integration.runner.fake_builder import make_layout
from tests.integration.runner.registry import StubRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AWAY = (503, "UNAVAILABLE")
BROKEN = (500, "UNKNOWN")
LOST = (400, "MANIFEST_BLOB_UNKNOWN")
UPLOAD_LOST = (404, "BLOB_UPLOAD_UNKNOWN")


class Push:
    """A job whose image is built, and a clock that pauses move on."""

    def __init__(self, folder: Path, host: str) -> None:
        self.now = 0.0
        self.pauses: list[float] = []
        self.lines: list[str] = []
        settings = BuildSettings(registry=host, registry_tls_verify=False)
        node = {"agentBaseUrl": "http://node.test:7005", "gatewayBaseUrl": "http://node.test"}
        payload = {
            "appId": "app-1",
            "userId": "7",
            "repoUrl": "https://git.test/a",
            "commit": "main",
        }
        record = {
            "jobId": "job-1",
            "fence": 1,
            "payload": payload,
            "runtimeNode": node,
            "build": settings.to_json(),
        }
        self._context = StepContext(
            folder / "job.json",
            record,
            lambda: self.now,
            self._pause,
            lambda _name: "",
            self.lines.append,
        )
        write_image(self._context, Image(f"{host}/funai/app", "1", "0" * 40))
        image_folder(self._context).mkdir()
        make_layout(image_folder(self._context), b"layer", {})

    def run(self, seconds: float = 300) -> object:
        return push.run(self._context, Deadline(seconds, lambda: self.now)).result["imageDigest"]

    def refused(self, seconds: float = 300) -> StepError:
        with pytest.raises(StepError) as caught:
            self.run(seconds)
        return caught.value

    def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def registry() -> Iterator[StubRegistry]:
    with StubRegistry() as registry:
        yield registry


@pytest.fixture
def job(tmp_path: Path, registry: StubRegistry, monkeypatch: pytest.MonkeyPatch) -> Push:
    # skopeo's memory of layers belongs to this test alone.
    monkeypatch.setenv("HOME", str(tmp_path))
    return Push(tmp_path, registry.host)


def test_registry_that_is_away_is_waited_for(job: Push, registry: StubRegistry) -> None:
    registry.upload_faults = [AWAY] * 12

    digest = job.run()

    assert digest == registry.digest("funai/app", "1")
    assert len(job.pauses) == 12
    assert max(job.pauses) <= 10
    waiting = [line for line in job.lines if "Waiting for it: trying again in" in line]
    assert len(waiting) == 12
    assert waiting[0].startswith(f"{registry.host} takes no uploads now")


def test_registry_that_stays_away_is_named_before_the_deadline(
    job: Push, registry: StubRegistry
) -> None:
    registry.upload_faults = [AWAY] * 100

    error = job.refused(seconds=60)

    assert error.reason == "REGISTRY_UNAVAILABLE"
    assert "503" in error.evidence
    assert 30 < job.now <= 55


def test_registry_that_refuses_connections_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with StubRegistry() as gone:
        host = gone.host
    job = Push(tmp_path, host)

    error = job.refused(seconds=60)

    assert error.reason == "REGISTRY_UNAVAILABLE"
    assert job.now > 30


@pytest.mark.parametrize(
    ("uploads", "manifests"),
    [
        pytest.param([], [LOST], id="layers of the manifest"),
        pytest.param([UPLOAD_LOST], [], id="upload"),
        pytest.param([AWAY] * 5, [LOST, LOST], id="layers, then away"),
    ],
)
def test_what_a_collection_has_taken_is_pushed_again(
    job: Push,
    registry: StubRegistry,
    uploads: list[tuple[int, str]],
    manifests: list[tuple[int, str]],
) -> None:
    registry.upload_faults, registry.manifest_faults = uploads, manifests

    assert job.run() == registry.digest("funai/app", "1")


@pytest.mark.parametrize("fault", [BROKEN, UPLOAD_LOST])
def test_registry_that_breaks_is_tried_three_times(
    job: Push, registry: StubRegistry, fault: tuple[int, str]
) -> None:
    registry.upload_faults = [fault] * 100

    error = job.refused()

    assert error.reason == "REGISTRY_UNAVAILABLE"
    assert job.lines.count(f"Pushing {registry.host}/funai/app:1") == 3
