"""An app's settings: what is kept, what is never shown, and its end."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.integration.api.console import Runner, deploy, followed, new_app, words
from tests.integration.deploy_process import API

if TYPE_CHECKING:
    import requests

    from tests.integration.api.process import ApiProcess, Browser

SECRET = "s3cret-value-of-nobody"


def _send(browser: Browser, app_id: str, action: str, **fields: str) -> requests.Response:
    base = f"/console/apps/{app_id}"
    return browser.submit(f"{base}/settings", f"{base}/{action}", **fields)


def test_port_health_path_and_limits_are_saved_and_taken_away(shared_api: ApiProcess) -> None:
    bob, runner = shared_api.browser("bob"), Runner(shared_api)
    app_id = new_app(bob)
    shape = {"containerPort": "8080", "healthPath": "/up", "memoryMib": "256", "cpus": "0.5"}
    page = followed(bob, _send(bob, app_id, "settings/shape", **shape, version="0"))
    assert "Saved." in words(page)
    kept = runner.settings(app_id)
    assert (kept["containerPort"], kept["healthPath"]) == (8080, "/up")
    assert (kept["memoryMib"], kept["cpus"]) == (256, 0.5)
    for value in shape.values():
        assert f'value="{value}"' in page.text
    followed(bob, _send(bob, app_id, "settings/shape", healthPath="/up"))
    assert runner.settings(app_id)["containerPort"] is None


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("containerPort", "0", "must be a whole number from 1 to 65535"),
        ("healthPath", "x", "must be a path such as"),
        ("memoryMib", "1", "must be a whole number of MiB"),
        ("cpus", "lots", "must be a number of CPUs"),
    ],
)
def test_a_wrong_setting_is_named_and_stays_as_typed(
    shared_api: ApiProcess, field: str, value: str, says: str
) -> None:
    bob = shared_api.browser("bob")
    app_id = new_app(bob)
    answer = _send(bob, app_id, "settings/shape", **{field: value})
    assert answer.status_code == 400
    assert says in words(answer)
    assert f'value="{value}"' in answer.text
    assert answer.text.count('aria-invalid="true"') == 1


def test_a_change_of_what_somebody_else_changed_is_refused(shared_api: ApiProcess) -> None:
    bob = shared_api.browser("bob")
    app_id = new_app(bob)
    _send(bob, app_id, "settings/shape", containerPort="8080", version="0")
    answer = _send(bob, app_id, "settings/shape", containerPort="9090", version="0")
    assert answer.status_code == 409
    assert "Somebody else changed the settings" in words(answer)


@pytest.mark.parametrize("kind", ["secret", "plain"])
def test_a_value_is_kept_and_never_shown(shared_api: ApiProcess, kind: str) -> None:
    bob, runner = shared_api.browser("bob"), Runner(shared_api)
    app_id = new_app(bob)
    mark = {"secret": "on"} if kind == "secret" else {}
    answer = _send(bob, app_id, "settings/environment", name="DB_PASSWORD", value=SECRET, **mark)
    page = followed(bob, answer)
    assert "DB_PASSWORD" in words(page)
    assert ("Secret, set" if kind == "secret" else "Value set") in words(page)
    assert SECRET not in page.text
    _send(bob, app_id, "settings/environment", name="OTHER", value="x")
    kept = runner.settings(app_id)["environment"]
    assert [entry["name"] for entry in kept] == ["DB_PASSWORD", "OTHER"]
    assert kept[0]["value"] == (None if kind == "secret" else SECRET)
    followed(bob, _send(bob, app_id, "settings/environment/remove", name="DB_PASSWORD"))
    assert [e["name"] for e in runner.settings(app_id)["environment"]] == ["OTHER"]


@pytest.mark.parametrize("name", ["1st", "PORT", ""])
def test_a_refused_variable_shows_its_name_but_not_its_value(
    shared_api: ApiProcess, name: str
) -> None:
    bob = shared_api.browser("bob")
    app_id = new_app(bob)
    answer = _send(bob, app_id, "settings/environment", name=name, value=SECRET, secret="on")
    assert answer.status_code == 400
    assert answer.text.count('aria-invalid="true"') == 1
    assert f'value="{name}"' in answer.text
    assert SECRET not in answer.text


def test_a_hooks_secret_is_shown_once(shared_api: ApiProcess) -> None:
    bob, runner = shared_api.browser("bob"), Runner(shared_api)
    app_id = new_app(bob)
    refused = _send(bob, app_id, "settings/hook", branch="main")
    assert refused.status_code == 409
    assert "not deployed from a git repository" in words(refused)
    runner.run(deploy(bob, app_id, kind="git", repoUrl="https://git.test/team/shop.git"))
    made = _send(bob, app_id, "settings/hook", branch="release")
    assert "it is shown this once" in words(made)
    shown = re.findall(r"<code>([\w-]{40,})</code>", made.text)
    assert len(shown) == 1
    page = bob.get(f"/console/apps/{app_id}/settings")
    assert shown[0] not in page.text
    assert f"/hooks/git/{app_id}" in page.text
    assert "release" in words(page)
    assert _send(bob, app_id, "settings/hook", branch="a..b").status_code == 400
    off = followed(bob, _send(bob, app_id, "settings/hook/off"))
    assert "Pushes do not deploy the app any more" in words(off)
    assert f"/hooks/git/{app_id}" not in off.text


def test_an_app_is_renamed(shared_api: ApiProcess) -> None:
    bob = shared_api.browser("bob")
    app_id = new_app(bob)
    assert "New name" in words(followed(bob, _send(bob, app_id, "settings/name", name="New name")))
    refused = _send(bob, app_id, "settings/name", name="x" * 81)
    assert refused.status_code == 400
    assert "1 to 80" in words(refused)


def test_an_app_is_deleted_only_by_its_typed_id(shared_api: ApiProcess) -> None:
    bob, runner = shared_api.browser("bob"), Runner(shared_api)
    app_id = new_app(bob)
    runner.run(deploy(bob, app_id))
    refused = _send(bob, app_id, "delete", confirm=app_id.upper())
    assert refused.status_code == 400
    assert f"must be the app's id: {app_id}" in words(refused)
    answer = _send(bob, app_id, "delete", confirm=app_id)
    assert answer.headers["Location"] == "/"
    assert f"App {app_id} is deleted" in words(bob.get("/"))
    assert bob.get(f"/console/apps/{app_id}").status_code == 404
    jobs = runner.deploy.call("GET", f"/deploy/jobs/by-app?appId={app_id}", None, API)
    assert jobs[1]["data"] == []
