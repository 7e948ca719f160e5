from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cli import inventory, platform
from cli.errors import CliError
from cli.inventory import Host, Inventory

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TOLD = {
    "FUNAI_DEPLOY_URL": "http://192.0.2.100:7002",
    "FUNAI_DEPLOY_SECRET": "secret-of-deploy",
    "FUNAI_ADMIN_TOKEN": "token-of-operators",
}
VAULTED = "from-the-vault"
LAB_URL = "http://198.18.138.100:7002"


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make the inventory say something."""

    def say(url: str, secret: str = VAULTED) -> None:
        host = Host("deploy-01", ("deploy",), "192.0.2.100")
        found = Inventory("hosts.ini", (host,), url, secret, "token")
        monkeypatch.setattr(inventory, "load", lambda: found)

    return say


def test_shell_comes_before_the_inventory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inventory, "load", lambda: pytest.fail("the inventory was read"))

    found = platform.load(TOLD, with_hosts=False)

    assert found.deploy_url == TOLD["FUNAI_DEPLOY_URL"]
    assert "FUNAI_" in found.source


def test_half_told_shell_names_what_is_missing() -> None:
    told = {key: value for key, value in TOLD.items() if key != "FUNAI_ADMIN_TOKEN"}

    with pytest.raises(CliError, match="FUNAI_ADMIN_TOKEN is not"):
        platform.load(told, with_hosts=False)


def test_inventory_says_what_the_shell_does_not(read: Callable[..., None]) -> None:
    read("http://192.0.2.1:7002")

    found = platform.load({}, with_hosts=True)

    assert (found.deploy_secret, found.inventory) == (VAULTED, "hosts.ini")
    assert [host.name for host in found.hosts] == ["deploy-01"]


@pytest.mark.parametrize("secret", ["", "CHANGE_ME"])
def test_vault_that_is_not_filled_in_is_refused(read: Callable[..., None], secret: str) -> None:
    read("http://192.0.2.1:7002", secret)

    with pytest.raises(CliError, match="vault_deploy_secret") as caught:
        platform.load({}, with_hosts=False)

    assert "vault.yml" in caught.value.advice


def test_lab_that_is_not_there_gets_no_packet(
    read: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(platform, "_LAB_BRIDGE", tmp_path / "no-bridge")
    read(LAB_URL)

    with pytest.raises(CliError, match="no lab on this machine"):
        platform.load({}, with_hosts=False)
    with pytest.raises(CliError, match="no lab on this machine"):
        platform.load({**TOLD, "FUNAI_DEPLOY_URL": LAB_URL}, with_hosts=False)


def test_secrets_are_not_in_what_is_printed_of_a_platform() -> None:
    assert "secret-of-deploy" not in repr(platform.load(TOLD, with_hosts=False))
