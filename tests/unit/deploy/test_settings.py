"""Settings of Deploy: what is read, and what is refused by name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from funai.deploy import config
from funai.deploy.app import create_app
from funai.deploy.config import ConfigError, Settings

SECRET = "0123456789abcdef0123456789abcdef"
ENV = {
    "DEPLOY_DB_HOST": "db",
    "DEPLOY_DB_NAME": "schema",
    "DEPLOY_DB_USER": "user",
    **{
        f"DEPLOY_{name}": SECRET
        for name in (
            "DB_PASSWORD",
            "SECRET",
            "ADMIN_TOKEN",
            "NODE_TOKEN",
            "RUNNER_TOKEN",
            "GATEWAY_TOKEN",
            "RUNTIME_TOKEN",
            "SETTINGS_KEYS",
        )
    },
}


def test_defaults_are_those_of_the_contract() -> None:
    settings = Settings.from_env(ENV)

    assert settings.bind == "0.0.0.0:7002"
    assert settings.runners.mode == "token"
    assert settings.limits.node_stale == 180
    assert settings.limits.waiting_claims + settings.limits.waiting_gateways < 32


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(pytest.param(name, "", id=f"no {name}") for name in ENV),
        pytest.param("DEPLOY_SECRET", "CHANGE_ME_0123456789", id="placeholder"),
        pytest.param("DEPLOY_SETTINGS_KEYS", "CHANGE_ME", id="placeholder of a key"),
        pytest.param("DEPLOY_SETTINGS_KEYS", f"{SECRET},CHANGE_ME", id="placeholder of an old key"),
        pytest.param("DEPLOY_SETTINGS_KEYS", "a-key-of-20-characters", id="short key"),
        pytest.param("DEPLOY_SETTINGS_KEYS", " , ", id="only commas"),
        pytest.param("DEPLOY_DB_PORT", "0", id="port"),
        pytest.param("DEPLOY_THREADS", "many", id="threads"),
        pytest.param("DEPLOY_REAPER_SECONDS", "nan", id="reaper"),
        pytest.param("DEPLOY_WEBHOOK_ATTEMPTS", "0", id="webhook tries"),
        pytest.param("DEPLOY_WEBHOOK_BACKOFF_SECONDS", "0", id="webhook pause"),
        pytest.param("DEPLOY_WEBHOOK_TIMEOUT_SECONDS", "inf", id="webhook time"),
        pytest.param("DEPLOY_WEBHOOK_KEPT_ROWS", "99", id="webhook rows"),
        pytest.param("DEPLOY_WEBHOOK_KEPT_DAYS", "1", id="webhook days"),
        pytest.param("DEPLOY_RUNNER_AUTH", "none", id="runner auth"),
        pytest.param("DEPLOY_PUBLIC_BASE_URL", "edge", id="public url"),
    ],
)
def test_refusal_names_the_setting(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=name):
        Settings.from_env({**ENV, name: value})


@pytest.mark.parametrize(
    ("mode", "needs"),
    [("basic", "DEPLOY_RUNNER_BASIC_USER"), ("address", "DEPLOY_RUNNER_ADDRESSES")],
)
def test_migration_mode_needs_its_settings(mode: str, needs: str) -> None:
    with pytest.raises(ConfigError, match=needs):
        Settings.from_env({**ENV, "DEPLOY_RUNNER_AUTH": mode})


def test_secrets_are_not_shown() -> None:
    assert SECRET not in repr(Settings.from_env(ENV))


def test_role_writes_the_settings_that_deploy_reads() -> None:
    root = Path(__file__).parents[3]
    template = (root / "roles/deploy/templates/deploy.env.j2").read_text()
    written = set(re.findall(r"^(DEPLOY_[A-Z_]+)=", template, re.MULTILINE))
    read = set(re.findall(r"\"(DEPLOY_[A-Z_]+)\"", Path(config.__file__).read_text()))

    assert written == read


def test_contract_names_every_endpoint_that_deploy_has() -> None:
    contract = (Path(__file__).parents[3] / "docs/contract.md").read_text()
    paths = create_app(Settings.from_env(ENV)).app.api_doc["paths"]

    missing = [
        f"{method.upper()} {path}"
        for path, methods in paths.items()
        for method in methods
        if f"{method.upper()} `{path.replace('{job_id}', '{id}').replace('{app_id}', '{appId}')}`"
        not in contract
    ]
    assert missing == []


@pytest.mark.parametrize(
    ("threads", "followers", "expected"),
    [pytest.param("32", "8", 8, id="as told"), pytest.param("16", "100", 4, id="a quarter")],
)
def test_followers_of_logs_leave_threads_to_others(
    threads: str, followers: str, expected: int
) -> None:
    env = {**ENV, "DEPLOY_THREADS": threads, "DEPLOY_LOG_FOLLOWERS": followers}

    assert Settings.from_env(env).log_followers == expected
