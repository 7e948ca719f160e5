"""``library/workspace_container.py`` with an engine that lives in dictionaries."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import workspace_container
from ansible.module_utils import basic
from ansible.module_utils.container_engine import EngineError
from ansible.module_utils.testing import patch_module_args
from ansible.module_utils.workspace_state import WorkspaceError

from tests.unit.library.fake_engine import IMAGE, OTHER_IMAGE, image
from tests.unit.library.fake_host import NAME, USER, Host

if TYPE_CHECKING:
    from pathlib import Path


def test_new_workspace_gets_folder_container_port_and_line(host: Host) -> None:
    result = host.run(image=IMAGE)

    made = host.engine.made[NAME]
    assert result["changed"]
    assert result["ports_changed"]
    assert made["State"]["Running"]
    assert made["Config"]["Labels"] == {"io.funai.managed": "true", "io.funai.user": "7"}
    assert made["HostConfig"]["CapDrop"] == ["ALL"]
    assert made["HostConfig"]["Memory"] == 512 << 20
    assert (host.root / "7").stat().st_mode & 0o777 == 0o750
    assert host.map_line() == '"7" 20000;'
    assert result["workspace"]["host_port"] == 20000


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="defaults"),
        pytest.param({"environment": {"A": 1, "PATH": "/bin"}}, id="also what the image has"),
        pytest.param({"command": ["serve"]}, id="the image's own command"),
        pytest.param({"command": ["dev", "--port", "1"]}, id="command"),
        pytest.param({"memory_mib": 64, "cpus": 0.5, "container_port": 3000}, id="limits"),
        pytest.param({"host_port": 21000}, id="port"),
        pytest.param({"state": "stopped"}, id="stopped"),
        pytest.param({"state": "present"}, id="present"),
    ],
)
def test_second_run_changes_nothing(host: Host, options: dict[str, Any]) -> None:
    host.run(image=IMAGE, **options)

    again = host.run(image=IMAGE, **options)

    assert not again["changed"], again["diff"]
    assert again["diff"]["before"] == again["diff"]["after"]
    assert host.engine.writes == []


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        pytest.param({"memory_mib": 64}, {"memory_mib": 64}, id="memory"),
        pytest.param({"cpus": 2.0}, {"cpus": 2.0}, id="cpus"),
        pytest.param({"container_port": 3000}, {"container_port": 3000}, id="container port"),
        pytest.param({"host_port": 20500}, {"host_port": 20500}, id="host port"),
        pytest.param({"image": OTHER_IMAGE}, {"image": OTHER_IMAGE}, id="image"),
        pytest.param({"command": ["dev"]}, {"command": ["dev"]}, id="command"),
        pytest.param({"environment": {"B": "2"}}, {"environment": ["B"]}, id="environment"),
        pytest.param({"environment": {}}, {"environment": []}, id="no environment"),
        pytest.param({"state": "stopped"}, {"state": "stopped"}, id="state"),
    ],
)
def test_change_is_predicted_made_and_shown(
    host: Host, options: dict[str, Any], shown: dict[str, Any]
) -> None:
    host.run(image=IMAGE, environment={"A": "1"})

    predicted = host.run(check_mode=True, **options)
    writes = list(host.engine.writes)
    result = host.run(**options)

    assert writes == []
    assert predicted["changed"]
    assert result["changed"]
    assert result["diff"] == predicted["diff"]
    assert shown.items() <= result["workspace"].items()
    assert result["diff"]["before"] != result["diff"]["after"]
    assert not host.run(**options)["changed"]


def test_check_mode_on_an_empty_host_writes_nothing(host: Host) -> None:
    result = host.run(image=IMAGE, check_mode=True)

    assert result["changed"]
    assert host.engine.writes == []
    assert not host.root.exists()
    assert not list(host.ports_dir.iterdir())


def test_unset_options_keep_what_is_there(host: Host) -> None:
    host.run(image=IMAGE, memory_mib=64, cpus=0.5, environment={"A": "1"}, command=["dev"])

    result = host.run()

    assert not result["changed"]
    assert result["workspace"]["memory_mib"] == 64


def test_new_container_stands_before_the_old_one_goes(host: Host) -> None:
    host.run(image=IMAGE)

    host.run(image=OTHER_IMAGE)

    fresh = f"{NAME}-next"
    wanted = [f"pull {OTHER_IMAGE}", f"create {fresh}", f"stop {NAME}", f"remove {NAME}"]
    assert host.engine.writes == [*wanted, f"rename {fresh}", f"start {NAME}"]


def test_workspace_that_cannot_be_made_anew_runs_on(host: Host) -> None:
    host.run(image=IMAGE)

    with pytest.raises(EngineError, match="cannot be pulled"):
        host.run(image="registry.example/team/none:1")
    host.engine.refuse_create = "no room"
    with pytest.raises(EngineError, match="no room"):
        host.run(memory_mib=64)

    assert host.engine.made[NAME]["State"]["Running"]


def test_what_an_interrupted_run_left_is_replaced(host: Host) -> None:
    host.run(image=IMAGE)
    host.engine.made[f"{NAME}-next"] = {**host.engine.made[NAME], "Name": f"/{NAME}-next"}

    host.run(memory_mib=64)

    assert list(host.engine.made) == [NAME]


def test_image_that_was_pulled_anew_under_its_tag_is_taken(host: Host) -> None:
    host.run(image=IMAGE)
    host.engine.images[IMAGE] = image(3)

    assert host.run(image=IMAGE)["changed"]
    assert not host.run(image=IMAGE)["changed"]


def test_image_that_went_from_the_host_makes_no_change(host: Host) -> None:
    host.run(image=IMAGE)
    host.engine.images["untagged"] = host.engine.images.pop(IMAGE)

    assert not host.run(image=IMAGE)["changed"]


def test_values_of_the_environment_are_not_shown(host: Host) -> None:
    host.run(image=IMAGE, environment={"TOKEN": "s3cr3t-1", "SAME": "x"})

    result = host.run(environment={"TOKEN": "s3cr3t-2", "SAME": "x"})

    assert result["diff"]["after"]["environment"] == ["SAME", "TOKEN (new value)"]
    assert "s3cr3t" not in str(result)


@pytest.mark.parametrize("state", ["present", "started", "stopped", "absent"])
def test_container_of_others_is_refused(host: Host, state: str) -> None:
    host.engine.add_foreign(NAME, 20007)

    with pytest.raises(WorkspaceError, match="Set adopt: true"):
        host.run(image=IMAGE, state=state)
    assert host.engine.writes == []


def test_container_labelled_for_another_user_is_refused(host: Host) -> None:
    labels = {"io.funai.managed": "true", "io.funai.user": "8"}
    host.engine.add_foreign(NAME, 20007, Labels=labels)

    with pytest.raises(WorkspaceError, match=r"io\.funai\.user=7"):
        host.run(image=IMAGE)


def test_adopted_container_keeps_its_port_and_is_made_anew(host: Host) -> None:
    host.engine.add_foreign(NAME, 20007)

    predicted = host.run(adopt=True, check_mode=True)
    result = host.run(adopt=True)

    assert predicted["diff"] == result["diff"]
    assert result["workspace"]["host_port"] == 20007
    assert result["workspace"]["image"] == IMAGE
    assert host.engine.made[NAME]["Mounts"][0]["Source"] == str(host.root / "7")
    assert not host.run()["changed"]


def test_container_that_is_open_to_all_addresses_is_made_anew(host: Host) -> None:
    host.run(image=IMAGE)
    bindings = host.engine.made[NAME]["HostConfig"]["PortBindings"]
    bindings["5173/tcp"][0]["HostIp"] = ""

    assert host.run()["changed"]
    assert not host.run()["changed"]


def test_stopped_workspace_keeps_its_line_and_starts_again(host: Host) -> None:
    host.run(image=IMAGE)

    stopped = host.run(state="stopped")
    started = host.run()

    assert not stopped["ports_changed"]
    assert host.map_line() == '"7" 20000;'
    assert stopped["diff"]["after"]["state"] == "stopped"
    assert host.engine.writes == [f"start {NAME}"]
    assert started["changed"]


def test_present_leaves_it_running_or_stopped(host: Host) -> None:
    host.run(image=IMAGE, state="present")
    assert not host.engine.made[NAME]["State"]["Running"]

    host.run()
    host.run(state="present", memory_mib=64)

    assert host.engine.made[NAME]["State"]["Running"]


def test_absent_removes_container_and_line_and_keeps_the_files(host: Host) -> None:
    host.run(image=IMAGE)
    (host.root / "7/index.html").write_text("mine")

    result = host.run(state="absent")
    again = host.run(state="absent")

    assert result["changed"]
    assert not host.engine.made
    assert not list(host.ports_dir.iterdir())
    assert (host.root / "7/index.html").read_text() == "mine"
    assert not again["changed"]


def test_folder_that_was_opened_is_closed_again(host: Host) -> None:
    host.run(image=IMAGE)
    (host.root / "7").chmod(0o777)

    assert host.run()["changed"]
    assert (host.root / "7").stat().st_mode & 0o777 == 0o750


def test_link_in_the_place_of_the_folder_is_refused(host: Host, tmp_path: Path) -> None:
    host.root.mkdir()
    (host.root / "7").symlink_to(tmp_path)

    with pytest.raises(WorkspaceError, match="Move it away"):
        host.run(image=IMAGE)


def test_new_workspace_needs_an_image(host: Host) -> None:
    with pytest.raises(WorkspaceError, match="a new one needs image"):
        host.run()


def test_map_folder_that_is_missing_is_named(host: Host) -> None:
    host.ports_dir.rmdir()

    with pytest.raises(WorkspaceError, match="Converge the role workspace first"):
        host.run(image=IMAGE)


def test_failure_names_the_workspace_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(workspace_container, "LOCK", str(tmp_path / "lock"))
    args = {"user_id": USER, "engine_socket": str(tmp_path / "none.sock")}

    with patch_module_args(args), pytest.raises(SystemExit):
        workspace_container.main()

    said = json.loads(capsys.readouterr().out)["msg"]
    assert said.startswith("Could not converge workspace 'ws-u-7': no engine answers at ")
    assert "systemctl start docker" in said


def test_no_value_of_the_environment_reaches_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    monkeypatch.setattr(basic, "has_journal", False)
    monkeypatch.setattr(basic.AnsibleModule, "_log_to_syslog", lambda _, msg: written.append(msg))
    monkeypatch.setattr(workspace_container, "LOCK", str(tmp_path / "lock"))
    args = {
        "user_id": USER,
        "engine_socket": str(tmp_path / "none.sock"),
        "environment": {"TOKEN": "a-secret"},
    }

    with patch_module_args(args), pytest.raises(SystemExit):
        workspace_container.main()

    assert not [line for line in written if "a-secret" in line]
