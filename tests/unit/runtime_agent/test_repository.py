"""State on a real SQLite file: fences that last, addresses that go round."""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from funai.runtime_agent.apps.model import AppState, Operation, Phase
from funai.runtime_agent.apps.repository import AppRepository
from funai.runtime_agent.database import Database
from funai.runtime_agent.errors import StaleFenceError

if TYPE_CHECKING:
    from pathlib import Path

# .1 is the engine's, .2 to .6 are given out.
SUBNET = ipaddress.IPv4Network("198.19.0.0/29")
OPERATION = Operation(
    0, "shop", "7", "", 1, Phase.PREPARED, "rt-shop-1", "", 80, "app:1", "sha256:a", "sha256:b"
)


@pytest.fixture
def apps(tmp_path: Path) -> AppRepository:
    return AppRepository(Database(tmp_path / "agent.db"), SUBNET)


def prepare(apps: AppRepository, *, number_name: bool = False) -> Operation:
    return apps.prepare(OPERATION, set(), pulled=False, number_name=number_name)


def test_highest_fence_survives_a_restart(tmp_path: Path) -> None:
    AppRepository(Database(tmp_path / "agent.db"), SUBNET).raise_fence("shop", 9)

    again = AppRepository(Database(tmp_path / "agent.db"), SUBNET)

    assert again.get("shop").max_fence == 9
    with pytest.raises(StaleFenceError):
        again.raise_fence("shop", 8)
    assert again.raise_fence("shop", None).max_fence == 9


def test_address_is_not_given_out_again_at_once(apps: AppRepository) -> None:
    first = prepare(apps)
    apps.advance(first, Phase.UNDONE)

    second = prepare(apps)

    assert (first.address, second.address) == ("198.19.0.2", "198.19.0.3")


def test_addresses_in_use_are_left_out_and_run_out(apps: AppRepository) -> None:
    taken = {prepare(apps).address for _ in range(5)}

    assert taken == {f"198.19.0.{host}" for host in range(2, 7)}
    with pytest.raises(LookupError, match="in use"):
        prepare(apps)


def test_address_of_a_draining_container_is_in_use(apps: AppRepository) -> None:
    old = replace(OPERATION, replaced=(("rt-shop-0", "198.19.0.3"),))
    apps.prepare(old, set(), pulled=False, number_name=False)

    assert prepare(apps).address == "198.19.0.4"


def test_deleted_apps_hold_no_addresses(apps: AppRepository) -> None:
    for number in range(6):
        operation = replace(OPERATION, app_id=f"app-{number}")
        operation = apps.prepare(operation, set(), pulled=False, number_name=False)
        apps.advance(apps.switch(operation, {}, 0), Phase.DONE)
        apps.decide(replace(apps.get(operation.app_id), state=AppState.DELETED))

    assert prepare(apps).address == "198.19.0.3"
    assert len(apps.all()) == 6


def test_address_of_a_deleted_app_that_still_drains_is_in_use(apps: AppRepository) -> None:
    apps.switch(prepare(apps), {}, 0)
    apps.decide(replace(apps.get("shop"), state=AppState.DELETED))

    assert "198.19.0.2" not in {prepare(apps).address for _ in range(4)}


def test_address_of_a_stopped_app_is_in_use(apps: AppRepository) -> None:
    apps.advance(apps.switch(prepare(apps), {}, 0), Phase.DONE)
    apps.decide(replace(apps.get("shop"), state=AppState.STOPPED))

    assert "198.19.0.2" not in {prepare(apps).address for _ in range(4)}


def test_taken_container_name_gets_the_entrys_number(apps: AppRepository) -> None:
    operation = prepare(apps, number_name=True)

    assert operation.container_name == f"rt-shop-1.{operation.id}"
    assert apps.open_operations([Phase.PREPARED]) == [operation]


def test_switch_makes_the_container_the_apps(apps: AppRepository) -> None:
    apps.raise_fence("shop", 1)
    first = prepare(apps)
    apps.switch(first, {"status": "DEPLOYED"}, 0)
    second = apps.prepare(
        replace(OPERATION, fence=2, image_id="sha256:c"), set(), pulled=True, number_name=False
    )
    apps.switch(second, {"status": "DEPLOYED"}, 0)

    app = apps.get("shop")

    assert app.state is AppState.DEPLOYED
    assert (app.fence, app.closed_fence) == (2, 2)
    assert app.image_id == "sha256:c"
    assert [image.image_id for image in apps.images()] == ["sha256:c", "sha256:b"]
    assert app.route == f"{second.address}:80"


def test_journal_is_bounded(apps: AppRepository) -> None:
    for _ in range(30):
        apps.advance(prepare(apps), Phase.DONE)

    apps.prune_journal(keep=10)

    assert len(apps.open_operations([Phase.DONE])) == 10


def test_damaged_file_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    path.write_bytes(b"noise" * 5000)

    apps = AppRepository(Database(path), SUBNET)

    assert apps.all() == []
    assert any("damaged" in entry.name for entry in tmp_path.iterdir())
