"""Settings: what the runner takes, and what it says to what it does not take."""

from __future__ import annotations

import json

import pytest

from funai.runner.build_settings import BuildSettings
from funai.runner.config import Settings
from funai.runner.errors import ConfigError

GOOD = {
    "RUNNER_DEPLOY_URL": "http://deploy:7002/",
    "RUNNER_TOKEN": "t" * 16,
    "RUNNER_RUNTIME_TOKEN": "r" * 16,
}


def settings(**env: str) -> Settings:
    return Settings.from_env({**GOOD, **env}, hostname="runner-01")


def test_only_address_and_tokens_are_required() -> None:
    found = settings()

    assert found.runner_id == "runner-01"
    assert found.deploy_url == "http://deploy:7002"
    assert (found.lease_seconds, found.wait_seconds, found.parallel_jobs) == (30, 20, 2)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        pytest.param("RUNNER_TOKEN", "", "is not set", id="unset"),
        pytest.param("RUNNER_TOKEN", "CHANGE_ME_please_now", "placeholder", id="placeholder"),
        pytest.param("RUNNER_RUNTIME_TOKEN", "short", "at least 16", id="short"),
        pytest.param("RUNNER_TOKEN", "line\nbreak-in-a-token", "printable", id="line break"),
        pytest.param("RUNNER_DEPLOY_URL", "deploy:7002", "like http://", id="no scheme"),
        pytest.param("RUNNER_PARALLEL_JOBS", "0", "from 1 to 64", id="no slots"),
        pytest.param("RUNNER_LEASE_SECONDS", "1e3", "whole number", id="not a number"),
        pytest.param("RUNNER_STATE_DIR", "/var/{{ x }}", "absolute path", id="template in path"),
        pytest.param("RUNNER_STATE_DIR", "relative", "absolute path", id="relative path"),
        pytest.param("RUNNER_EXECUTION", "fast", "forked or cold", id="execution"),
        pytest.param("RUNNER_ID", "a b", "RUNNER_ID", id="id"),
        pytest.param("RUNNER_REGISTRY", "team", "registry's host", id="registry without a dot"),
        pytest.param("RUNNER_NAMESPACE", "a:1", "without a tag", id="namespace with a tag"),
        pytest.param("RUNNER_GIT_ALLOWED_HOSTS", "a,-b", "host names", id="option as host"),
        pytest.param("RUNNER_FETCH_DENIED_ADDRESSES", "link-local", "networks", id="no network"),
        pytest.param("RUNNER_GIT_ALLOW_HTTP", "yes", "true or false", id="flag"),
        pytest.param("RUNNER_GIT_KEY_FILE", "id", "absolute path", id="relative key"),
        pytest.param("RUNNER_GIT_KEY_FILE", "/a b", "absolute path", id="space in a path"),
        pytest.param("RUNNER_CONTEXT_MAX_MIB", "0", "from 1", id="no context"),
    ],
)
def test_unusable_setting_is_refused_by_name(name: str, value: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        settings(**{name: value})

    assert name in str(caught.value)


def test_secret_is_not_in_the_refusal() -> None:
    with pytest.raises(ConfigError) as caught:
        settings(RUNNER_TOKEN="secret-123")

    assert "secret-123" not in str(caught.value)


def test_claim_never_waits_so_long_that_the_lease_is_used_up() -> None:
    assert settings(RUNNER_LEASE_SECONDS="9", RUNNER_WAIT_SECONDS="20").wait_seconds == 6


def test_nothing_is_built_unless_a_registry_is_set() -> None:
    assert settings().build.registry == ""


def test_what_the_steps_need_travels_in_the_jobs_file() -> None:
    build = settings(
        RUNNER_REGISTRY="Registry.test:5000",
        RUNNER_GIT_ALLOWED_HOSTS="Git.test, forge.test",
        RUNNER_GIT_KEY_FILE="/run/credentials/funai-runner.service/git-key",
        RUNNER_REGISTRY_TLS_VERIFY="false",
        RUNNER_FETCH_DENIED_ADDRESSES="198.18.138.100, 203.0.113.7/24,2001:db8::/32",
    ).build

    assert build.registry == "registry.test:5000"
    assert build.git_allowed_hosts == ("git.test", "forge.test")
    assert build.fetch_denied_addresses == (
        "198.18.138.100/32",
        "203.0.113.0/24",
        "2001:db8::/32",
    )
    assert BuildSettings.from_json(json.loads(json.dumps(build.to_json()))) == build


@pytest.mark.parametrize("found", [None, [], {"unknown": 1}])
def test_job_file_without_them_is_taken_as_one_that_builds_nothing(found: object) -> None:
    assert BuildSettings.from_json(found) == BuildSettings()
