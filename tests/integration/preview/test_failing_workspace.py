"""What an operator's screen shows of a workspace that cannot be kept."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from subprocess import CompletedProcess

ROOT = Path(__file__).parents[3]
TASKS = ROOT / "roles/workspace/tasks/configure.yml"
VALUE = "value-of-a-secret"
WORKSPACES: list[dict[str, Any]] = [
    {"user_id": 7, "image": "any:1", "memory_mib": "much", "environment": {"KEY": VALUE}}
]


def run(tmp_path: Path) -> CompletedProcess[str]:
    """Run the role's own task, which fails: the memory is not a number."""
    steps = yaml.safe_load(TASKS.read_text())
    tasks = [task for step in steps for task in step.get("block", [step])]
    (task,) = [task for task in tasks if "workspace_container" in task]
    values = {
        "workspace_containers": WORKSPACES,
        "workspace_root": str(tmp_path),
        "__workspace_uid": 1000,
        "__workspace_ports_dir": "",
        "__workspace_engine_accounts": str(tmp_path / "accounts"),
        "__workspace_predictable": True,
    }
    play = {
        "name": "Fail",
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {**values, "ansible_python_interpreter": sys.executable},
        "tasks": [task],
    }
    path = tmp_path / "play.yml"
    path.write_text(json.dumps([play]))
    return subprocess.run(
        [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "localhost,", path],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_failing_workspace_is_named_and_its_environment_is_not_shown(tmp_path: Path) -> None:
    done = run(tmp_path)

    said = done.stdout + done.stderr
    assert done.returncode == 2
    assert "ws-u-7" in said
    assert "memory_mib" in said
    assert VALUE not in said
