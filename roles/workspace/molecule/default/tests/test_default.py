"""What the role promises of the preview gateway and of the workspaces it keeps."""

from __future__ import annotations

import json
import time
import typing as t

import pytest

if t.TYPE_CHECKING:
    from testinfra.host import Host

# In the environment of a workspace, which may hold secrets.
MODE = "molecule-only-mode"
TOKEN = "molecule-preview-token"  # noqa: S105 - the scenario's own, shown to a stub


def get(host: Host, path: str, session: int | None = 7) -> tuple[int, str]:
    command = "curl -s --path-as-is --cookie %s -w '\\n%%{http_code}' %s"
    cookies = "theme=dark" if session is None else f"theme=dark; funai_session={session}"
    body, _, code = host.check_output(command, cookies, f"http://127.0.0.1{path}").rpartition("\n")
    return int(code), body


def inspect(host: Host, user: int) -> dict[str, t.Any]:
    found: list[dict[str, t.Any]] = json.loads(
        host.check_output("docker inspect %s", f"ws-u-{user}")
    )
    return found[0]


def test_gateway_starts_at_boot(host: Host) -> None:
    assert host.service("nginx").is_enabled
    assert host.service("nginx").is_running


def test_gateway_that_was_killed_comes_back(host: Host) -> None:
    main_process = "systemctl show --property MainPID --value nginx.service"
    before = host.check_output(main_process).strip()

    host.check_output("kill -KILL %s", before)

    deadline = time.monotonic() + 30
    while host.run("curl -sf http://127.0.0.1/internal/health").rc != 0 or (
        host.check_output(main_process).strip() in {"0", before}
    ):
        assert time.monotonic() < deadline, "nginx did not come back"


@pytest.mark.parametrize(
    ("path", "seen"),
    [
        pytest.param("/ws/7/", "/ /ws/7 theme=dark", id="prefix-is-stripped"),
        pytest.param("/ws/7/a/b?c=1&d=/ws/8/", "/a/b?c=1&d=/ws/8/ /ws/7 theme=dark", id="query"),
        pytest.param("/ws/7/a%2Fb%20c", "/a%2Fb%20c /ws/7 theme=dark", id="encoding-stays"),
        pytest.param("/ws/7/../8/", "/../8/ /ws/7 theme=dark", id="dots-do-not-change-the-user"),
    ],
)
def test_workspace_sees_the_path_as_sent_and_no_session(host: Host, path: str, seen: str) -> None:
    assert get(host, path) == (200, seen)


def test_preview_is_for_its_owner_only(host: Host) -> None:
    assert get(host, "/ws/7/", session=8)[0] == 403
    assert get(host, "/ws/7/", session=None)[0] == 401


def test_browser_without_a_session_is_sent_to_sign_in(host: Host) -> None:
    head = host.check_output("curl -si -H 'Accept: text/html' %s", "http://127.0.0.1/ws/7/a.html")
    assert head.startswith("HTTP/1.1 302")
    assert "Location: /console/sign-in?next=/ws/7/a.html" in head


def test_secret_of_the_check_is_for_root(host: Host) -> None:
    secret = host.file("/etc/nginx/funai-preview-access.conf")
    assert (secret.user, secret.mode) == ("root", 0o600)
    assert TOKEN in secret.content_string
    assert TOKEN not in host.check_output("cat /etc/nginx/sites-enabled/default")


def test_missing_slash_is_added(host: Host) -> None:
    command = "curl -si --cookie funai_session=7 %s"
    head = host.check_output(command, "http://127.0.0.1/ws/7?x=1")
    assert head.startswith("HTTP/1.1 308")
    assert "Location: /ws/7/?x=1" in head


def test_sleeping_workspace_is_503_and_says_so(host: Host) -> None:
    code, body = get(host, "/ws/8/", session=8)
    assert code == 503
    assert "sleeps" in body


@pytest.mark.parametrize("path", ["/ws/9/", "/ws/abc/", "/ws/7x/", "/ws/%37/", "/ws/", "/"])
def test_what_is_no_workspace_is_404(host: Host, path: str) -> None:
    assert get(host, path, session=9)[0] == 404


def test_workspaces_have_a_folder(host: Host) -> None:
    root = host.file("/data/funai/workspaces")
    assert root.is_directory
    assert (root.user, root.mode) == ("root", 0o751)
    assert (
        host.file("/data/funai/workspaces/1").uid,
        host.file("/data/funai/workspaces/1").mode,
    ) == (
        1000,
        0o750,
    )


def test_kept_workspace_shows_its_files(host: Host) -> None:
    assert get(host, "/ws/1/index.html", session=1) == (200, "page of user 1")


def test_kept_workspace_is_confined(host: Host) -> None:
    found = inspect(host, 1)
    limits = found["HostConfig"]
    assert (limits["CapDrop"], limits["SecurityOpt"]) == (["ALL"], ["no-new-privileges"])
    assert (limits["Memory"], limits["PidsLimit"]) == (32 << 20, 512)
    assert limits["PortBindings"]["5173/tcp"] == [{"HostIp": "127.0.0.1", "HostPort": "20000"}]
    assert f"MODE={MODE}" in found["Config"]["Env"]


def test_environment_is_not_in_the_journal(host: Host) -> None:
    assert MODE not in host.check_output("journalctl --no-pager -o cat")


def test_workspace_of_an_earlier_system_was_taken_over_with_its_port(host: Host) -> None:
    found = inspect(host, 2)
    assert found["Config"]["Labels"] == {"io.funai.managed": "true", "io.funai.user": "2"}
    assert found["HostConfig"]["PortBindings"]["5173/tcp"][0]["HostPort"] == "20017"
    assert found["State"]["Running"]


def test_stopped_workspace_sleeps(host: Host) -> None:
    assert not inspect(host, 3)["State"]["Running"]
    assert get(host, "/ws/3/", session=3)[0] == 503


def test_ports_of_others_stay_as_they_were(host: Host) -> None:
    folder = "/etc/nginx/funai-workspaces"
    assert host.file(f"{folder}/platform.map").content_string == '"7" 20007;\n"8" 20008;\n'
    assert not host.file(f"{folder}/managed.map").exists
    # Two of them were declared without a port.
    assert '"3" 20001;' in host.file(f"{folder}/ws-u-3.map").content_string
