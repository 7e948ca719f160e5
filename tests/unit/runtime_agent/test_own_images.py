"""The agent's own tag tells which images it pulled, also where no record does."""

from __future__ import annotations

import ipaddress
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from docker.errors import NotFound

from funai.runtime_agent.apps.model import Operation, Phase
from funai.runtime_agent.apps.repository import AppRepository
from funai.runtime_agent.apps.retention import strays
from funai.runtime_agent.database import Database
from funai.runtime_agent.engine.images import Images, own_tag

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DIGEST = "sha256:" + "d" * 64
OWN = f"reg.test/app:{own_tag(DIGEST)}"
REFERENCE = f"reg.test/app@{DIGEST}"
NOW = time.time()
DAY = 24 * 3600.0
OPERATION = Operation(
    0, "shop", "7", "", 1, Phase.PREPARED, "rt-shop-1", "", 80, "app:1", DIGEST, "sha256:i"
)


class Engine:
    """One image with these tags, tagged last then."""

    def __init__(self, *tags: str, age: float = 2 * DAY) -> None:
        tagged = datetime.fromtimestamp(NOW - age, UTC).isoformat().replace("+00:00", "123Z")
        self.image: dict[str, Any] = {
            "Id": "sha256:i",
            "RepoTags": list(tags),
            "RepoDigests": [REFERENCE],
            "Metadata": {"LastTagTime": tagged},
        }

    @contextmanager
    def request(self, _what: str) -> Iterator[Engine]:
        yield self

    def images(self) -> list[dict[str, Any]]:
        return [self.image]

    def inspect_image(self, reference: str) -> dict[str, Any]:
        if reference not in {"sha256:i", REFERENCE}:
            raise NotFound(reference)
        return self.image


def images(engine: Engine) -> Images:
    client: Any = engine
    return Images(client, None, 0)


def found(apps: AppRepository, engine: Engine) -> list[str]:
    parts: Any = SimpleNamespace(apps=apps, images=images(engine))
    return [verdict.name for verdict in strays(parts) if verdict.removable]


@pytest.fixture
def apps(tmp_path: Path) -> AppRepository:
    subnet = ipaddress.IPv4Network("198.19.0.0/29")
    return AppRepository(Database(tmp_path / "agent.db"), subnet)


@pytest.mark.parametrize(("tag", "pulled"), [(OWN, True), ("reg.test/app:1", False)])
def test_own_tag_tells_that_the_agent_pulled_an_image(tag: str, pulled: bool) -> None:  # noqa: FBT001
    assert images(Engine(tag)).resolve(REFERENCE).pulled is pulled


def test_image_that_no_record_names_is_a_stray(apps: AppRepository) -> None:
    assert found(apps, Engine("reg.test/app:1", OWN)) == [DIGEST]


def test_image_that_was_pulled_a_while_ago_may_still_get_a_record(apps: AppRepository) -> None:
    assert found(apps, Engine(OWN, age=DAY / 2)) == []


def test_image_of_somebody_else_is_no_stray(apps: AppRepository) -> None:
    assert found(apps, Engine("reg.test/app:1")) == []


@pytest.mark.parametrize("told", [None, {}, {"LastTagTime": "0001-01-01T00:00:00Z"}])
def test_image_whose_age_nobody_knows_is_no_stray(apps: AppRepository, told: Any) -> None:
    engine = Engine(OWN)
    engine.image["Metadata"] = told

    assert found(apps, engine) == []


def test_image_of_an_apps_history_is_no_stray(apps: AppRepository) -> None:
    entry = apps.prepare(OPERATION, set(), pulled=True, number_name=False)
    apps.advance(entry, Phase.UNDONE)

    assert found(apps, Engine(OWN)) == []


def test_image_of_an_adopted_app_is_no_stray(apps: AppRepository) -> None:
    apps.switch(apps.prepare(OPERATION, set(), pulled=True, number_name=False), {}, 0)
    apps.forget_image("shop", "sha256:i")
    adopted = apps.get("shop")

    assert found(apps, Engine(OWN)) == []
    apps.save(replace(adopted, image_id="sha256:other"))
    for entry in apps.open_operations([Phase.SWITCHED]):
        apps.advance(entry, Phase.DONE)
    assert found(apps, Engine(OWN)) == [DIGEST]
