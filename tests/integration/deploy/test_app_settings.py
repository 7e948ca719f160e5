"""Settings of apps over HTTP and in the real database: kept, sealed, handed to who holds the job."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.integration.deploy.revision_calls import TARGET, deploy_built, roll_back
from tests.integration.deploy.settings_calls import APP, PATH, ask, put, read, refused, variable
from tests.integration.deploy_process import (
    API,
    CLAIM_SECONDS,
    RUNNER,
    SECRETS,
    process_env,
    run_command,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.deploy_process import DeployProcess, Schema

KEY, NEW_KEY = SECRETS["DEPLOY_SETTINGS_KEYS"], "integration-new-settings-key-01234"
SECRET = "hunter2-with-\u00e9-and\nline"


def stored(schema: Schema) -> list[dict[str, Any]]:
    return schema.rows("SELECT * FROM fun_ai_deploy_app_settings")


def claimed(deploy: DeployProcess, **payload: Any) -> dict[str, Any]:
    deploy.beat()
    assert deploy.create(APP, **payload)[1]["code"] == 200
    # Only who holds the lease is told anything, and some tests start processes meanwhile.
    return deploy.claimed(leaseSeconds=600)


def test_app_without_settings_has_none(deploy: DeployProcess) -> None:
    assert read(deploy) == {
        "appId": APP,
        "version": 0,
        "containerPort": None,
        "healthPath": None,
        "memoryMib": None,
        "cpus": None,
        "environment": [],
    }
    assert stored(deploy.schema) == []


def test_settings_are_kept_and_a_secret_is_never_shown(deploy: DeployProcess) -> None:
    answer = put(
        deploy,
        containerPort="8080",
        healthPath="/up",
        memoryMib=256,
        cpus=0.25,
        environment=[variable("TOKEN", SECRET, secret=True), variable("LEVEL", "x", secret=False)],
    )

    found = read(deploy)
    assert found == answer
    assert (found["version"], found["containerPort"], found["healthPath"]) == (1, 8080, "/up")
    assert (found["memoryMib"], found["cpus"]) == (256, 0.25)
    level, token = found["environment"]
    assert (level["name"], level["value"], level["secret"]) == ("LEVEL", "x", False)
    assert (token["name"], token["value"], token["secret"]) == ("TOKEN", None, True)
    assert token["updatedAt"].endswith("Z")


def test_settings_are_changed_in_part(deploy: DeployProcess) -> None:
    put(
        deploy,
        containerPort=8080,
        memoryMib=64,
        environment=[variable("A", "1"), variable("B", "2")],
    )

    put(deploy, memoryMib=None, environment=[variable("A"), variable("C", "3", secret=False)])

    found = read(deploy)
    assert (found["containerPort"], found["memoryMib"], found["version"]) == (8080, None, 2)
    assert [entry["name"] for entry in found["environment"]] == ["A", "C"]
    assert ask(deploy, claimed(deploy)["id"])[1]["data"]["environment"] == {"A": "1", "C": "3"}


def test_row_and_log_hold_no_plaintext(deploy: DeployProcess) -> None:
    put(deploy, environment=[variable("TOKEN", "hunter2-plain"), variable("LEVEL", "open-value")])
    job = claimed(deploy)
    ask(deploy, job["id"])
    deploy.report(job, "SUCCEEDED")

    (row,) = stored(deploy.schema)
    assert isinstance(row["environment"], bytes)
    everything = repr(
        [
            deploy.schema.rows(f"SELECT * FROM `{next(iter(table.values()))}`")
            for table in deploy.schema.rows("SHOW TABLES")
        ]
    )
    log = deploy.log.read_text()
    for text in (everything, log):
        assert "hunter2-plain" not in text
        assert "open-value" not in text
    assert "settings of an app changed" in log


@pytest.mark.parametrize(
    ("body", "word"),
    [
        pytest.param({"containerPort": 0}, "containerPort", id="port"),
        pytest.param({"healthPath": "up"}, "healthPath", id="health path"),
        pytest.param({"memoryMib": 31}, "memoryMib", id="memory"),
        pytest.param({"cpus": 65}, "cpus", id="cpus"),
        pytest.param({"environment": "A=1"}, "environment", id="no list"),
        pytest.param({"environment": [{"value": "x"}]}, "environment.0.name", id="no name"),
        pytest.param({"environment": [variable("A-B", "x")]}, "environment.0.name", id="name"),
        pytest.param({"environment": [variable("PORT", "x")]}, "PORT", id="reserved"),
        pytest.param({"environment": [variable("A")]}, "environment.A", id="no value"),
        pytest.param({"environment": [variable("A", "x\0")]}, "environment.A", id="nul"),
        pytest.param({"environment": [{"name": "A", "value": True}]}, "environment.0", id="flag"),
        pytest.param(
            {"environment": [variable(f"V{n}", "x") for n in range(201)]}, "environment", id="many"
        ),
        pytest.param(
            {"environment": [variable(f"V{n}", "x" * 32768) for n in range(4)]},
            "131072",
            id="too much in all",
        ),
        pytest.param({"ifVersion": "one"}, "ifVersion", id="version"),
    ],
)
def test_refusal_names_the_field_and_changes_nothing(
    deploy: DeployProcess, body: dict[str, Any], word: str
) -> None:
    status, message = refused(deploy, **body)

    assert status == 400
    assert word in message
    assert read(deploy)["version"] == 0


def test_largest_environment_fits(deploy: DeployProcess) -> None:
    value = "\u00e9" * 16380
    names = [f"VARIABLE_{number}" for number in range(4)]

    put(
        deploy,
        environment=[
            variable(name, value[: 16380 - 20 * (n == 3)]) for n, name in enumerate(names)
        ],
    )

    assert ask(deploy, claimed(deploy)["id"])[1]["data"]["environment"][names[0]] == value


def test_body_beyond_its_bound_is_refused(deploy: DeployProcess) -> None:
    status, _ = refused(deploy, environment=[variable("A", "x" * 1024 * 1024)])

    assert status == 413


def test_one_of_many_changes_for_a_version_is_taken(deploy: DeployProcess) -> None:
    def change(number: int) -> int:
        body = {"ifVersion": 0, "environment": [variable("WHO", str(number), secret=False)]}
        return deploy.call("PUT", PATH, body, API)[0]

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(change, range(8)))

    assert sorted(statuses) == [200] + [409] * 7
    found = read(deploy)
    assert found["version"] == 1
    assert found["environment"][0]["value"] == str(statuses.index(200))


def test_changes_without_a_version_are_taken_one_after_another(deploy: DeployProcess) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: put(deploy, memoryMib=100 + number), range(8)))

    assert read(deploy)["version"] == 8


def test_conflict_says_which_version_is_there(deploy: DeployProcess) -> None:
    put(deploy, memoryMib=64)

    status, message = refused(deploy, memoryMib=128, ifVersion=0)

    assert status == 409
    assert "at version 1, not 0" in message


def test_job_gets_port_and_path_where_it_names_none(deploy: DeployProcess) -> None:
    put(deploy, containerPort=8080, healthPath="/up")

    named = deploy.create(APP, containerPort="9000", healthPath="/own")[1]["data"]["payload"]
    body = {"onConflict": "supersede", "type": "BUILD_AND_DEPLOY"}
    payload = {"appId": APP, "userId": 1, "image": "registry.test/demo:1"}
    unnamed = deploy.call("POST", "/deploy/jobs", {**body, "payload": payload}, API)[1]["data"]

    assert (named["containerPort"], named["healthPath"]) == ("9000", "/own")
    assert unnamed["payload"] == {**payload, "containerPort": 8080, "healthPath": "/up"}


def test_idempotency_key_stands_for_the_request_as_it_was_sent(deploy: DeployProcess) -> None:
    headers = {**API, "Idempotency-Key": "k1"}
    body = {"type": "BUILD_AND_DEPLOY", "payload": {"appId": APP, "image": "registry.test/demo:1"}}
    put(deploy, containerPort=8080)
    first = deploy.call("POST", "/deploy/jobs", body, headers)[1]["data"]
    put(deploy, containerPort=9090)

    again = deploy.call("POST", "/deploy/jobs", body, headers)[1]["data"]

    assert again["id"] == first["id"]
    assert again["payload"]["containerPort"] == 8080


def test_settings_of_one_app_are_no_other_apps(deploy: DeployProcess) -> None:
    put(deploy, containerPort=8080, environment=[variable("TOKEN", SECRET)])

    payload = deploy.create("other")[1]["data"]["payload"]

    assert "containerPort" not in payload
    assert read(deploy, "other")["version"] == 0


def test_holder_of_the_lease_gets_everything(deploy: DeployProcess) -> None:
    put(
        deploy,
        cpus=1.5,
        environment=[variable("TOKEN", SECRET), variable("LEVEL", "x", secret=False)],
    )
    job = claimed(deploy)

    status, envelope = ask(deploy, job["id"], fence=job["fence"])

    assert status == 200
    assert envelope["data"] == {
        "appId": APP,
        "version": 1,
        "environment": {"TOKEN": SECRET, "LEVEL": "x"},
        "secretNames": ["TOKEN"],
        "limits": {"memoryMib": None, "cpus": 1.5},
    }


def test_nobody_else_gets_anything(deploy: DeployProcess) -> None:
    put(deploy, environment=[variable("TOKEN", SECRET)])
    job = claimed(deploy)

    others = [ask(deploy, job["id"], "runner-2"), ask(deploy, job["id"], fence=job["fence"] + 1)]
    unknown = ask(deploy, "no-such-job")
    path = f"/deploy/jobs/{job['id']}/app-settings?runnerId=runner-1"
    unproven = deploy.call("GET", path, None, API)
    deploy.schema.execute("UPDATE fun_ai_deploy_job SET lease_expire_at = 1")
    others.append(ask(deploy, job["id"]))
    deploy.report(job, "SUCCEEDED")
    others.append(ask(deploy, job["id"]))

    for status, envelope in others:
        assert (status, envelope["code"], envelope["data"]) == (409, 409, None)
        assert "hunter2" not in envelope["message"]
    assert unknown[0] == 404
    assert unproven[0] == 401


def test_pending_job_gives_nothing(deploy: DeployProcess) -> None:
    job = deploy.create(APP)[1]["data"]

    assert ask(deploy, job["id"])[0] == 409


def test_runner_without_a_token_is_refused_also_during_a_migration(
    start_deploy: Callable[..., DeployProcess],
) -> None:
    deploy = start_deploy(DEPLOY_RUNNER_AUTH="address", DEPLOY_RUNNER_ADDRESSES="127.0.0.1")
    deploy.beat()
    deploy.create(APP)
    claim = {"runnerId": "runner-1", "waitSeconds": CLAIM_SECONDS}
    job = deploy.call("POST", "/deploy/jobs/claim", claim, {})[1]["data"]
    path = f"/deploy/jobs/{job['id']}/app-settings?runnerId=runner-1"

    without, shown = deploy.call("GET", path, None, {}), deploy.call("GET", path, None, RUNNER)

    assert (without[0], shown[0]) == (401, 200)
    assert "X-Runner-Token" in without[1]["message"]


def test_answers_are_not_to_be_stored(deploy: DeployProcess) -> None:
    answer = requests.get(deploy.url + PATH, headers=API, timeout=10)

    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/deploy/apps/purge", "/deploy/apps/cleanup"])
def test_app_that_goes_takes_its_settings_along(deploy: DeployProcess, path: str) -> None:
    put(deploy, containerPort=8080, environment=[variable("TOKEN", SECRET)])

    deploy.call("POST", path, TARGET, API)

    assert stored(deploy.schema) == []
    assert read(deploy)["version"] == 0


def test_rollback_keeps_its_revisions_port_and_runs_with_todays_environment(
    deploy: DeployProcess,
) -> None:
    put(deploy, containerPort=8080, environment=[variable("TOKEN", "old")])
    deploy_built(deploy, 1)
    put(deploy, containerPort=9090, environment=[variable("TOKEN", "new")])
    deploy_built(deploy, 2)

    job = roll_back(deploy)[1]["data"]
    assert job["payload"]["containerPort"] == 8080
    assert deploy.claimed()["id"] == job["id"]
    assert ask(deploy, job["id"])[1]["data"]["environment"] == {"TOKEN": "new"}
    deploy.call("POST", f"/deploy/jobs/{job['id']}/cancel", {}, API)


def test_keys_are_changed_in_three_steps(
    start_deploy: Callable[..., DeployProcess],
) -> None:
    with_old = start_deploy()
    put(with_old, environment=[variable("TOKEN", SECRET)])
    both = start_deploy(DEPLOY_SETTINGS_KEYS=f"{NEW_KEY},{KEY}")
    job = claimed(both)
    env = process_env(both.schema, DEPLOY_SETTINGS_KEYS=f"{NEW_KEY},{KEY}")

    before = ask(both, job["id"])[1]["data"]["environment"]
    done, again = (run_command(env, "renew-settings") for _ in range(2))
    with_new = start_deploy(DEPLOY_SETTINGS_KEYS=NEW_KEY)

    assert done.returncode == again.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "changed"
    assert again.stdout.splitlines()[-1] == "unchanged"
    assert before == ask(with_new, job["id"])[1]["data"]["environment"] == {"TOKEN": SECRET}
    assert read(with_new)["version"] == 1


def test_lost_key_is_said_and_its_settings_can_still_be_purged(
    start_deploy: Callable[..., DeployProcess],
) -> None:
    put(start_deploy(), environment=[variable("TOKEN", SECRET)])
    deploy = start_deploy(DEPLOY_SETTINGS_KEYS=NEW_KEY)
    env = process_env(deploy.schema, DEPLOY_SETTINGS_KEYS=NEW_KEY)

    status, envelope = deploy.call("GET", PATH, None, API)
    renewed = run_command(env, "renew-settings")
    job = claimed(deploy)
    finish_status = deploy.report(job, "SUCCEEDED")[0]
    deploy.call("POST", "/deploy/apps/purge", TARGET, API)

    assert (status, envelope["code"]) == (500, 500)
    assert "DEPLOY_SETTINGS_KEYS" in envelope["message"]
    assert renewed.returncode == 1
    assert f"app {APP}" in renewed.stderr
    assert finish_status == 200
    assert read(deploy)["version"] == 0


@pytest.mark.parametrize("value", ["", "CHANGE_ME"])
def test_service_does_not_start_without_a_key(database: Schema, value: str) -> None:
    done = run_command(process_env(database, DEPLOY_SETTINGS_KEYS=value), "serve")

    assert done.returncode == 2
    assert "DEPLOY_SETTINGS_KEYS" in done.stderr
