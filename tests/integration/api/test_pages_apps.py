"""The list of apps, an app's own page, and what is not shown to whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.api.console import COMMIT, IMAGE, Runner, deploy, followed, new_app, words

if TYPE_CHECKING:
    from tests.integration.api.process import ApiProcess

PAGES = ("", "/deploy", "/jobs", "/revisions", "/log", "/settings", "/state.json", "/log.txt")


def test_an_app_is_made_and_listed_for_its_owner_and_for_operators(shared_api: ApiProcess) -> None:
    bob = shared_api.browser("bob")
    app_id = new_app(bob, "Shop front")
    assert "Shop front" in words(bob.get("/"))
    assert app_id not in words(shared_api.browser("eve").get("/"))
    listed = words(shared_api.browser("ada").get(f"/?q={app_id}"))
    assert "Shop front" in listed
    assert "bob" in listed


def test_a_listed_app_says_how_it_stands(shared_api: ApiProcess) -> None:
    bob, runner = shared_api.browser("bob"), Runner(shared_api)
    app_id = new_app(bob)
    assert "Not deployed yet" in words(bob.get(f"/?q={app_id}"))
    runner.run(deploy(bob, app_id, kind="git", repoUrl="https://git.test/team/shop.git"), COMMIT)
    listed = words(bob.get(f"/?q={app_id}"))
    assert "Running" in listed
    assert f"#1 {COMMIT[:7]}" in listed
    assert "node-1" in listed
    assert f"http://apps.example/apps/{app_id}/" in bob.get(f"/console/apps/{app_id}").text


def test_the_list_has_pages_and_a_search(shared_api: ApiProcess) -> None:
    eve = shared_api.browser("eve")
    for number in range(51):
        new_app(eve, f"Numbered {number}")
    first, second = eve.get("/"), eve.get("/?page=2")
    assert first.text.count("data-label=") > second.text.count("data-label=") > 0
    assert "Page 1 of 2" in words(first)
    assert "Numbered 50" in words(eve.get("/?q=Numbered+50"))
    assert "No app fits" in words(eve.get("/?q=%25"))


@pytest.mark.parametrize(
    ("app_id", "says"),
    [("a b", "must be 1 to 63"), ("../x", "must be 1 to 63"), ("taken", "is taken")],
)
def test_a_wrong_id_is_refused_with_what_was_typed(
    shared_api: ApiProcess, app_id: str, says: str
) -> None:
    browser = shared_api.browser("bob")
    taken = new_app(shared_api.browser("eve"))
    asked = taken if app_id == "taken" else app_id
    answer = browser.submit("/?new=1", "/console/apps", appId=asked, name="My name")
    assert answer.status_code in {400, 409}
    assert says in words(answer)
    assert 'value="My name"' in answer.text


@pytest.mark.parametrize("page", PAGES)
def test_another_users_app_is_not_there(shared_api: ApiProcess, page: str) -> None:
    app_id = new_app(shared_api.browser("bob"))
    refused = shared_api.browser("eve").get(f"/console/apps/{app_id}{page}")
    unknown = shared_api.browser("eve").get(f"/console/apps/nobodys-app{page}")
    assert refused.status_code == unknown.status_code == 404
    assert words(refused).replace(app_id, "nobodys-app") == words(unknown)


@pytest.mark.parametrize(
    "action",
    [
        "deploy",
        "rollback",
        "stop",
        "resume",
        "delete",
        "settings/shape",
        "settings/environment",
        "settings/environment/remove",
        "settings/hook",
        "settings/hook/off",
        "settings/name",
    ],
)
def test_nothing_is_done_to_another_users_app(shared_api: ApiProcess, action: str) -> None:
    app_id = new_app(shared_api.browser("bob"))
    fields = {"kind": "image", "image": IMAGE, "name": "x", "branch": "main", "confirm": app_id}
    answer = shared_api.browser("eve").submit("/", f"/console/apps/{app_id}/{action}", **fields)
    assert answer.status_code == 404
    assert Runner(shared_api).settings(app_id)["version"] == 0


def test_text_of_people_is_shown_as_text(shared_api: ApiProcess) -> None:
    bob = shared_api.browser("bob")
    app_id = new_app(bob, "<script>alert(1)</script> & Söhne")
    for page in (f"/?q={app_id}", f"/console/apps/{app_id}", f"/console/apps/{app_id}/settings"):
        text = bob.get(page).text
        assert "<script>alert" not in text
        assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; Söhne" in text
    assert "<b>" not in bob.get("/console/apps/%3Cb%3E").text


def test_a_stopped_app_says_so(shared_api: ApiProcess) -> None:
    bob, runner = shared_api.browser("bob"), Runner(shared_api)
    app_id = new_app(bob)
    page = f"/console/apps/{app_id}"
    # Its node has no agent here: Deploy's sentence about that is what is shown.
    runner.run(deploy(bob, app_id))
    said = words(followed(bob, bob.submit(page + "/settings", page + "/stop")))
    assert "agent" in said


def test_a_paused_app_says_why_and_is_resumed_with_a_button(shared_api: ApiProcess) -> None:
    bob, runner = shared_api.browser("bob"), Runner(shared_api)
    app_id = new_app(bob)
    job_id = deploy(bob, app_id)
    shared_api.deploy.schema.execute(
        "UPDATE fun_ai_deploy_app SET paused_at = UTC_TIMESTAMP(6),"
        f" pause_reason = '3 jobs of it ended their runners' WHERE app_id = '{app_id}'"
    )
    page = f"/console/apps/{app_id}"
    said = words(bob.get(page))
    assert "The app is paused: its jobs wait." in said
    assert "3 jobs of it ended their runners" in said
    assert "Paused" in words(bob.get(f"/?q={app_id}"))
    assert "The app takes jobs again" in words(followed(bob, bob.submit(page, page + "/resume")))
    assert "Paused" not in words(bob.get(page))
    runner.run(job_id)


@pytest.mark.parametrize("is_known", [True, False])
def test_an_app_that_serves_no_success_says_so(shared_api: ApiProcess, *, is_known: bool) -> None:
    """Also one of which a restored database knows no job at all."""
    bob, runner = shared_api.browser("bob"), Runner(shared_api)
    app_id = new_app(bob)
    if is_known:
        runner.run(deploy(bob, app_id))
    shared_api.deploy.schema.execute(
        "INSERT INTO fun_ai_deploy_app (app_id, deploy_seq, fence, unconfirmed_job_id,"
        f" create_time, update_time) VALUES ('{app_id}', 0, 9, 'job-of-old', NOW(6), NOW(6))"
        " ON DUPLICATE KEY UPDATE unconfirmed_job_id = 'job-of-old'"
    )

    page = bob.get(f"/console/apps/{app_id}")

    assert "What serves is not the newest success." in words(page)
    assert "/console/jobs/job-of-old" in page.text
    assert f"http://apps.example/apps/{app_id}/" in page.text


def test_the_list_stays_when_deploy_is_away(api: ApiProcess) -> None:
    bob = api.browser("bob")
    app_id = new_app(bob, "Stays here")
    api.deploy.stop()
    page = bob.get("/")
    assert page.status_code == 200
    assert "Stays here" in words(page)
    assert "How the apps stand is not known" in words(page)
    away = bob.get(f"/console/apps/{app_id}")
    assert away.status_code == 503
    assert "Deploy does not answer" in words(away)
    form = bob.post("/console/apps", data={"csrf_token": _token(page.text), "appId": "later-one"})
    assert form.status_code == 503
    assert 'value="later-one"' in form.text


def _token(page: str) -> str:
    return page.partition('name="csrf_token" value="')[2].partition('"')[0]


@pytest.mark.parametrize(
    ("accept", "says"), [("zh-CN,zh;q=0.9", "应用"), ("en", "Apps"), ("fr", "Apps")]
)
def test_a_page_speaks_the_browsers_language(
    shared_api: ApiProcess, accept: str, says: str
) -> None:
    bob = shared_api.browser("bob")
    bob.session.headers["Accept-Language"] = accept
    assert f"<h1>{says}</h1>" in bob.get("/").text


def test_a_language_and_a_look_can_be_chosen(shared_api: ApiProcess) -> None:
    visitor = shared_api.browser()
    visitor.submit("/sign-in", "/language", language="zh", next="/sign-in")
    visitor.submit("/sign-in", "/theme", theme="dark", next="/sign-in")
    page = visitor.get("/sign-in").text
    assert 'lang="zh-CN" data-theme="dark"' in page
    assert "<h1>登录</h1>" in page
    assert visitor.submit("/sign-in", "/theme", theme="pink").status_code == 400


def test_a_page_needs_nothing_from_elsewhere(shared_api: ApiProcess) -> None:
    bob = shared_api.browser("bob")
    app_id = new_app(bob)
    for page in ("/sign-in", "/", *(f"/console/apps/{app_id}{p}" for p in PAGES[:6])):
        text = bob.get(page).text
        assert 'style="' not in text
        assert "onclick" not in text
        assert 'src="http' not in text
    sizes = {
        path: len(bob.get(path).content)
        for path in ("/", "/static/console.css", "/static/console.js", "/static/icon.svg")
    }
    assert sum(sizes.values()) <= 100_000, sizes
