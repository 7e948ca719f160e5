"""The one schema for where a job's code or image comes from."""

from __future__ import annotations

from typing import Any

import pytest

from funai.contract import ids
from funai.contract.ids import FieldError
from funai.contract.release import is_release, release_of
from funai.contract.source import SourceKind, SourceSpec, app_image_name, check_fields

URL = "https://git.test/team/app.git"
SHA = "0123456789abcdef0123456789abcdef01234567"
CHECKSUM = "ab" * 32


def parse(**payload: Any) -> SourceSpec:
    return SourceSpec.parse({"repoUrl": URL, **payload})


def refusal(**payload: Any) -> str:
    with pytest.raises(FieldError) as caught:
        parse(**payload)
    return str(caught.value)


def test_defaults_of_a_repository() -> None:
    spec = parse()

    assert spec == SourceSpec(kind=SourceKind.GIT, repo_url=URL)
    assert (spec.commit, spec.dockerfile_path, spec.build_context) == ("HEAD", "Dockerfile", ".")
    assert (spec.health_path, spec.rebuild, spec.build_args) == ("/", False, {})


def test_both_vocabularies_say_the_same() -> None:
    ours = SourceSpec.parse({"repoUrl": "git@git.test:team/app.git", "commit": "v1"})
    earlier = SourceSpec.parse({"repoSshUrl": "git@git.test:team/app.git", "gitRef": "v1"})

    assert ours == earlier
    assert parse(repoSshUrl=URL, commit="v1", gitRef="v1").commit == "v1"


def test_names_that_disagree_are_refused() -> None:
    assert "repoUrl and repoSshUrl differ" in refusal(repoSshUrl="https://git.test/other")
    assert "commit and gitRef differ" in refusal(commit="a", gitRef="b")


def test_kind_follows_what_is_given() -> None:
    archive = {"archiveUrl": "https://store.test/x.zip?sig=1", "sha256": CHECKSUM.upper()}

    assert parse(image="registry.test/a:1").kind is SourceKind.IMAGE
    assert parse(**archive).kind is SourceKind.ARCHIVE
    assert parse(**archive).sha256 == CHECKSUM
    assert "archiveUrl" in refusal(source="archive")
    assert "sha256" in refusal(archiveUrl="https://store.test/x.zip")
    with pytest.raises(FieldError, match="neither image, repoUrl nor archiveUrl"):
        SourceSpec.parse({"appId": "a", "image": "", "repoUrl": None})


@pytest.mark.parametrize(
    ("given", "cleaned"),
    [
        ("https://Git.Test:8443/team/app.git/", "https://git.test:8443/team/app.git"),
        ("ssh://git@Git.Test:2222/team/app", "ssh://git@git.test:2222/team/app"),
        ("ssh://git.test/~u/app", "ssh://git.test/~u/app"),
        ("git@Git.Test:team/app.git", "git@git.test:team/app.git"),
        ("git@git.test:/srv/a", "git@git.test:/srv/a"),
    ],
)
def test_repository_addresses_are_cleaned(given: str, cleaned: str) -> None:
    assert SourceSpec.parse({"repoUrl": given}).repo_url == cleaned


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc", "/srv/git/app", "./app", "app", "git://git.test/app", "ext::sh -c id",
        "fd::7/x", "https://git.test", "https://git.test/", "https://git.test/a?b", "https://git.test/a#b",
        "https://git.test/a b", "https://git.test/../a", "https://git.test/a/./b", "https://git.test:0/a",
        "https://git.test:99999/a", "https://-git.test/a", "https://git.test/a\n", "https://git.test/a\x00",
        "ssh://-oProxyCommand=id/a", "ssh://-x@git.test/a", "-git@git.test:a", "git@-git.test:a",
        "git@git.test:-a", "git@git.test:a/../b", "git.test:a", "git@git.test:", "https://g\u0131t.test/a",
        "https://git.test/a\\b", "HTTPS://git.test/a", "https://[::1]/a", "https://git.test/'$(id)'",
        "x" * 3000, ["a"], {"a": 1}, True, 7, "git@ext::sh -c id:x", "a@b::c",
    ],
)  # fmt: skip
def test_other_addresses_are_refused(url: Any) -> None:
    with pytest.raises(FieldError, match="repoUrl"):
        SourceSpec.parse({"repoUrl": url})


def test_plain_http_is_a_setting() -> None:
    plain = {"repoUrl": "http://git.test/a"}

    assert SourceSpec.parse(plain, allow_http=True).repo_url == "http://git.test/a"
    with pytest.raises(FieldError, match="not allowed on this runner"):
        SourceSpec.parse(plain)


@pytest.mark.parametrize("url", ["https://u:hunter2@git.test/a", "http://hunter2@git.test/a"])
def test_credentials_in_an_address_are_refused_and_not_shown(url: str) -> None:
    said = [refusal(repoUrl=url), refusal(archiveUrl=url, sha256=CHECKSUM)]

    assert all("no password" in text and "hunter2" not in text for text in said)


@pytest.mark.parametrize("ref", ["main", "v1.0", "feature/a-b", SHA, 1234567, "a@b", "refs/tags/x"])
def test_refs_are_taken(ref: Any) -> None:
    assert parse(commit=ref).commit == str(ref)


@pytest.mark.parametrize(
    "ref",
    [
        "--upload-pack=id", "-x", "a..b", "a@{1}", "a//b", "a.lock", "a.lock/b", "a/", "a.", "/a",
        ".a", "a/.b", "a b", "a:b", "a^", "a~1", "a\nb", "a\x00", "a" * 256, "$(id)", "é", [SHA], True,
    ],
)  # fmt: skip
def test_other_refs_are_refused(ref: Any) -> None:
    assert refusal(commit=ref).startswith("commit")


@pytest.mark.parametrize("name", ["dockerfilePath", "buildContext"])
@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd", "../a", "a/../../b", "a\\b", "a\x00b", "a\nb", "a" * 513, "-f", ["a"],
        "..", "\ud800",
    ],
)  # fmt: skip
def test_paths_stay_inside(name: str, path: Any) -> None:
    assert refusal(**{name: path}).startswith(name)


def test_paths_lose_needless_parts() -> None:
    spec = parse(dockerfilePath="./docker//Dockerfile.prod", buildContext="./src/")

    assert (spec.dockerfile_path, spec.build_context) == ("docker/Dockerfile.prod", "src")
    assert "name a file" in refusal(dockerfilePath=".")
    assert "name a file" in refusal(dockerfilePath="docker/")


def test_build_args_become_text() -> None:
    spec = parse(buildArgs={"A": "x y", "B": 1, "C": 1.5, "D": True, "_e": ""})

    assert spec.build_args == {"A": "x y", "B": "1", "C": "1.5", "D": "true", "_e": ""}


@pytest.mark.parametrize(
    "args",
    [
        {"1A": "x"}, {"A-B": "x"}, {"": "x"}, {"A" * 65: "x"}, {"A": "hunter2\n"}, {"A": "\x00"},
        {"A": ["x"]}, {"A": None}, {"A": "x" * 4097}, ["A=1"], "A=1", {"--A": "x"}, {"A": "\ud800"},
        {f"A{n}": 1 for n in range(65)},
    ],
)  # fmt: skip
def test_other_build_args_are_refused(args: Any) -> None:
    said = refusal(buildArgs=args)

    assert said.startswith("buildArgs")
    assert "hunter2" not in said


@pytest.mark.parametrize("path", ["/", "/health", "/a?b=c", "/a%20b"])
def test_health_paths_are_taken(path: str) -> None:
    assert parse(healthPath=path).health_path == path


@pytest.mark.parametrize(
    "path",
    ["health", "/a b", "/a/../b", "/a\r\nX: y", "/é", "/" + "a" * 256, "//..", "/#", 7, ["/"]],
)
def test_other_health_paths_are_refused(path: Any) -> None:
    assert refusal(healthPath=path).startswith("healthPath")


@pytest.mark.parametrize(
    ("flag", "means"), [(True, True), ("Yes", True), (1, True), ("off", False), (0, False)]
)
def test_flags_are_lenient(flag: Any, *, means: bool) -> None:
    assert parse(rebuild=flag).rebuild is means
    assert "true or false" in refusal(rebuild="perhaps")
    assert "true or false" in refusal(rebuild=2)


def test_image_name_is_the_payloads_else_the_runners() -> None:
    names = [
        spec.image_repository("r.test", "apps", "7", "20002")
        for spec in (
            parse(),
            parse(acrRegistry="ACR.test:5000", acrNamespace="Team"),
            parse(acrNamespace="team/a"),
            parse(imageRepo="other.test/x/y", acrRegistry="acr.test"),
            parse(imageRepo="x/y"),
        )
    ]

    assert names == [
        "r.test/apps/u7-app20002",
        "acr.test:5000/team/u7-app20002",
        "r.test/team/a/u7-app20002",
        "other.test/x/y",
        "r.test/x/y",
    ]


@pytest.mark.parametrize(
    "field",
    [
        {"imageRepo": "r.test/a:1"}, {"imageRepo": "r.test/a@sha256:" + CHECKSUM}, {"imageRepo": "R/A"},
        {"imageRepo": "-a"}, {"acrRegistry": "registry"}, {"acrRegistry": "r.test/x"},
        {"acrRegistry": "https://r.test"}, {"acrNamespace": "a:b"}, {"imageTag": "-x"}, {"imageTag": "a b"},
        {"imageTag": "a" * 129}, {"image": "A B"}, {"sha256": "ab"}, {"archiveUrl": "ftp://store.test/x"},
        {"archiveUrl": "https://store.test/x#y"}, {"archiveUrl": "https://store.test/x y"},
        {"archiveUrl": "https:///x"}, {"archiveUrl": "https://store.test:port/x"},
    ],
)  # fmt: skip
def test_broken_names_are_refused_by_name(field: dict[str, Any]) -> None:
    assert refusal(**field).startswith(next(iter(field)))


def test_apps_never_share_an_image_name() -> None:
    pairs = [
        ("1", "shop"), ("1", "Shop"), ("1", "SHOP"), ("1", "shop-"), ("1", "shop_"), ("1", "a--b"),
        ("1", "a-b"), ("1", "a_b"), ("1", "a__b"), ("1", "x-app2"), ("1-appx", "2"), ("A", "1"), ("a", "1"),
    ]  # fmt: skip
    names = [app_image_name(*pair) for pair in pairs]

    assert len(set(names)) == len(pairs)
    assert all(ids.is_image(f"r.test/apps/{name}") for name in names)
    assert names[0] == "u1-appshop"


def test_tag_identifies_the_source() -> None:
    archive = parse(archiveUrl="https://store.test/x.zip", sha256=CHECKSUM)

    assert parse().tag(SHA) == SHA[:12]
    assert archive.tag() == CHECKSUM[:12]
    assert parse(imageTag=12).tag(SHA) == "12"


def test_inputs_hash_tells_builds_of_a_commit_apart() -> None:
    specs = [
        parse(), parse(commit="other"), parse(dockerfilePath="x"), parse(buildContext="x"),
        parse(buildArgs={"A": "1", "B": "2"}), parse(buildArgs={"A": "1"}),
    ]  # fmt: skip
    hashes = [spec.inputs_hash() for spec in specs]

    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == len(specs) - 1
    assert parse(buildArgs={"B": "2", "A": "1"}).inputs_hash() == hashes[4]


def test_door_looks_at_the_fields_that_are_there() -> None:
    assert check_fields({"appId": "a", "own": [1]}) == {}
    with pytest.raises(FieldError, match="commit"):
        check_fields({"commit": "--x"})


def test_release_names_revision_and_commit() -> None:
    assert release_of(7) == "r7"
    assert release_of(7, SHA) == f"r7-{SHA[:12]}"
    assert is_release(release_of(2**53, SHA))
    assert not any(is_release(text) for text in ("", "-a", "a b", "a\n", "a/b", "a" * 65))
