"""Settings of gateway_sync."""

from __future__ import annotations

import pytest

from funai.gateway_sync.config import ConfigError, Settings
from tests.unit.contract.placeholders import PLACEHOLDERS

ENV = {"GATEWAY_DEPLOY_URL": "http://127.0.0.1:7002", "GATEWAY_TOKEN": "gateway-token-of-the-tests"}


def test_token_is_read_as_it_is() -> None:
    assert Settings.from_env(ENV).token == ENV["GATEWAY_TOKEN"]


@pytest.mark.parametrize("value", [*PLACEHOLDERS, "", " ", "too-short", "\u00e4" * 20])
def test_gateway_sync_refuses_what_is_no_secret(value: str) -> None:
    with pytest.raises(ConfigError, match=r"^GATEWAY_TOKEN "):
        Settings.from_env({**ENV, "GATEWAY_TOKEN": value})


@pytest.mark.parametrize("name", ENV)
def test_missing_setting_is_named(name: str) -> None:
    env = {key: value for key, value in ENV.items() if key != name}

    with pytest.raises(ConfigError, match=f"^{name} is not set"):
        Settings.from_env(env)


def test_malformed_setting_is_no_traceback() -> None:
    with pytest.raises(ConfigError, match="malformed"):
        Settings.from_env({**ENV, "GATEWAY_WAIT_SECONDS": "soon"})
