"""Hooks of git servers: who is let through, and what a push says."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any
from urllib.parse import urlencode

import pytest
from werkzeug.datastructures import Headers

from funai.api.hooks.model import (
    MAX_BODY,
    HookError,
    Push,
    parse_push,
    repository_key,
    verify,
)

SECRET = "0123456789abcdef0123456789abcdef"
SHA = "1481a2de7b2a7d02428ad93446ab166be7793fbb"
TAG_OBJECT = "82b3d5ae55f7080f1e6022629cdb57bfae7cccc7"
ZEROS = "0" * 40
NOW = 1_700_000_000
HTTPS = "https://git.test/Team/app.git"

GITHUB = {
    "ref": "refs/heads/main",
    "before": ZEROS,
    "after": SHA,
    "deleted": False,
    "head_commit": {"id": SHA},
    "repository": {
        "html_url": "https://git.test/team/app",
        "clone_url": HTTPS,
        "ssh_url": "git@git.test:team/app.git",
        "git_url": "git://git.test/team/app.git",
    },
}
GITLAB = {
    "object_kind": "push",
    "ref": "refs/heads/main",
    "before": ZEROS,
    "after": SHA,
    "checkout_sha": SHA,
    "project": {
        "git_ssh_url": "ssh://git@git.test:2222/team/app.git",
        "git_http_url": "https://git.test:8443/team/app.git",
        "web_url": "https://git.test:8443/team/app",
    },
}


def signed(body: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def parsed(body: dict[str, Any], event: str = "X-GitHub-Event", name: str = "push") -> Push:
    push = parse_push({event: name}, json.dumps(body).encode())
    assert push is not None
    return push


def refusal(headers: dict[str, str], body: bytes = b"{}", secret: str = SECRET) -> HookError:
    with pytest.raises(HookError) as caught:
        verify(secret, headers, body, now=NOW)
    assert secret == "" or secret not in str(caught.value)
    return caught.value


def malformed(body: bytes, **headers: str) -> HookError:
    with pytest.raises(HookError) as caught:
        parse_push({"X-GitHub-Event": "push", **headers}, body)
    return caught.value


def test_githubs_own_example_is_let_through() -> None:
    # https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
    digest = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"

    verify(
        "It's a Secret to Everybody",
        {"X-Hub-Signature-256": f"sha256={digest}"},
        b"Hello, World!",
    )


@pytest.mark.parametrize(
    ("name", "prefix"),
    [("X-Hub-Signature-256", "sha256="), ("X-Gitea-Signature", ""), ("X-Gogs-Signature", "")],
)
def test_a_signature_of_the_body_proves_it(name: str, prefix: str) -> None:
    body = b'{"a": 1}'
    right = signed(body)
    wrong = ("0" if right[0] != "0" else "1") + right[1:]

    verify(SECRET, {name.lower(): prefix + right}, body)
    verify(SECRET, Headers({name: prefix + right.upper()}), body)
    for bad in (prefix + wrong, prefix, "", right[:-1], f"sha1={right}", "ü" + right):
        assert refusal({name: bad}, body).http_status == 401, bad
    assert refusal({name: prefix + right}, body + b" ").http_status == 401
    assert refusal({name: prefix + signed(body, SECRET + "x")}, body).http_status == 401


def test_gitlabs_token_is_the_secret() -> None:
    verify(SECRET, {"X-Gitlab-Token": SECRET}, b"{}")

    assert "is not the secret" in str(refusal({"X-Gitlab-Token": SECRET[:-1]}))
    assert refusal({"X-Gitlab-Token": "é"}).http_status == 401


def test_own_signature_has_a_timestamp_that_is_near() -> None:
    def stamped(stamp: str) -> dict[str, str]:
        digest = signed(stamp.encode() + b".{}")
        return {"X-Funai-Signature": f"sha256={digest}", "X-Funai-Timestamp": stamp}

    verify(SECRET, stamped(str(NOW - 299)), b"{}", now=NOW)
    verify(SECRET, stamped(str(NOW + 299)), b"{}", now=NOW)
    assert "301 s off" in str(refusal(stamped(str(NOW - 301))))
    assert "301 s off" in str(refusal(stamped(str(NOW + 301))))
    moved = {**stamped(str(NOW)), "X-Funai-Timestamp": str(NOW + 1)}
    assert "does not fit" in str(refusal(moved))
    for bad in ("", "now", "-1", "1" * 13, "\uff11"):
        assert "seconds since 1970" in str(refusal(stamped(bad))), bad


def test_every_proof_that_is_shown_must_be_right() -> None:
    right = {"X-Gitea-Signature": signed(b"{}"), "X-Hub-Signature-256": f"sha256={signed(b'{}')}"}
    verify(SECRET, right, b"{}")

    assert refusal({**right, "X-Gitea-Signature": signed(b"")}).http_status == 401


def test_refusals_say_what_to_do() -> None:
    assert "set the hook's secret at the server" in str(refusal({"X-GitHub-Event": "push"}))
    assert "SHA-1" in str(refusal({"X-Hub-Signature": "sha1=" + "0" * 40}))
    nobody = {"X-Gitlab-Token": "", "X-Gitea-Signature": signed(b"{}", "")}
    assert "the app has no hook" in str(refusal(nobody, secret=""))


def test_bodies_are_bounded_before_they_are_read() -> None:
    body = b" " * (MAX_BODY + 1)

    assert refusal({"X-Hub-Signature-256": f"sha256={signed(body)}"}, body).http_status == 413
    assert malformed(body).http_status == 413
    verify(SECRET, {"X-Gitea-Signature": signed(body[1:])}, body[1:])


@pytest.mark.parametrize(
    "url",
    [
        HTTPS,
        "https://GIT.test/team/app",
        "http://git.test/team/app/",
        "https://git.test:8443/team/app.git",
        "git@git.test:team/app.git",
        "git@git.test:/team/app.git",
        "gitea@git.test:team/app",
        "ssh://git@git.test/team/app.git",
        "ssh://git@git.test:2222/Team/App.git/",
    ],
)
def test_addresses_of_one_repository_have_one_key(url: str) -> None:
    assert repository_key(url) == ("git.test", "team/app")
    assert parsed(GITHUB).matches(url, "main")
    assert parsed(GITLAB, "X-Gitlab-Event", "Push Hook").matches(url, "main")


@pytest.mark.parametrize(
    "url",
    [
        "https://git.test/team/app2.git",
        "https://git.test/team",
        "https://git.test.evil.test/team/app.git",
        "https://evil.test/git.test/team/app.git",
        "https://user:secret@git.test/team/app.git",
        "file:///team/app.git",
        "git.test/team/app",
        "",
        None,
    ],
)
def test_other_addresses_do_not_match(url: Any) -> None:
    assert repository_key(url) != ("git.test", "team/app")
    assert not parsed(GITHUB).matches(url, "main")


def test_a_push_says_branch_and_commit() -> None:
    push = parsed(GITHUB)

    assert (push.branch, push.tag, push.commit, push.is_deleted) == ("main", None, SHA, False)
    assert push.matches(HTTPS, "main")
    assert push.why_not(HTTPS, "dev") == "the push is to branch 'main'; the app follows 'dev'"
    assert "another repository" in str(push.why_not("https://git.test/other", "main"))
    assert not push.matches(HTTPS, "refs/heads/main")
    assert parsed({**GITHUB, "ref": "refs/heads/feat/x"}).matches(HTTPS, "feat/x")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({**GITHUB, "deleted": True, "after": ZEROS, "head_commit": None}, id="github"),
        pytest.param({**GITLAB, "after": ZEROS, "checkout_sha": None}, id="gitlab"),
        pytest.param({**GITHUB, "after": "0" * 64}, id="sha256"),
    ],
)
def test_a_deleted_branch_makes_no_job(body: dict[str, Any]) -> None:
    push = parsed(body)

    assert push.is_deleted
    assert push.commit is None
    assert push.why_not(HTTPS, "main") == "branch 'main' was deleted"


@pytest.mark.parametrize(
    ("body", "event", "name"),
    [
        pytest.param(
            {**GITHUB, "after": TAG_OBJECT, "head_commit": {"id": SHA}},
            "X-GitHub-Event",
            "push",
            id="github",
        ),
        pytest.param(
            {**GITLAB, "after": TAG_OBJECT}, "X-Gitlab-Event", "Tag Push Hook", id="gitlab"
        ),
    ],
)
def test_a_tag_is_told_by_its_commit_and_makes_no_job(
    body: dict[str, Any], event: str, name: str
) -> None:
    push = parsed({**body, "ref": "refs/tags/main"}, event, name)

    assert (push.branch, push.tag, push.commit) == (None, "main", SHA)
    assert "only branches" in str(push.why_not(HTTPS, "main"))


@pytest.mark.parametrize(
    ("event", "name"),
    [
        ("X-GitHub-Event", "ping"),
        ("X-Gitea-Event", "create"),
        ("X-Gitlab-Event", "Note Hook"),
        ("X-Funai-Event", "job.succeeded"),
    ],
)
def test_other_events_are_no_push(event: str, name: str) -> None:
    assert parse_push({event: name}, b"whatever") is None


def test_gitea_is_asked_by_its_own_header() -> None:
    # Gitea also sends GitHub's headers.
    both = {"X-GitHub-Event": "push", "X-Gitea-Event": "create"}

    assert parse_push(both, json.dumps(GITHUB).encode()) is None


def test_a_plain_program_needs_three_members() -> None:
    body = json.dumps({"repoUrl": HTTPS, "ref": "refs/heads/main", "commit": SHA}).encode()

    push = parse_push({"X-Funai-Signature": "checked already"}, body)

    assert push is not None
    assert push.matches("git@git.test:team/app.git", "main")
    assert push.commit == SHA
    with pytest.raises(HookError, match="names no event"):
        parse_push({}, body)


def test_a_form_is_read_like_json() -> None:
    body = urlencode({"payload": json.dumps(GITHUB)}).encode()
    kind = "application/x-www-form-urlencoded; charset=utf-8"

    push = parse_push({"X-GitHub-Event": "push", "Content-Type": kind}, body)

    assert push is not None
    assert push.commit == SHA
    for bad in (b"", b"payload=", b"other=1", b"\xff", b"&".join([b"a=1"] * 100)):
        assert malformed(bad, **{"Content-Type": kind}).http_status == 400


@pytest.mark.parametrize(
    ("body", "text"),
    [
        pytest.param(b"", "no JSON", id="empty"),
        pytest.param(b"\xff\xfe", "no JSON", id="no text"),
        pytest.param(b"[" * 100_000, "no JSON", id="deep"),
        pytest.param(b"1" * 10_000, "no JSON", id="long number"),
        pytest.param(b"[]", "JSON object", id="list"),
        pytest.param(b"{}", "ref must be", id="no ref"),
        pytest.param(json.dumps({**GITHUB, "ref": ["x"]}).encode(), "ref must be", id="ref list"),
        pytest.param(
            json.dumps({**GITHUB, "ref": "refs/heads/" + "x" * 255}).encode(),
            "ref must be",
            id="long",
        ),
        pytest.param(json.dumps({**GITHUB, "ref": "main"}).encode(), "ref must be", id="short ref"),
        pytest.param(
            json.dumps({**GITHUB, "repository": []}).encode(), "names no repository", id="nowhere"
        ),
        pytest.param(
            json.dumps({**GITHUB, "repository": {"clone_url": {"a": 1}}}).encode(),
            "names no repository",
            id="odd address",
        ),
        pytest.param(
            json.dumps({**GITHUB, "after": "--upload-pack=x"}).encode(), "whole SHA", id="option"
        ),
        pytest.param(
            json.dumps({**GITHUB, "after": SHA[:12]}).encode(), "whole SHA", id="short SHA"
        ),
        pytest.param(json.dumps({**GITHUB, "after": None}).encode(), "whole SHA", id="no SHA"),
    ],
)
def test_malformed_pushes_are_refused_in_words(body: bytes, text: str) -> None:
    found = malformed(body)

    assert found.http_status == 400
    assert text in str(found)


def test_one_delivery_makes_one_job_of_an_app() -> None:
    body = json.dumps(GITHUB).encode()
    delivery = "72d3162e-cc78-11e3-81ab-4c9367dc0958"

    def key(delivery: str = "", app_id: str = "app-1", body: bytes = body) -> str:
        given = {"X-GitHub-Delivery": delivery} if delivery else {}
        push = parse_push({"X-GitHub-Event": "push", **given}, body)
        assert push is not None
        return push.idempotency_key(app_id)

    first = key(delivery)
    assert first == key(delivery)
    assert first != key(delivery[:-1] + "9")
    assert first != key(delivery, "app-2")
    moved = json.dumps({**GITHUB, "after": TAG_OBJECT, "head_commit": {"id": TAG_OBJECT}}).encode()
    assert first != key(delivery, body=moved)
    assert key() == key() != key(body=body + b" ")
    assert key("x" * 10_000) == key()
    longest = key(delivery, "a" * 63)
    assert len(longest) <= 128
    assert longest.isascii()
