"""Small parts of the agent: holds, references, settings, conditions."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor

import pytest

from funai.runtime_agent.apps.holds import Hold, Holds
from funai.runtime_agent.conditions import Conditions
from funai.runtime_agent.config import ConfigError, Settings
from funai.runtime_agent.engine.containers import printable
from funai.runtime_agent.engine.references import Reference
from funai.runtime_agent.errors import BusyError, StaleFenceError, StoppingError

ENVIRONMENT = {
    "AGENT_NODE_NAME": "runtime-01",
    "AGENT_RUNTIME_TOKEN": "r" * 32,
    "AGENT_NODE_TOKEN": "n" * 32,
    "AGENT_DEPLOY_URL": "http://deploy.test:7002/",
    "AGENT_BASE_URL": "http://node.test:7005",
    "AGENT_GATEWAY_BASE_URL": "http://node.test",
}


def test_second_holder_is_refused() -> None:
    holds = Holds()

    with (
        holds.take("shop", "deploy", wait_seconds=5),
        pytest.raises(BusyError, match="deploy is running"),
        holds.take("shop", "other", wait_seconds=5),
    ):
        pass

    assert not holds.busy("shop")


def test_told_holder_gives_way() -> None:
    holds = Holds()

    def deploy(hold: Hold) -> None:
        hold.cancelled.wait(5)
        hold.check()

    def hold_and_deploy() -> None:
        with holds.take("shop", "deploy", wait_seconds=0) as hold:
            started.set()
            deploy(hold)

    import threading  # noqa: PLC0415 - the event of this test only

    started = threading.Event()
    with ThreadPoolExecutor() as pool:
        first = pool.submit(hold_and_deploy)
        assert started.wait(5)
        with holds.take("shop", "stop", wait_seconds=5, cancel=True):
            assert isinstance(first.exception(5), StaleFenceError)


def test_end_of_the_process_is_told_to_holders() -> None:
    holds = Holds()

    with holds.take("shop", "deploy", wait_seconds=0) as hold:
        holds.cancel_all()
        with pytest.raises(StoppingError):
            hold.check()


@pytest.mark.parametrize(
    ("text", "name", "registry", "tag", "digest"),
    [
        ("app", "app", "docker.io", "latest", ""),
        ("team/app:2", "team/app", "docker.io", "2", ""),
        ("reg.test/app", "reg.test/app", "reg.test", "latest", ""),
        ("reg.test:5000/a/b:1.0", "reg.test:5000/a/b", "reg.test:5000", "1.0", ""),
        ("localhost/app:1", "localhost/app", "localhost", "1", ""),
        ("reg.test/app@sha256:ab", "reg.test/app", "reg.test", "", "sha256:ab"),
        ("reg.test:1/app:3@sha256:ab", "reg.test:1/app", "reg.test:1", "3", "sha256:ab"),
    ],
)
def test_reference_is_taken_apart(
    text: str, name: str, registry: str, tag: str, digest: str
) -> None:
    assert Reference.parse(text) == Reference(name, registry, tag, digest)


def test_settings_have_the_documented_defaults() -> None:
    settings = Settings.from_env(ENVIRONMENT)

    assert settings.bind == "0.0.0.0:7005"
    assert settings.deploy_url == "http://deploy.test:7002"
    assert str(settings.app_subnet) == "198.19.0.0/20"
    assert (settings.ready_seconds, settings.drain_seconds) == (25, 30)
    assert settings.limits.memory_mib == 512
    assert not settings.fence_required
    assert (settings.warm_seconds, settings.kept_revisions, settings.prune_seconds) == (
        600,
        3,
        3600,
    )


def test_warm_containers_can_be_turned_off() -> None:
    assert Settings.from_env({**ENVIRONMENT, "AGENT_WARM_SECONDS": "0"}).warm_seconds == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AGENT_RUNTIME_TOKEN", ""),
        ("AGENT_RUNTIME_TOKEN", "CHANGE_ME_0123456789"),
        ("AGENT_NODE_TOKEN", "too-short"),
        ("AGENT_DEPLOY_URL", ""),
        ("AGENT_DEPLOY_URL", "deploy:7002"),
        ("AGENT_APP_SUBNET", "198.19.0.1/20"),
        ("AGENT_READY_SECONDS", "soon"),
        ("AGENT_DRAIN_SECONDS", "-1"),
        ("AGENT_FENCE_REQUIRED", "perhaps"),
        ("AGENT_WARM_SECONDS", "-1"),
        ("AGENT_WARM_SECONDS", "inf"),
        ("AGENT_KEPT_REVISIONS", "0"),
        ("AGENT_PRUNE_SECONDS", "nan"),
    ],
)
def test_bad_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=name):
        Settings.from_env({**ENVIRONMENT, name: value})


def test_condition_is_logged_once_per_change(caplog: pytest.LogCaptureFixture) -> None:
    conditions = Conditions(lambda: 1.0)

    with caplog.at_level(logging.INFO):
        for error in ("", "", "down", "down again", "", ""):
            conditions.report("engine", error)

    assert caplog.messages == ["engine works", "engine: down", "engine works"]
    assert conditions.as_answer()["engine"]["ok"] is True


def test_log_lines_cannot_carry_control_characters() -> None:
    assert "\x1b" not in printable("red \x1b[31m and\r\n more")
    assert len(printable("x" * 10_000)) == 500
