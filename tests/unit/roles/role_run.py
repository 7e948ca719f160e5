"""Run tasks of a role against folders of this machine: one host for each case, one run for all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).parents[3]
# The repository's own settings have callbacks that write among the JSON.
_SETTINGS = """[defaults]
inject_facts_as_vars = False
stdout_callback = ansible.posix.json
"""
#: What a host must be like that is no matter of these tests.
_OF_THE_HOST = "service_mgr"


def tasks_of(role: str, phase: str) -> list[dict[str, Any]]:
    """Return the tasks of a role's phase but the one that asks for systemd."""
    found = yaml.safe_load((ROOT / f"roles/{role}/tasks/{phase}.yml").read_text())
    return [task for task in found if _OF_THE_HOST not in json.dumps(task)]


def named(tasks: Sequence[dict[str, Any]], *words: str) -> list[dict[str, Any]]:
    """Return the tasks, also of blocks, whose name has one of the words, as the owner's own."""
    flat = [inner for task in tasks for inner in task.get("block", [task])]
    return [task for task in flat if any(word in task["name"] for word in words)]


def run(
    folder: Path,
    role: str,
    tasks: Sequence[Mapping[str, Any]],
    cases: Mapping[str, Mapping[str, Any]],
    *options: str,
) -> dict[str, dict[str, Any]]:
    """Run ``tasks`` with the role's variables, once for each of ``cases``.

    :return: by case, each task's result by its name
    """
    values: dict[str, Any] = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
    }
    for part in ("defaults", "vars"):
        values |= yaml.safe_load((ROOT / f"roles/{role}/{part}/main.yml").read_text())
    inventory = {"all": {"vars": values, "hosts": {name: dict(own) for name, own in cases.items()}}}
    (folder / "ansible.cfg").write_text(_SETTINGS)
    (folder / "hosts.json").write_text(json.dumps(inventory))
    play = {"hosts": "all", "gather_facts": False, "tasks": list(tasks)}
    (folder / "play.json").write_text(json.dumps([play]))
    if not (folder / "templates").exists():
        (folder / "templates").symlink_to(ROOT / "roles" / role / "templates")
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("ansible-playbook")),
            "-i",
            str(folder / "hosts.json"),
            str(folder / "play.json"),
            *options,
        ],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": str(folder / "ansible.cfg")},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.stdout, done.stderr
    results: dict[str, dict[str, Any]] = {name: {} for name in cases}
    for task in json.loads(done.stdout)["plays"][0]["tasks"]:
        for host, result in task["hosts"].items():
            results[host][task["task"]["name"]] = result
    return results


def complaint(results: Mapping[str, Any]) -> str:
    """Return the message of the task that failed, empty if none did."""
    failed = [str(result["msg"]) for result in results.values() if result.get("failed")]
    return failed[0] if failed else ""
