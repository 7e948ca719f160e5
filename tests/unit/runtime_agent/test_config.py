"""Settings whose defaults carry a promise, and secrets that are none."""

from __future__ import annotations

import pytest
import yaml

from funai.runtime_agent.config import ConfigError, Settings
from tests.chaos.parts import ROOT
from tests.chaos.series.outage import BACK_SECONDS
from tests.unit.contract.placeholders import PLACEHOLDERS

#: What an app of Python takes from its start to its first answer on a busy host.
START_SECONDS = 2.0
ENV = {
    "AGENT_RUNTIME_TOKEN": "runtime-token-of-the-tests",
    "AGENT_NODE_TOKEN": "node-token-of-the-tests",
    "AGENT_DEPLOY_URL": "http://127.0.0.1:7002",
    "AGENT_BASE_URL": "http://127.0.0.1:7005",
    "AGENT_GATEWAY_BASE_URL": "http://127.0.0.1",
}


def test_reconcile_comes_soon_enough_for_an_app_to_be_back_in_time() -> None:
    settings = Settings.from_env(ENV)

    assert settings.reconcile_seconds + START_SECONDS <= BACK_SECONDS


def test_role_gives_the_agent_the_same_interval() -> None:
    defaults = yaml.safe_load((ROOT / "roles/runtime/defaults/main.yml").read_text())

    assert defaults["runtime_reconcile_seconds"] == Settings.from_env(ENV).reconcile_seconds


@pytest.mark.parametrize("name", ["AGENT_RUNTIME_TOKEN", "AGENT_NODE_TOKEN"])
@pytest.mark.parametrize("value", [*PLACEHOLDERS, "", " ", "too-short", "\u00e4" * 20])
def test_agent_refuses_what_is_no_secret(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"^{name} "):
        Settings.from_env({**ENV, name: value})
