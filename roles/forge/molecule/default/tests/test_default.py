"""What the role promises of registry and git: who may read, who may write."""

from __future__ import annotations

import typing as t

import pytest

if t.TYPE_CHECKING:
    from testinfra.host import Host

PUSH = "push:molecule-only-push-0123456789"
PULL = "pull:molecule-only-pull-0123456789"
STRANGER = "push:wrong"
UPLOADS = "/v2/funai/demo/blobs/uploads/"
FETCH = "/git/sample-python.git/info/refs?service=git-upload-pack"
PUSH_REFS = "/git/sample-python.git/info/refs?service=git-receive-pack"
PUSH_PACK = "/git/sample-python.git/git-receive-pack"


def status(host: Host, account: str, path: str, method: str = "GET") -> int:
    command = "curl -sk -o /dev/null -w '%%{http_code}' -u %s -X %s %s"
    return int(host.check_output(command, account, method, f"https://127.0.0.1{path}"))


@pytest.mark.parametrize("unit", ["nginx.service", "docker-registry.service", "fcgiwrap.socket"])
def test_services_start_at_boot(host: Host, unit: str) -> None:
    service = host.service(unit)
    assert service.is_enabled
    assert service.is_running


@pytest.mark.parametrize(
    ("account", "method", "path", "expected"),
    [
        pytest.param(PULL, "GET", "/v2/", 200, id="pull-reads-images"),
        pytest.param(PULL, "POST", UPLOADS, 401, id="pull-pushes-no-image"),
        pytest.param(PULL, "DELETE", "/v2/funai/demo/manifests/1", 401, id="pull-deletes-no-image"),
        pytest.param(PUSH, "POST", UPLOADS, 202, id="push-pushes-images"),
        pytest.param(STRANGER, "GET", "/v2/", 401, id="stranger-reads-no-image"),
        pytest.param(PULL, "GET", FETCH, 200, id="pull-fetches"),
        pytest.param(PULL, "GET", PUSH_REFS, 401, id="pull-pushes-no-commit"),
        pytest.param(PULL, "POST", PUSH_PACK, 401, id="pull-sends-no-pack"),
        pytest.param(PULL, "POST", "/git/sample-python.git/git-receive%2Dpack", 401, id="encoded"),
        pytest.param(PUSH, "GET", PUSH_REFS, 200, id="push-pushes-commits"),
        pytest.param(STRANGER, "GET", FETCH, 401, id="stranger-fetches-nothing"),
        pytest.param(PUSH, "GET", "/git/../../etc/passwd", 404, id="no-way-out"),
        pytest.param(PUSH, "GET", "/git/.ssh/authorized_keys", 404, id="no-keys"),
    ],
)
def test_each_account_may_do_its_part(
    host: Host, account: str, method: str, path: str, expected: int
) -> None:
    assert status(host, account, path, method) == expected


def test_nobody_gets_in_without_an_account(host: Host) -> None:
    command = "curl -sk -o /dev/null -w '%{http_code}' https://127.0.0.1/v2/"
    assert host.check_output(command) == "401"


def test_registry_itself_is_on_loopback_only(host: Host) -> None:
    assert host.socket("tcp://127.0.0.1:5000").is_listening
    assert "*:5000" not in host.check_output("ss -Hltn")


def test_certificate_names_the_forge(host: Host) -> None:
    text = host.check_output("openssl x509 -noout -ext subjectAltName -in /etc/funai-forge/tls.crt")
    assert "DNS:localhost" in text
    assert "127.0.0.1" in text


def test_key_is_roots_alone(host: Host) -> None:
    key = host.file("/etc/funai-forge/tls.key")
    assert (key.user, key.mode) == ("root", 0o600)


def test_sample_repository_can_be_cloned(host: Host) -> None:
    clone = "git -c http.sslVerify=false clone -q %s /tmp/sample"
    host.check_output("rm -rf /tmp/sample")
    host.check_output(clone, f"https://{PULL}@127.0.0.1/git/sample-python.git")
    assert host.file("/tmp/sample/Dockerfile").contains("^FROM ")  # noqa: S108 - in the instance


def test_git_user_has_no_shell(host: Host) -> None:
    assert host.user("git").shell == "/usr/bin/git-shell"
