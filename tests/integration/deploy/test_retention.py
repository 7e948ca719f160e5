"""Pruning over a real registry and a real database: what is ours and old goes, the rest stays."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from funai.deploy.config import DatabaseSettings
from funai.deploy.database import Database, make_engine
from funai.deploy.registries.model import Account
from funai.deploy.retention.service import RetentionService
from tests.integration.deploy.registry_stub import Answer, RegistryStub
from tests.integration.deploy.revision_calls import (
    APP,
    TARGET,
    built,
    finish,
    roll_back,
    run_job,
    states,
)
from tests.integration.deploy_process import API, DeployProcess, process_env, run_command
from tests.integration.registry_server import RegistryServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from funai.deploy.retention.model import Row

PATH = "funai/u1-appshop"
KEPT = 3


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[RegistryServer]:
    server = RegistryServer(tmp_path).start()
    yield server
    server.stop()


@pytest.fixture
def accounts(registry: RegistryServer, tmp_path: Path) -> Path:
    path = tmp_path / "registries.json"
    entry = {"username": "push", "password": "not-asked-for-here", "scheme": "http"}
    path.write_text(json.dumps({registry.host: entry}))
    return path


def deploy_pushed(
    deploy: DeployProcess, registry: RegistryServer, number: int, status: str = "SUCCEEDED"
) -> str:
    """Push an image and have a job report it; return its digest."""
    result = built(number)
    digest = registry.push(PATH, result["imageTag"], f"release {number}")
    repository = f"{registry.host}/{PATH}"
    changed = {"imageRepository": repository, "imageDigest": digest}
    run_job(deploy, status, {**result, **changed, "image": f"{repository}:{result['imageTag']}"})
    return digest


def prune(deploy: DeployProcess, accounts: Path, *options: str) -> list[dict[str, Any]]:
    env = process_env(deploy.schema, DEPLOY_REGISTRIES_FILE=str(accounts))
    done = run_command(env, "prune", "--json", *options)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def why_of(entries: list[dict[str, Any]], number: int) -> str:
    return str(next(e["why"] for e in entries if e["why"].startswith(f"revision {number} of app")))


def actions(entries: list[dict[str, Any]]) -> list[str]:
    return [entry["action"] for entry in entries]


def test_images_beyond_the_last_revisions_go_and_the_rest_stays(
    deploy: DeployProcess, registry: RegistryServer, accounts: Path
) -> None:
    digests = [deploy_pushed(deploy, registry, number) for number in range(1, 7)]
    foreign = registry.push("funai/foreign", "1", "somebody's")
    unknown = registry.push(PATH, "by-hand", "pushed by hand into our repository")

    planned = prune(deploy, accounts, "--dry-run")
    before = [registry.has(PATH, digest) for digest in digests]
    done = prune(deploy, accounts)
    again = prune(deploy, accounts)

    assert before == [True] * 6
    assert sorted(actions(planned)) == sorted(actions(done)) == ["keep"] * KEPT + ["remove"] * 3
    assert all(entry["why"] for entry in planned)
    assert [registry.has(PATH, digest) for digest in digests] == [False] * 3 + [True] * KEPT
    assert registry.has("funai/foreign", foreign)
    assert registry.has(PATH, unknown)
    assert states(deploy) == {
        **dict.fromkeys((1, 2, 3), "PRUNED"), **dict.fromkeys((4, 5), "SUPERSEDED"), 6: "ACTIVE",
    }  # fmt: skip
    assert actions(again) == ["keep"] * KEPT


def test_image_that_a_foreign_tag_names_stays(
    deploy: DeployProcess, registry: RegistryServer, accounts: Path
) -> None:
    digests = [deploy_pushed(deploy, registry, number) for number in range(1, 5)]
    assert registry.push(PATH, "golden", "release 1") == digests[0]

    done = prune(deploy, accounts)

    assert registry.has(PATH, digests[0])
    assert [entry["why"] for entry in done if "golden" in entry["why"]]
    assert states(deploy)[1] == "SUPERSEDED"


def test_repository_with_thousands_of_tags_is_pruned_and_asked_only_of_those_that_are_not_ours(
    deploy: DeployProcess, accounts: Path, hanging: RegistryStub
) -> None:
    entry = {"username": "push", "password": "not-asked-for-here", "scheme": "http"}
    accounts.write_text(json.dumps({hanging.host: entry}))
    repository = f"{hanging.host}/{PATH}"
    results = [{**built(number), "imageRepository": repository} for number in range(1, 7)]
    for result in results:
        run_job(deploy, "SUCCEEDED", result)
        path = f"/v2/{PATH}/manifests/{result['imageDigest']}"
        hanging.put("DELETE", path, Answer(202))
    by_hand = [f"by-hand-{number}" for number in range(3000)]
    tags = [result["imageTag"] for result in results] + by_hand
    hanging.put("GET", f"/v2/{PATH}/tags/list?n=100", Answer(200, {"tags": tags}))
    for tag in tags:
        headers = {"Docker-Content-Digest": f"sha256:{9:064x}"}
        hanging.put("HEAD", f"/v2/{PATH}/manifests/{tag}", Answer(200, None, headers))

    done = prune(deploy, accounts)

    assert actions(done).count("remove") == len(results) - KEPT
    asked = {path.rpartition("/")[2] for path in hanging.asked("HEAD")}
    assert asked == set(by_hand)
    assert len(hanging.asked("HEAD")) == len(by_hand)


def test_nothing_of_an_app_with_a_job_under_way_goes(
    deploy: DeployProcess, registry: RegistryServer, accounts: Path
) -> None:
    for number in range(1, 5):
        deploy_pushed(deploy, registry, number)
    deploy.create(APP)

    assert actions(prune(deploy, accounts)) == ["keep"] * 4


def test_registry_that_is_down_loses_nothing_and_the_next_run_goes_on(
    deploy: DeployProcess, registry: RegistryServer, accounts: Path
) -> None:
    for number in range(1, 5):
        deploy_pushed(deploy, registry, number)
    registry.stop()

    down = prune(deploy, accounts)
    marked = states(deploy)[1]
    registry.start()
    up = prune(deploy, accounts)

    assert actions(down) == ["keep"] * 4
    assert "next run" in down[-1]["why"]
    assert (marked, states(deploy)[1]) == ("SUPERSEDED", "PRUNED")
    assert actions(up).count("remove") == 1


def test_registry_without_deletes_says_so_and_is_not_asked_again_at_once(
    deploy: DeployProcess, registry: RegistryServer, accounts: Path
) -> None:
    for number in range(1, 5):
        deploy_pushed(deploy, registry, number)
    registry.stop()
    registry.deletes = False
    registry.start()

    first = prune(deploy, accounts)
    registry.stop()
    second = prune(deploy, accounts)

    assert "405" in first[-1]["why"]
    assert "switch deletes on" in first[-1]["why"]
    # The registry is away now: had it been asked, the reason would be another.
    assert why_of(second, 1) == why_of(first, 1)


def test_registry_without_an_account_is_named(
    deploy: DeployProcess, registry: RegistryServer, tmp_path: Path
) -> None:
    for number in range(1, 5):
        deploy_pushed(deploy, registry, number)

    done = prune(deploy, tmp_path / "none.json")

    assert registry.host in done[-1]["why"]
    assert actions(done) == ["keep"] * 4


def test_cleanup_removes_the_images_of_the_app(
    deploy: DeployProcess, registry: RegistryServer, accounts: Path
) -> None:
    digests = [deploy_pushed(deploy, registry, number) for number in (1, 2)]
    deploy.stop()
    deploy.settings["DEPLOY_REGISTRIES_FILE"] = str(accounts)
    deploy.start()

    _, answer = deploy.call("POST", "/deploy/apps/cleanup", TARGET, API)

    found = answer["data"]["registry"]
    assert answer["code"] == 200
    assert found["enabled"] is True
    assert sorted(found["deleted"]) == [
        f"{registry.host}/{PATH}:{built(number)['imageTag']}" for number in (1, 2)
    ]
    assert found["failed"] == []
    assert [registry.has(PATH, digest) for digest in digests] == [False, False]


def test_malformed_accounts_are_refused_without_their_passwords(
    deploy: DeployProcess, tmp_path: Path
) -> None:
    path = tmp_path / "registries.json"
    path.write_text(
        json.dumps({"registry.test": {"username": "u", "password": "s3cret", "kind": "x"}})
    )

    env = process_env(deploy.schema, DEPLOY_REGISTRIES_FILE=str(path))
    done = run_command(env, "prune")

    assert done.returncode == 1
    assert "harbor" in done.stderr
    assert "s3cret" not in done.stderr + done.stdout


def test_image_that_a_job_of_another_app_names_stays(
    deploy: DeployProcess, registry: RegistryServer, accounts: Path
) -> None:
    digests = [deploy_pushed(deploy, registry, number) for number in range(1, 5)]
    deploy.create("blog", image=f"{registry.host}/{PATH}@{digests[0]}")

    assert actions(prune(deploy, accounts)) == ["keep"] * 4
    assert registry.has(PATH, digests[0])


class GoingBack(RetentionService):
    """Has a rollback begin and end between the decision and the removal."""

    go_back: Callable[[], object]

    def own_tags(self, row: Row) -> set[str]:
        self.go_back()
        return super().own_tags(row)


def test_revision_that_was_gone_back_to_since_the_decision_stays(
    deploy: DeployProcess, registry: RegistryServer
) -> None:
    digests = [deploy_pushed(deploy, registry, number) for number in range(1, 5)]
    settings = DatabaseSettings.from_env(process_env(deploy.schema))
    database = Database(make_engine(settings, pool_size=2))
    account = Account(registry.host, "push", "any", scheme="http")
    service = GoingBack(database, {registry.host: account}, KEPT)
    service.go_back = lambda: (roll_back(deploy, revision=1), finish(deploy))

    done = service.prune(dry_run=False, ends_at=time.monotonic() + 60)
    database.close()

    assert [entry.action for entry in done] == ["keep"] * 4
    assert done[-1].why == "revision 1 of app shop: runs now"
    assert registry.has(PATH, digests[0])


@pytest.fixture
def hanging() -> Iterator[RegistryStub]:
    """A registry whose threads end also where the test fails."""
    stub = RegistryStub()
    yield stub
    stub.close()


def test_cleanup_of_an_app_is_not_held_up_by_a_registry_that_hangs(
    deploy: DeployProcess, accounts: Path, hanging: RegistryStub
) -> None:
    hanging.hold.clear()
    entry = {"username": "push", "password": "not-asked-for-here", "scheme": "http"}
    accounts.write_text(json.dumps({hanging.host: entry}))
    for number in (1, 2):
        repository = f"{hanging.host}/{PATH}"
        run_job(deploy, "SUCCEEDED", {**built(number), "imageRepository": repository})
    deploy.stop()
    deploy.settings["DEPLOY_REGISTRIES_FILE"] = str(accounts)
    deploy.start()

    started = time.monotonic()
    _, answer = deploy.call("POST", "/deploy/apps/cleanup", TARGET, API)
    seconds = time.monotonic() - started

    found = answer["data"]["registry"]
    assert seconds < 8
    assert (answer["code"], found["deleted"], len(found["failed"])) == (200, [], 2)
    assert "next run" in found["error"]


def test_images_of_a_removed_app_go_and_leave_no_rows(
    deploy: DeployProcess, registry: RegistryServer, accounts: Path
) -> None:
    digests = [deploy_pushed(deploy, registry, number) for number in (1, 2)]
    deploy.call("POST", "/deploy/apps/purge", TARGET, API)

    done = prune(deploy, accounts)

    assert actions(done) == ["remove"] * 2
    assert [registry.has(PATH, digest) for digest in digests] == [False, False]
    assert deploy.schema.rows("SELECT * FROM fun_ai_deploy_revision") == []


def test_old_rows_go_and_newer_ones_stay(
    deploy: DeployProcess, registry: RegistryServer, accounts: Path
) -> None:
    deploy_pushed(deploy, registry, 1)
    # Its reaper deletes old rows as well.
    deploy.stop()
    deploy.schema.execute(
        "INSERT INTO fun_ai_deploy_job (id, type, app_id, status, create_time, version)"
        " WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 700)"
        " SELECT CONCAT('old-', i), 'BUILD_AND_DEPLOY', 'shop', 'SUCCEEDED',"
        " UTC_TIMESTAMP(6) - INTERVAL i DAY, 0 FROM n",
        "INSERT INTO fun_ai_deploy_job_event (job_id, app_id, at, actor)"
        " SELECT id, app_id, create_time, 'api' FROM fun_ai_deploy_job WHERE id LIKE 'old-%'",
    )

    planned = prune(deploy, accounts, "--dry-run")
    jobs = deploy.schema.rows("SELECT id FROM fun_ai_deploy_job")
    done = prune(deploy, accounts)

    assert [e["kind"] for e in planned if e["action"] == "remove"] == ["jobs", "events"]
    assert len(jobs) == 701
    assert done == planned
    kept = deploy.schema.rows("SELECT id FROM fun_ai_deploy_job ORDER BY create_time DESC")
    assert (len(kept), kept[-1]["id"]) == (500, "old-499")
    oldest = "SELECT MIN(at) > UTC_TIMESTAMP() - INTERVAL 91 DAY AS is_fresh"
    count = "COUNT(*) > 80 AS are_many FROM fun_ai_deploy_job_event"
    assert deploy.schema.rows(f"{oldest}, {count}") == [{"is_fresh": 1, "are_many": 1}]
