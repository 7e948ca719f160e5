"""Pruning over a real registry and a real database: what is ours and old goes, the rest stays."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.deploy.registry_server import RegistryServer
from tests.integration.deploy.revision_calls import APP, TARGET, built, run_job, states
from tests.integration.deploy_process import API, DeployProcess, process_env, run_command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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
