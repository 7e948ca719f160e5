"""Archives over HTTP: what is taken, what is refused."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import io
import threading
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from funai.runner.source import hosts
from tests.integration.runner.fetch_job import Job

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class WebServer:
    """Answers every GET as a test says: status, headers, body; a body may be endless."""

    def __init__(self) -> None:
        self.answer: tuple[int, dict[str, str], bytes] = (200, {}, b"")
        self.is_silent = threading.Event()
        self.paths: list[str] = []
        web = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                web.paths.append(self.path)
                if web.is_silent.is_set():
                    web.released.wait(30)
                status, headers, content = web.answer
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as inherited
                pass

        self.released = threading.Event()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/a.tgz?sig=canary"


@pytest.fixture
def web() -> Iterator[WebServer]:
    web = WebServer()
    thread = threading.Thread(target=web.server.serve_forever, args=(0.05,))
    thread.start()
    yield web
    web.released.set()
    web.server.shutdown()
    thread.join()
    web.server.server_close()


def archive_job(tmp_path: Path, web: WebServer, sha256: str = "0" * 64, **more: Any) -> Job:
    payload = {"source": "archive", "archiveUrl": web.url, "sha256": sha256}
    return Job(tmp_path / "job", payload, **{"archive_allowed_hosts": ("127.0.0.1",), **more})


def test_archive_with_the_right_hash_is_taken(tmp_path: Path, web: WebServer) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("export/Dockerfile", "FROM scratch\n")
    web.answer = (200, {}, content.getvalue())
    sha256 = hashlib.sha256(content.getvalue()).hexdigest()
    found = archive_job(tmp_path, web, sha256)

    result = found.run()

    assert result == {"sourceKind": "archive", "sha256": sha256}
    assert found.content("Dockerfile") == b"FROM scratch\n"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param((200, {}, b"other"), "ARCHIVE_CHECKSUM", id="other content"),
        pytest.param((200, {}, bytes(2 * 1024 * 1024)), "SOURCE_TOO_LARGE", id="too large"),
        pytest.param((403, {}, b""), "SOURCE_DENIED", id="expired"),
        pytest.param((404, {}, b""), "SOURCE_NOT_FOUND", id="gone"),
        pytest.param((503, {}, b""), "SOURCE_UNREACHABLE", id="broken"),
        pytest.param(
            (302, {"Location": "file:///etc/passwd"}, b""), "SOURCE_UNREACHABLE", id="to a file"
        ),
        pytest.param(
            (302, {"Location": "http://169.254.169.254/"}, b""),
            "SOURCE_HOST_REFUSED",
            id="to another host",
        ),
        pytest.param((302, {"Location": "/again"}, b""), "SOURCE_UNREACHABLE", id="in circles"),
        pytest.param(
            (200, {"Content-Length": "100"}, b"short"), "SOURCE_UNREACHABLE", id="cut off"
        ),
    ],
)
def test_download_that_fails_has_a_reason(
    tmp_path: Path, web: WebServer, answer: tuple[int, dict[str, str], bytes], reason: str
) -> None:
    web.answer = answer
    found = archive_job(tmp_path, web, source_max_mib=1)

    error = found.refused()

    assert error.reason == reason
    assert "canary" not in error.text + "\n".join(found.lines)
    assert len(web.paths) <= 4


def test_silent_download_ends_at_the_deadline(tmp_path: Path, web: WebServer) -> None:
    web.is_silent.set()

    assert archive_job(tmp_path, web).refused(seconds=1).reason == "FETCH_TIMEOUT"


def test_denied_address_is_not_downloaded_from(
    tmp_path: Path, web: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosts, "_addresses", lambda *_: ["198.18.138.101"])
    denied = ("198.18.138.0/24",)
    found = archive_job(tmp_path, web, archive_allowed_hosts=(), fetch_denied_addresses=denied)

    error = found.refused()

    assert error.reason == "SOURCE_HOST_REFUSED"
    assert "RUNNER_FETCH_DENIED_ADDRESSES" in error.sentence


def test_runners_own_address_is_not_downloaded_from(tmp_path: Path, web: WebServer) -> None:
    error = archive_job(tmp_path, web, archive_allowed_hosts=()).refused()

    assert error.reason == "SOURCE_HOST_REFUSED"
    assert web.paths == []
