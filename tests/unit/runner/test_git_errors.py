"""git's and ssh's words become reasons; git is started so that a repository decides nothing."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest

from funai.runner.build_settings import BuildSettings
from funai.runner.command import TIMED_OUT, Finished
from funai.runner.source.git_environment import git_argv, git_environment
from funai.runner.source.git_errors import explain
from funai.runner.source.hosts import Place, look_up, place_of
from funai.runner.steps.registry import explain as explain_push
from funai.runner.steps.step import StepError

if TYPE_CHECKING:
    from pathlib import Path

URL = "git@git.test:team/app"
PLACE = Place("https", "git.test", 443)


def reason_of(said: str, *, stopped: str = "") -> str:
    finished = Finished(128, said, stopped=stopped)
    error = explain(finished, url=URL, ref="main", host="git.test", seconds=300)
    assert error.sentence.endswith(".")
    return error.reason


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (
            "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.",
            "HOST_KEY_CHANGED",
        ),
        (
            (
                "No ED25519 host key is known for git.test and you have requested strict checking.\n"
                "Host key verification failed."
            ),
            "HOST_KEY_UNKNOWN",
        ),
        (
            (
                "git@git.test: Permission denied (publickey).\nfatal: Could not read from remote"
                " repository."
            ),
            "SOURCE_DENIED",
        ),
        ("fatal: Authentication failed for 'https://git.test/a/'", "SOURCE_DENIED"),
        (
            "fatal: could not read Username for 'https://git.test': terminal prompts disabled",
            "SOURCE_DENIED",
        ),
        ("fatal: couldn't find remote ref main", "REF_NOT_FOUND"),
        ("fatal: remote error: upload-pack: not our ref 0123", "REF_NOT_FOUND"),
        ("fatal: repository 'https://git.test/a/' not found", "SOURCE_NOT_FOUND"),
        ("ERROR: Repository not found.\nfatal: Could not read from remote", "SOURCE_NOT_FOUND"),
        ("fatal: '/srv/x' does not appear to be a git repository", "SOURCE_NOT_FOUND"),
        ("ssh: connect to host git.test port 22: Connection refused", "SOURCE_UNREACHABLE"),
        ("ssh: connect to host git.test port 22: Connection timed out", "SOURCE_UNREACHABLE"),
        ("ssh: Could not resolve hostname git.test: Name or service", "SOURCE_UNREACHABLE"),
        ("kex_exchange_identification: Connection closed by remote host", "SOURCE_UNREACHABLE"),
        ("fatal: unable to access 'x': Operation too slow. Less than", "SOURCE_UNREACHABLE"),
        ("server certificate verification failed. CAfile: none", "SOURCE_UNREACHABLE"),
        ("fatal: write error: No space left on device", "RUNNER_DISK_FULL"),
        ("fatal: something new", "FETCH_FAILED"),
    ],
)
def test_each_failure_has_its_reason(said: str, reason: str) -> None:
    assert reason_of(said) == reason


_REFUSED = "Failed to connect to {host} port 443 after 0 ms: Couldn't connect to server"
_AWAY = "did not answer as a git server"


@pytest.mark.parametrize(
    ("url", "said", "sentence"),
    [
        pytest.param(
            "https://git.example/team/certificate-app.git",
            "fatal: unable to access 'https://git.example/team/certificate-app.git/': " + _REFUSED,
            _AWAY,
            id="certificate",
        ),
        pytest.param(
            "https://git.example/team/ambiguous",
            "fatal: unable to access 'https://git.example/team/ambiguous/': " + _REFUSED,
            _AWAY,
            id="without .git",
        ),
        pytest.param(
            "https://certificate.example/team/app",
            "fatal: unable to access 'https://certificate.example/team/app/': " + _REFUSED,
            _AWAY,
            id="host",
        ),
        pytest.param(
            "https://git.example:8443/team/ambiguous.git",
            "warning: git.example:8443/team/ambiguous.git is slow\nssl routines::wrong version",
            "certificate of git.example",
            id="host and path",
        ),
        pytest.param(
            "git@git.example:team/ambiguous.git",
            "fatal: 'team/ambiguous.git' does not appear to be a git repository",
            "has no repository",
            id="path",
        ),
        pytest.param(
            "ssh://git@git.example:2222/unreachable",
            "fatal: '/unreachable' is locked",
            "What git said follows",
            id="path of one word",
        ),
        pytest.param(
            "https://git.example/repository",
            "fatal: repository 'https://git.example/repository/' not found",
            "has no repository",
            id="git's own word",
        ),
    ],
)
def test_words_of_the_address_are_no_reason(url: str, said: str, sentence: str) -> None:
    host = place_of(url).host
    finished = Finished(128, said.replace("{host}", host))

    error = explain(finished, url=url, ref="main", host=host, seconds=300)

    assert sentence in error.sentence
    assert error.evidence == finished.tail


def test_timeout_is_one_whatever_was_said() -> None:
    assert reason_of("fatal: couldn't find remote ref", stopped=TIMED_OUT) == "FETCH_TIMEOUT"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("reading manifest: unauthorized: authentication required", "REGISTRY_DENIED"),
        ('msg="... denied: requested access to the resource is denied"', "REGISTRY_DENIED"),
        ("invalid status code from registry 403 (Forbidden)", "REGISTRY_DENIED"),
        ("received unexpected HTTP status: 500 Internal Server Error", "REGISTRY_UNAVAILABLE"),
        ("dial tcp 198.18.138.9:443: connect: connection refused", "REGISTRY_UNAVAILABLE"),
        ("dial tcp: lookup r.test: no such host", "REGISTRY_UNAVAILABLE"),
        ("x509: certificate signed by unknown authority", "REGISTRY_UNAVAILABLE"),
        ("manifest blob unknown: blob unknown to registry", "REGISTRY_UNAVAILABLE"),
        ("uploading layer chunked: blob upload unknown", "REGISTRY_UNAVAILABLE"),
        ("uploading layer chunked: blob upload invalid", "REGISTRY_UNAVAILABLE"),
        ('StatusCode: 502, "<html>"', "REGISTRY_UNAVAILABLE"),
        ("writing blob to /v2/team/denied/blobs: strange", "PUSH_FAILED"),
        ("blob has an unexpected digest", "PUSH_FAILED"),
    ],
)
def test_each_failed_push_has_its_reason(said: str, reason: str) -> None:
    error = explain_push(Finished(1, said), "r.test/team/denied:1", 300)

    assert error.reason == reason
    assert error.evidence == said


def test_push_that_takes_too_long_is_a_timeout() -> None:
    error = explain_push(Finished(-9, "", stopped=TIMED_OUT), "r.test/app:1", 300)

    assert error.reason == "PUSH_TIMEOUT"


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://git.test/a/b", Place("https", "git.test", 443)),
        ("https://git.test:8443/a/b", Place("https", "git.test", 8443)),
        ("ssh://git@git.test:2222/a", Place("ssh", "git.test", 2222)),
        ("git@git.test:a/b", Place("ssh", "git.test", 22)),
    ],
)
def test_place_of_an_address(url: str, place: Place) -> None:
    assert place_of(url) == place


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "::1",
        "169.254.169.254",
        "fe80::1%eth0",
        "::",
        "::ffff:127.0.0.1",
        "100.100.100.200",
        "224.0.0.1",
    ],
)
def test_name_that_stands_for_an_inner_address_is_refused(address: str) -> None:
    with pytest.raises(StepError) as caught:
        look_up(PLACE, (), "S", resolve=lambda *_: ["93.184.216.34", address])

    assert caught.value.reason == "SOURCE_HOST_REFUSED"


def test_listed_host_may_be_an_inner_one() -> None:
    place = look_up(PLACE, ("git.test",), "S", ["198.18.0.0/16"], lambda *_: ["198.18.138.101"])

    assert place.addresses == ("198.18.138.101",)


@pytest.mark.parametrize(
    "address", ["198.18.138.101", "::ffff:198.18.138.101", "2001:db8::7", "198.18.138.100"]
)
def test_denied_address_is_refused(address: str) -> None:
    denied = ["198.18.138.100/31", "2001:db8::/32"]

    with pytest.raises(StepError) as caught:
        look_up(PLACE, (), "S", denied, lambda *_: ["93.184.216.34", address])

    assert caught.value.reason == "SOURCE_HOST_REFUSED"
    assert "RUNNER_FETCH_DENIED_ADDRESSES" in caught.value.sentence


def test_address_beside_the_denied_ones_is_asked() -> None:
    place = look_up(PLACE, (), "S", ["198.18.138.100/31"], lambda *_: ["198.18.138.103"])

    assert place.addresses == ("198.18.138.103",)


def test_git_connects_to_the_address_that_was_checked() -> None:
    argv = git_argv(Place("https", "git.test", 443, ("203.0.113.7", "2001:db8::7")))

    assert "http.curloptResolve=git.test:443:203.0.113.7,[2001:db8::7]" in argv


def test_git_does_not_hold_large_files_in_memory() -> None:
    assert "core.bigFileThreshold=16m" in git_argv(Place("https", "git.test", 443))


def test_only_the_protocol_of_the_address_is_allowed() -> None:
    argv = git_argv(Place("ssh", "git.test", 22))

    assert "protocol.allow=never" in argv
    assert [a for a in argv if a.endswith("allow=always")] == ["protocol.ssh.allow=always"]


def test_ssh_knows_hosts_from_one_file_and_asks_nobody(tmp_path: Path) -> None:
    settings = BuildSettings(git_key_file="/k/id", git_known_hosts_file="/k/known hosts")

    with git_environment(settings, Place("ssh", "git.test", 22), tmp_path) as (env, descriptors):
        words = shlex.split(env["GIT_SSH_COMMAND"])

    assert descriptors == ()
    assert words[:3] == ["ssh", "-F", "/dev/null"]
    for option in (
        "StrictHostKeyChecking=yes",
        "UserKnownHostsFile=/k/known hosts",
        "GlobalKnownHostsFile=/dev/null",
        "IdentityFile=/k/id",
        "IdentitiesOnly=yes",
        "BatchMode=yes",
        "ProxyCommand=none",
    ):
        assert words[words.index(option) - 1] == "-o"


def test_ssh_without_a_key_is_refused_with_a_way_out(tmp_path: Path) -> None:
    with (
        pytest.raises(StepError, match="https address"),
        git_environment(BuildSettings(), Place("ssh", "git.test", 22), tmp_path),
    ):
        pass


def test_git_finds_no_configuration_of_the_host(tmp_path: Path) -> None:
    with git_environment(BuildSettings(), Place("https", "git.test", 443), tmp_path) as (env, _):
        found = env

    assert found["GIT_CONFIG_NOSYSTEM"] == "1"
    assert found["GIT_CONFIG_GLOBAL"] == "/dev/null"
    assert found["GIT_TERMINAL_PROMPT"] == "0"
    assert found["GIT_ALLOW_PROTOCOL"] == "https"
