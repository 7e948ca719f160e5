"""``library/workspace_container.py``: which port a workspace gets, and whose it may not take."""

from __future__ import annotations

import pytest
from ansible.module_utils.workspace_state import WorkspaceError

from tests.unit.library.fake_engine import IMAGE
from tests.unit.library.fake_host import NAME, Host


def test_ports_are_unique_and_stay(host: Host) -> None:
    host.engine.add_foreign("database", 20000)
    (host.ports_dir / "platform.map").write_text('"12" 20001;\n  13   20002 ;\n# "14" 20003;\n')
    host.listening.add(20003)

    first = host.run(image=IMAGE)
    second = host.run(user_id=8, image=IMAGE)
    host.listening.clear()
    del host.engine.made["database"]

    assert first["workspace"]["host_port"] == 20004
    assert second["workspace"]["host_port"] == 20005
    assert not host.run(image=IMAGE)["changed"]


def test_container_that_somebody_removed_gets_its_port_back(host: Host) -> None:
    host.run(user_id=6, image=IMAGE)
    host.run(image=IMAGE)
    host.engine.made.clear()

    assert host.run(image=IMAGE)["workspace"]["host_port"] == 20001


@pytest.mark.parametrize(
    ("port", "said"),
    [
        pytest.param(20001, "port 20001 belongs to container ws-u-8", id="container"),
        pytest.param(20002, "port 20002 belongs to user 12 in platform.map", id="line"),
        pytest.param(20003, "port 20003 belongs to another process", id="process"),
        pytest.param(80, "host_port 80 is not from 20000 to 65535", id="range"),
    ],
)
def test_port_of_another_is_refused(host: Host, port: int, said: str) -> None:
    host.run(user_id=8, image=IMAGE, host_port=20001)
    (host.ports_dir / "ws-u-8.map").unlink()
    (host.ports_dir / "platform.map").write_text('"12" 20002;\n')
    host.listening.add(20003)

    with pytest.raises(WorkspaceError, match=said):
        host.run(image=IMAGE, host_port=port)
    assert NAME not in host.engine.made


def test_line_of_others_that_says_the_same_is_enough(host: Host) -> None:
    (host.ports_dir / "platform.map").write_text('"7" 20007;\n')

    result = host.run(image=IMAGE)

    assert result["workspace"]["host_port"] == 20007
    assert [path.name for path in host.ports_dir.iterdir()] == ["platform.map"]
    assert not result["ports_changed"]


def test_line_of_others_that_says_another_port_is_refused(host: Host) -> None:
    (host.ports_dir / "platform.map").write_text('"7" 20007;\n')

    with pytest.raises(WorkspaceError, match=r"platform.map gives user 7 port 20007, not 20001"):
        host.run(image=IMAGE, host_port=20001)
    assert host.engine.writes == []
