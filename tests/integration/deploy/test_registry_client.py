"""What the client makes of registries' answers: Harbor's, ACR's, and those of a bad day."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from funai.deploy.registries import client as client_module
from funai.deploy.registries.client import MAX_TAGS, RegistryClient
from funai.deploy.registries.model import (
    Account,
    RegistryAwayError,
    RegistryError,
    RegistryKind,
    RegistryRefusedError,
)
from tests.integration.deploy.registry_stub import Answer, RegistryStub, error

if TYPE_CHECKING:
    from collections.abc import Iterator

PATH = "apps/team/shop"
DIGEST = f"sha256:{1:064x}"
MANIFEST = f"/v2/{PATH}/manifests/{DIGEST}"
TAGS = f"/v2/{PATH}/tags/list?n=100"
PASSWORD = "registry-password"


@pytest.fixture
def stub() -> Iterator[RegistryStub]:
    found = RegistryStub()
    yield found
    found.close()


def client(
    stub: RegistryStub, kind: RegistryKind = RegistryKind.DISTRIBUTION, seconds: float = 30
) -> RegistryClient:
    account = Account(stub.host, "robot$apps+prune", PASSWORD, kind, scheme="http")
    return RegistryClient(account, time.monotonic() + seconds)


def tagged(stub: RegistryStub, *tags: str, digest: str = DIGEST) -> None:
    stub.put("GET", TAGS, Answer(200, {"tags": list(tags)}))
    for tag in tags:
        headers = {"Docker-Content-Digest": digest}
        stub.put("HEAD", f"/v2/{PATH}/manifests/{tag}", Answer(200, None, headers))


@pytest.mark.parametrize("answer", [Answer(202), error(404, "MANIFEST_UNKNOWN")])
def test_image_that_is_gone_is_removed(stub: RegistryStub, answer: Answer) -> None:
    stub.put("DELETE", MANIFEST, answer)

    with client(stub) as registry:
        registry.remove(PATH, DIGEST)

    assert stub.asked("DELETE") == [MANIFEST]


def test_page_of_a_proxy_is_no_word_of_the_registry(stub: RegistryStub) -> None:
    with client(stub) as registry, pytest.raises(RegistryError, match="answered 404"):
        registry.remove(PATH, DIGEST)


def test_harbor_is_asked_through_its_own_api(stub: RegistryStub) -> None:
    path = f"/api/v2.0/projects/apps/repositories/team%252Fshop/artifacts/{DIGEST}"
    stub.put("DELETE", path, Answer(200, {}))

    with client(stub, RegistryKind.HARBOR) as registry:
        registry.remove(PATH, DIGEST)

    assert stub.asked("DELETE") == [path]


@pytest.mark.parametrize(
    ("kind", "status", "kind_of_error"),
    [
        (RegistryKind.ACR, 401, RegistryRefusedError),
        (RegistryKind.ACR, 403, RegistryRefusedError),
        (RegistryKind.ACR, 405, RegistryRefusedError),
        (RegistryKind.DISTRIBUTION, 405, RegistryRefusedError),
        (RegistryKind.DISTRIBUTION, 401, RegistryAwayError),
        (RegistryKind.DISTRIBUTION, 500, RegistryAwayError),
        (RegistryKind.DISTRIBUTION, 503, RegistryAwayError),
        (RegistryKind.DISTRIBUTION, 302, RegistryError),
    ],
)
def test_refusals_for_good_are_told_from_those_of_now(
    stub: RegistryStub, kind: RegistryKind, status: int, kind_of_error: type[RegistryError]
) -> None:
    stub.put("DELETE", MANIFEST, error(status, "DENIED", "not for you"))

    with client(stub, kind) as registry, pytest.raises(RegistryError) as raised:
        registry.remove(PATH, DIGEST)

    assert type(raised.value) is kind_of_error
    assert "not for you" in str(raised.value)
    assert PASSWORD not in str(raised.value)


def test_token_is_asked_for_where_the_registry_says(stub: RegistryStub) -> None:
    stub.realm = f"http://{stub.host}/service/token"
    scope = f"repository%3A{PATH.replace('/', '%2F')}%3Apull%2Cdelete"
    query = f"service=registry.test&scope={scope}"
    stub.put("GET", f"/service/token?{query}", Answer(200, {"token": "of-the-day"}))
    stub.put("DELETE", MANIFEST, Answer(202))

    with client(stub) as registry:
        registry.remove(PATH, DIGEST)

    assert stub.calls[-1] == ("DELETE", MANIFEST, "Bearer of-the-day")


def test_password_goes_to_no_other_host(stub: RegistryStub) -> None:
    stranger = RegistryStub()
    stub.realm = f"http://{stranger.host}/token"
    try:
        with client(stub) as registry, pytest.raises(RegistryAwayError, match="not itself"):
            registry.remove(PATH, DIGEST)
        assert stranger.calls == []
    finally:
        stranger.close()


def test_own_tags_are_not_looked_at(stub: RegistryStub) -> None:
    tagged(stub, "ours", "golden")

    with client(stub) as registry:
        assert registry.other_tag(PATH, DIGEST, {"ours"}) == "golden"
        assert registry.other_tag(PATH, DIGEST, {"ours", "golden"}) is None

    assert stub.asked("HEAD") == [f"/v2/{PATH}/manifests/golden"]


def test_all_pages_of_tags_are_looked_at(stub: RegistryStub) -> None:
    tagged(stub, "a", "b", digest=f"sha256:{2:064x}")
    following = {"Link": f'</v2/{PATH}/tags/list?last=b&n=2>; rel="next"'}
    stub.put("GET", TAGS, Answer(200, {"tags": ["a", "b"]}, following))
    stub.put("GET", f"{TAGS}&last=b", Answer(200, {"tags": ["golden"]}))
    headers = {"Docker-Content-Digest": DIGEST}
    stub.put("HEAD", f"/v2/{PATH}/manifests/golden", Answer(200, None, headers))

    with client(stub) as registry:
        assert registry.other_tag(PATH, DIGEST, set()) == "golden"


def test_repository_with_too_many_tags_to_look_at_is_left_alone(stub: RegistryStub) -> None:
    stub.put("GET", TAGS, Answer(200, {"tags": [str(n) for n in range(MAX_TAGS + 1)]}))

    with client(stub) as registry, pytest.raises(RegistryRefusedError, match="20000 tags"):
        registry.other_tag(PATH, DIGEST, set())


def test_tags_of_a_repository_are_looked_at_once_for_all_its_images(stub: RegistryStub) -> None:
    names = [f"by-hand-{number}" for number in range(1500)]
    stub.put("GET", TAGS, Answer(200, {"tags": names}))
    headers = {"Docker-Content-Digest": f"sha256:{9:064x}"}
    for name in names:
        stub.put("HEAD", f"/v2/{PATH}/manifests/{name}", Answer(200, None, headers))

    with client(stub) as registry:
        found = [registry.other_tag(PATH, f"sha256:{n:064x}", set()) for n in (1, 2, 3, 9)]

    assert found == [None, None, None, "by-hand-0"]
    assert (len(stub.asked("GET")), len(stub.asked("HEAD"))) == (1, len(names))


def test_tag_that_was_made_since_the_list_was_read_is_seen(
    stub: RegistryStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    tagged(stub)
    with client(stub) as registry:
        before = registry.other_tag(PATH, DIGEST, set())
        tagged(stub, "golden")
        monkeypatch.setattr(client_module, "LIST_SECONDS", 0.0)
        after = registry.other_tag(PATH, DIGEST, set())

    assert (before, after) == (None, "golden")


@pytest.mark.parametrize("answer", [Answer(401), Answer(500), Answer(200)])
def test_tag_that_cannot_be_read_is_not_taken_for_another_image(
    stub: RegistryStub, answer: Answer
) -> None:
    tagged(stub, "golden")
    stub.put("HEAD", f"/v2/{PATH}/manifests/golden", answer)

    with client(stub) as registry, pytest.raises(RegistryError):
        registry.other_tag(PATH, DIGEST, set())


def test_repository_that_the_registry_does_not_know_has_no_tags(stub: RegistryStub) -> None:
    stub.put("GET", TAGS, error(404, "NAME_UNKNOWN"))

    with client(stub) as registry:
        assert registry.other_tag(PATH, DIGEST, set()) is None


def test_registry_that_hangs_is_left_when_the_time_is_up(stub: RegistryStub) -> None:
    stub.hold.clear()

    def seconds() -> float:
        started = time.monotonic()
        with client(stub, seconds=0.4) as registry:
            for _ in range(3):
                with pytest.raises(RegistryAwayError):
                    registry.remove(PATH, DIGEST)
        return time.monotonic() - started

    # The best of a few: the machine may have been busy.
    assert min(seconds() for _ in range(4)) < 1
