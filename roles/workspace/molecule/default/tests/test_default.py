"""What the role promises of the preview gateway."""

from __future__ import annotations

import typing as t

import pytest

if t.TYPE_CHECKING:
    from testinfra.host import Host


def get(host: Host, path: str) -> tuple[int, str]:
    command = "curl -s --path-as-is -w '\\n%%{http_code}' %s"
    body, _, code = host.check_output(command, f"http://127.0.0.1{path}").rpartition("\n")
    return int(code), body


def test_gateway_starts_at_boot(host: Host) -> None:
    assert host.service("nginx").is_enabled
    assert host.service("nginx").is_running


@pytest.mark.parametrize(
    ("path", "seen"),
    [
        pytest.param("/ws/7/", "/ /ws/7", id="prefix-is-stripped"),
        pytest.param("/ws/7/a/b?c=1&d=/ws/8/", "/a/b?c=1&d=/ws/8/ /ws/7", id="query-stays"),
        pytest.param("/ws/7/a%2Fb%20c", "/a%2Fb%20c /ws/7", id="encoding-stays"),
        pytest.param("/ws/7/../8/", "/../8/ /ws/7", id="dots-do-not-change-the-user"),
    ],
)
def test_workspace_sees_the_path_as_sent(host: Host, path: str, seen: str) -> None:
    assert get(host, path) == (200, seen)


def test_missing_slash_is_added(host: Host) -> None:
    head = host.check_output("curl -si %s", "http://127.0.0.1/ws/7?x=1")
    assert head.startswith("HTTP/1.1 308")
    assert "Location: /ws/7/?x=1" in head


def test_sleeping_workspace_is_503_and_says_so(host: Host) -> None:
    code, body = get(host, "/ws/8/")
    assert code == 503
    assert "sleeps" in body


@pytest.mark.parametrize("path", ["/ws/9/", "/ws/abc/", "/ws/7x/", "/ws/%37/", "/ws/", "/"])
def test_what_is_no_workspace_is_404(host: Host, path: str) -> None:
    assert get(host, path)[0] == 404


def test_workspaces_have_a_folder(host: Host) -> None:
    folder = host.file("/data/funai/workspaces")
    assert folder.is_directory
    assert (folder.user, folder.mode) == ("root", 0o751)
