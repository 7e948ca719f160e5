"""Settings of apps on a node: read by rule, sealed on disk, kept as long as something needs them."""

from __future__ import annotations

import ipaddress
import sqlite3
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from funai.runtime_agent.apps.app_settings import AppSettings
from funai.runtime_agent.apps.fields import read_deploy
from funai.runtime_agent.apps.given import settings_of
from funai.runtime_agent.apps.launch import container_spec
from funai.runtime_agent.apps.model import App, AppState, Operation, Phase
from funai.runtime_agent.apps.repository import AppRepository
from funai.runtime_agent.database import Database
from funai.runtime_agent.errors import InvalidRequestError, SettingsLostError
from funai.runtime_agent.vault import Vault
from tests.unit.runtime_agent.running import running

if TYPE_CHECKING:
    from pathlib import Path

SUBNET = ipaddress.IPv4Network("198.19.0.0/24")
GIVEN = AppSettings({"TOKEN": "hunter2", "LEVEL": "info"}, 64, 500)
BODY = {"userId": "7", "appId": "shop", "image": "app:1"}
OPERATION = Operation(
    0, "shop", "7", "", 1, Phase.PREPARED, "rt-shop-1", "", 80, "app:1", "sha256:a", "sha256:b"
)


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(tmp_path / "settings.key")


@pytest.fixture
def apps(tmp_path: Path) -> AppRepository:
    return AppRepository(Database(tmp_path / "agent.db"), SUBNET)


def deployed(apps: AppRepository, vault: Vault, fence: int, settings: AppSettings) -> Operation:
    """Take a deploy with these settings to its end."""
    operation = replace(
        OPERATION,
        fence=fence,
        container_name=f"rt-shop-{fence}",
        settings=vault.mark(settings),
    )
    prepared = apps.prepare(
        operation, set(), pulled=False, number_name=False, sealed=vault.seal(settings)
    )
    return apps.advance(apps.switch(prepared, {}, 0), Phase.DONE)


def rows(tmp_path: Path) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(tmp_path / "agent.db")
    found = connection.execute("SELECT app_id, mark, sealed FROM app_settings").fetchall()
    connection.close()
    return found


def parts(apps: AppRepository, vault: Vault, *containers: Any) -> Any:
    there = {container.name: container for container in containers}
    return SimpleNamespace(apps=apps, vault=vault, containers=SimpleNamespace(find=there.get))


def test_request_without_settings_gives_nothing() -> None:
    assert read_deploy(BODY, 25).settings.is_default
    assert read_deploy({**BODY, "environment": None, "limits": None}, 25).settings.is_default


def test_settings_are_read() -> None:
    body = {**BODY, "environment": {"A": "1"}, "limits": {"memoryMib": 64, "cpus": 0.5}}

    assert read_deploy(body, 25).settings == AppSettings({"A": "1"}, 64, 500)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"environment": ["hunter2"]}, "environment"),
        ({"environment": {"A-B": "hunter2"}}, "environment"),
        ({"environment": {"PORT": "hunter2"}}, "environment"),
        ({"environment": {"A": "hunter2\0"}}, "environment.A"),
        ({"environment": {"A": 5}}, "environment.A"),
        ({"limits": 5}, "limits"),
        ({"limits": {"memoryMib": 1}}, "limits.memoryMib"),
        ({"limits": {"cpus": "many"}}, "limits.cpus"),
    ],
)
def test_refusal_names_the_field_and_shows_no_value(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        read_deploy({**BODY, **fields}, 25)

    assert caught.value.evidence["field"] == field
    assert "hunter2" not in str(caught.value.as_answer())


def test_request_shows_no_value() -> None:
    assert "hunter2" not in repr(read_deploy({**BODY, "environment": {"A": "hunter2"}}, 25))


def test_platforms_own_variables_win() -> None:
    settings = AppSettings({"PORT": "1", "BASE_PATH": "/x", "A": "1"})

    spec = container_spec(OPERATION, "app:1", settings)

    assert spec.environment == {"PORT": "80", "BASE_PATH": "/apps/shop", "A": "1"}
    assert (spec.memory_mib, spec.cpus_milli) == (None, None)


def test_key_is_made_once_and_is_the_agents_alone(tmp_path: Path, vault: Vault) -> None:
    sealed = vault.seal(GIVEN)
    again = Vault(tmp_path / "settings.key")

    assert again.open(sealed) == GIVEN
    assert again.mark(GIVEN) == vault.mark(GIVEN) != vault.mark(AppSettings({"A": "1"}))
    assert (tmp_path / "settings.key").stat().st_mode & 0o777 == 0o600
    assert b"hunter2" not in sealed


def test_app_without_settings_needs_no_key(tmp_path: Path, vault: Vault) -> None:
    assert vault.mark(AppSettings()) == ""
    assert vault.seal(AppSettings()) == b""
    assert not (tmp_path / "settings.key").exists()


@pytest.mark.parametrize("key", [b"", b"damaged"])
def test_damaged_key_is_made_anew(tmp_path: Path, vault: Vault, key: bytes) -> None:
    sealed = vault.seal(GIVEN)
    (tmp_path / "settings.key").write_bytes(key)
    again = Vault(tmp_path / "settings.key")

    assert again.open(sealed) is None
    assert again.open(again.seal(GIVEN)) == GIVEN


def test_state_file_holds_no_plaintext(tmp_path: Path, apps: AppRepository, vault: Vault) -> None:
    deployed(apps, vault, 1, GIVEN)

    for path in tmp_path.glob("agent.db*"):
        assert b"hunter2" not in path.read_bytes()
    assert settings_of(parts(apps, vault), apps.get("shop")) == GIVEN


def test_only_what_runs_keeps_its_settings(
    tmp_path: Path, apps: AppRepository, vault: Vault
) -> None:
    for fence in range(1, 5):
        deployed(apps, vault, fence, AppSettings({"N": str(fence)}))

    assert len(rows(tmp_path)) == 1
    assert settings_of(parts(apps, vault), apps.get("shop")) == AppSettings({"N": "4"})


def test_deploy_that_fails_leaves_the_settings_of_what_runs(
    tmp_path: Path, apps: AppRepository, vault: Vault
) -> None:
    deployed(apps, vault, 1, GIVEN)
    other = AppSettings({"A": "1"})
    operation = replace(OPERATION, fence=2, settings=vault.mark(other))
    prepared = apps.prepare(
        operation, set(), pulled=False, number_name=False, sealed=vault.seal(other)
    )
    assert len(rows(tmp_path)) == 2

    apps.advance(prepared, Phase.UNDONE)

    assert len(rows(tmp_path)) == 1
    assert settings_of(parts(apps, vault), apps.get("shop")) == GIVEN


def test_deleted_app_leaves_no_settings(tmp_path: Path, apps: AppRepository, vault: Vault) -> None:
    deployed(apps, vault, 1, GIVEN)

    apps.decide(replace(apps.get("shop"), state=AppState.STOPPED))
    stopped = len(rows(tmp_path))
    apps.decide(replace(apps.get("shop"), state=AppState.DELETED))

    assert (stopped, len(rows(tmp_path))) == (1, 0)


def test_settings_that_cannot_be_opened_are_read_from_the_container(
    tmp_path: Path, apps: AppRepository, vault: Vault
) -> None:
    deployed(apps, vault, 1, GIVEN)
    (tmp_path / "settings.key").unlink()
    app = apps.get("shop")
    container = replace(
        running("rt-shop-1", "198.19.0.2", {"io.funai.settings": app.settings}, "sha256:b", ()),
        environment=("PATH=/bin", "TOKEN=hunter2", "PORT=80", "BASE_PATH=/apps/shop", "E="),
        memory_mib=64,
        cpus_milli=500,
    )

    found = settings_of(parts(apps, Vault(tmp_path / "settings.key"), container), app)

    assert found == AppSettings({"PATH": "/bin", "TOKEN": "hunter2", "E": ""}, 64, 500)


def test_lost_settings_are_said(tmp_path: Path, apps: AppRepository, vault: Vault) -> None:
    lost = App("shop", container_name="rt-shop-1", settings="0123")

    with pytest.raises(SettingsLostError, match="deploy the app again"):
        settings_of(parts(apps, vault), lost)
