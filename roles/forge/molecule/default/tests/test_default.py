"""What the role promises of registry and git: who may read, who may write."""

from __future__ import annotations

import hashlib
import json
import time
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
    command = "curl -sk -o /dev/null -w '%%{http_code}' -u %s -X %s -H %s %s"
    url = f"https://127.0.0.1{path}"
    return int(host.check_output(command, account, method, f"Accept: {MANIFEST}", url))


COLLECT = "funai-registry-gc.service"
#: What stands in for a collection that takes long: stops when it is told to, or fails at once.
OVERRIDE = "/run/systemd/system/funai-registry-gc.service.d/test.conf"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
UNITS = [
    "nginx.service",
    "docker-registry.service",
    "funai-registry-reader.service",
    "funai-registry-gc.timer",
    "fcgiwrap.socket",
]


@pytest.mark.parametrize("unit", UNITS)
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
        pytest.param(PULL, "PUT", "/archives/a.zip", 401, id="pull-stores-no-archive"),
        pytest.param(PUSH, "GET", "/archives/.hidden", 404, id="no-hidden-archives"),
        pytest.param(PUSH, "GET", "/archives/", 404, id="no-list-of-archives"),
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
    listening = host.check_output("ss -Hltn")
    for port in (5000, 5001):
        assert host.socket(f"tcp://127.0.0.1:{port}").is_listening
        assert f"*:{port}" not in listening


def test_certificate_names_the_forge(host: Host) -> None:
    text = host.check_output("openssl x509 -noout -ext subjectAltName -in /etc/funai-forge/tls.crt")
    assert "DNS:localhost" in text
    assert "127.0.0.1" in text


def test_key_is_roots_alone(host: Host) -> None:
    key = host.file("/etc/funai-forge/tls.key")
    assert (key.user, key.mode) == ("root", 0o600)


@pytest.mark.parametrize("name", ["sample-python", "sample-node"])
def test_sample_repository_can_be_cloned(host: Host, name: str) -> None:
    clone(host, name)

    assert host.file("/tmp/sample/Dockerfile").contains("^FROM ")  # noqa: S108 - in the instance


def clone(host: Host, name: str) -> None:
    host.check_output("rm -rf /tmp/sample")
    command = "git -c http.sslVerify=false clone -q %s /tmp/sample"
    host.check_output(command, f"https://{PUSH}@127.0.0.1/git/{name}.git")


def test_commit_can_be_fetched_by_its_sha(host: Host) -> None:
    clone(host, "sample-node")
    sha = host.check_output("git -C /tmp/sample rev-parse HEAD")
    url = f"https://{PULL}@127.0.0.1/git/sample-node.git"
    git = "git -C /tmp/sample -c http.sslVerify=false"
    # No longer the tip of a branch, which could be fetched anyway.
    host.check_output(
        f"{git} -c user.name=a -c user.email=a@b commit -q --allow-empty -m next"
        f" && {git} push -q origin HEAD:refs/heads/next && {git} push -q origin :refs/heads/next"
    )

    # The older protocol asks for the permission.
    host.check_output(f"{git} -c protocol.version=0 fetch -q --depth 1 %s %s", url, sha)


def test_repository_that_is_there_is_not_touched(host: Host) -> None:
    seed = "echo nonsense | funai-forge-seed %s git"
    tip = "runuser -u git -- git -C /srv/git/sample-node.git rev-parse main"
    before = host.check_output(tip)

    host.check_output(seed, "/srv/git/sample-node.git")

    assert host.check_output(tip) == before


def test_repository_that_cannot_be_filled_leaves_nothing(host: Host) -> None:
    assert host.run("echo nonsense | funai-forge-seed /srv/git/broken.git git").rc != 0
    assert host.check_output("ls -A /srv/git").split() == [
        ".ssh",
        "sample-node.git",
        "sample-python.git",
    ]


def test_archive_that_was_stored_can_be_read_without_an_account(host: Host) -> None:
    url = "https://127.0.0.1/archives/export-1.zip"

    host.check_output("printf zip | curl -skf -u %s -T - %s", PUSH, url)

    assert host.check_output("curl -skf %s", url) == "zip"


def test_git_user_has_no_shell(host: Host) -> None:
    assert host.user("git").shell == "/usr/bin/git-shell"


def push_blob(host: Host, repository: str, content: str) -> str:
    digest = f"sha256:{hashlib.sha256(content.encode()).hexdigest()}"
    start = "curl -skf -u %s -X POST -o /dev/null -w '%%header{location}' %s"
    uploads = f"https://127.0.0.1/v2/{repository}/blobs/uploads/"
    place = host.check_output(start, PUSH, uploads)
    place = place if place.startswith("http") else f"https://127.0.0.1{place}"
    send = "printf %s %s | curl -skf -u %s -T - -H 'Content-Type: application/octet-stream' %s"
    host.check_output(send, "%s", content, PUSH, f"{place}&digest={digest}")
    return digest


def push_image(host: Host, repository: str, content: str) -> tuple[str, str]:
    """Push an image of one layer; return the path of its manifest and of its layer."""
    config = json.dumps({"architecture": "amd64", "os": "linux", "made": repository})
    blobs = [
        {"mediaType": f"application/vnd.oci.image.{kind}", "digest": digest, "size": len(text)}
        for kind, text, digest in (
            ("config.v1+json", config, push_blob(host, repository, config)),
            ("layer.v1.tar", content, push_blob(host, repository, content)),
        )
    ]
    body = {"schemaVersion": 2, "mediaType": MANIFEST, "config": blobs[0], "layers": blobs[1:]}
    text = json.dumps(body)
    send = "printf %s %s | curl -skf -u %s -T - -H %s %s"
    url = f"https://127.0.0.1/v2/{repository}/manifests/1"
    host.check_output(send, "%s", text, PUSH, f"Content-Type: {MANIFEST}", url)
    digest = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    return f"/v2/{repository}/manifests/{digest}", f"/v2/{repository}/blobs/{blobs[1]['digest']}"


def collect(host: Host) -> None:
    """Collect garbage; return when pushes work again, a moment after its end."""
    host.check_output(f"systemctl start {COLLECT}")
    wait_for_writer(host)


def test_collection_frees_deleted_images_only(host: Host) -> None:
    kept, _ = push_image(host, "gc/kept", "kept")
    deleted, layer = push_image(host, "gc/deleted", "deleted")
    assert status(host, PUSH, deleted, "DELETE") == 202

    collect(host)

    assert status(host, PULL, layer) == 404
    assert status(host, PULL, kept) == 200
    assert "freed 3 blobs" in host.check_output(
        f"journalctl --sync && journalctl -u {COLLECT} -o cat -n 20"
    )


def test_image_that_was_collected_can_be_pushed_again(host: Host) -> None:
    deleted, _ = push_image(host, "gc/again", "again")
    status(host, PUSH, deleted, "DELETE")
    collect(host)

    manifest, layer = push_image(host, "gc/again", "again")

    assert status(host, PULL, manifest) == 200
    assert host.check_output("curl -skf -u %s %s", PULL, f"https://127.0.0.1{layer}") == "again"


def test_manifest_without_a_tag_is_kept(host: Host) -> None:
    first, layer = push_image(host, "gc/moved", "first")
    push_image(host, "gc/moved", "second")

    collect(host)

    assert status(host, PULL, first) == status(host, PULL, layer) == 200


@pytest.fixture
def collection(host: Host) -> t.Iterator[t.Callable[[str], None]]:
    """Start a collection whose program is another."""

    def start(program: str) -> None:
        text = f"[Service]\nExecStart=\nExecStart={program}\n"
        host.check_output(
            f"mkdir -p $(dirname {OVERRIDE}) && printf %s %s > {OVERRIDE}"
            f" && systemctl daemon-reload && systemctl start --no-block {COLLECT}",
            "%b",
            text,
        )

    yield start
    host.run(f"systemctl stop {COLLECT}; rm -f {OVERRIDE}; systemctl daemon-reload")
    host.run(f"systemctl reset-failed {COLLECT}")
    wait_for_writer(host)


def wait_for(host: Host, unit: str, state: str) -> None:
    deadline = time.monotonic() + 30
    while host.run("systemctl is-active %s", unit).stdout.strip() != state:
        assert time.monotonic() < deadline, f"{unit} never was {state}"


def main_process(host: Host, unit: str) -> str:
    return str(host.check_output("systemctl show --property MainPID --value %s", unit)).strip()


def wait_for_writer(host: Host) -> None:
    deadline = time.monotonic() + 30
    while status(host, PUSH, UPLOADS, "POST") != 202:
        assert time.monotonic() < deadline, "pushes do not work again"


def test_pulls_go_on_while_pushes_wait(host: Host, collection: t.Callable[[str], None]) -> None:
    manifest, layer = push_image(host, "gc/meanwhile", "meanwhile")

    collection("/bin/sleep 600")
    wait_for(host, COLLECT, "activating")

    assert status(host, PUSH, UPLOADS, "POST") == 503
    assert status(host, PUSH, manifest, "DELETE") == 503
    assert status(host, PULL, manifest) == status(host, PULL, layer) == 200


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(f"systemctl kill -s KILL {COLLECT}", id="killed"),
        pytest.param(f"systemctl stop {COLLECT}", id="stopped"),
        pytest.param("systemctl start docker-registry.service", id="writer-started"),
    ],
)
def test_pushes_work_again_however_it_ends(
    host: Host, collection: t.Callable[[str], None], end: str
) -> None:
    collection("/bin/sleep 600")
    wait_for(host, COLLECT, "activating")

    host.check_output(end)

    wait_for(host, "docker-registry.service", "active")
    wait_for_writer(host)
    assert host.run(f"systemctl is-active {COLLECT}").stdout.strip() in {"failed", "inactive"}


def test_pushes_work_again_after_a_failure(host: Host, collection: t.Callable[[str], None]) -> None:
    collection("/bin/false")
    wait_for(host, COLLECT, "failed")

    wait_for_writer(host)


@pytest.mark.parametrize(
    "unit",
    [
        "nginx.service",
        "docker-registry.service",
        "funai-registry-reader.service",
        "fcgiwrap.service",
    ],
)
def test_what_was_killed_comes_back(host: Host, unit: str) -> None:
    # The socket starts this one with the first request.
    assert status(host, PULL, FETCH) == 200
    before = main_process(host, unit)
    assert before != "0"

    host.check_output("kill -KILL %s", before)

    deadline = time.monotonic() + 30
    while main_process(host, unit) in {"0", before}:
        assert time.monotonic() < deadline, f"{unit} did not come back"
    wait_for(host, unit, "active")
    wait_for_writer(host)
    assert status(host, PULL, FETCH) == 200


def test_commits_can_be_pushed_into_the_confined_back_end(host: Host) -> None:
    clone(host, "sample-python")
    git = "git -C /tmp/sample -c http.sslVerify=false"

    host.check_output(
        f"{git} -c user.name=a -c user.email=a@b commit -q --allow-empty -m next"
        f" && {git} push -q origin HEAD:refs/heads/pushed"
    )

    branch = "runuser -u git -- git -C /srv/git/sample-python.git rev-parse pushed"
    assert host.check_output(branch) == host.check_output("git -C /tmp/sample rev-parse HEAD")
    host.check_output(f"{git} push -q origin :refs/heads/pushed")


@pytest.mark.parametrize("unit", ["docker-registry.service", "fcgiwrap.service"])
def test_what_outsiders_reach_writes_in_its_own_folder_only(host: Host, unit: str) -> None:
    assert "ProtectSystem=strict" in host.check_output("systemctl show %s", unit).splitlines()
