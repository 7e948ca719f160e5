"""The documentation on the host of the API entry, put there by the role's own tasks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.wheelhouse import write_tar

ROOT = Path(__file__).parents[3]
TASKS = ROOT / "roles/api_entry/tasks/install.yml"
pytestmark = pytest.mark.timeout(600)


def tasks() -> list[dict[str, Any]]:
    """Return the role's tasks that make folders and unpack, for whoever runs the tests."""
    wanted = {
        "Create the service's folders",
        "Copy the archive of the documentation",
        "Have the documentation as it is in its archive",
    }
    found: list[dict[str, Any]] = [
        task
        for task in yaml.safe_load(TASKS.read_text())
        if task["name"].removeprefix("install | ") in wanted
    ]
    assert len(found) == len(wanted)
    for task in [*found, *(part for whole in found for part in whole.get("block", []))]:
        for options in task.values():
            if isinstance(options, dict):
                options.pop("owner", None)
                options.pop("group", None)
    return found


class Host:
    """A folder that plays the host, and runs of the tasks on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.docs = folder / "home" / "docs"
        self.archive = folder / "docs.tar"

    def pack(self, **pages: str) -> None:
        """Build the archive; ``a__b`` is the page ``a/b.html``."""
        members = {f"{name.replace('__', '/')}.html": text.encode() for name, text in pages.items()}
        with self.archive.open("wb") as file:
            write_tar(file, members)

    def run(self, *options: str) -> int:
        """Run the tasks, which must succeed; return how many of them changed something."""
        values = {
            "api_entry_docs_archive": str(self.archive),
            "__api_entry_home": str(self.docs.parent),
            "__api_entry_docs_archive_file": str(self.docs.with_suffix(".tar")),
            "__api_entry_docs_dir": str(self.docs),
            "__api_entry_env_file": str(self.folder / "etc" / "api.env"),
            "ansible_python_interpreter": sys.executable,
        }
        play = {
            "name": "Install",
            "hosts": "localhost",
            "connection": "local",
            "gather_facts": False,
            "vars": values,
            "tasks": tasks(),
        }
        path = self.folder / "play.yml"
        path.write_text(json.dumps([play]))
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        done = subprocess.run(
            [program, "-i", "localhost,", str(path), "--diff", *options],
            cwd=ROOT,
            env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return int(done.stdout.rpartition("changed=")[2].split()[0])

    def pages(self) -> dict[str, str]:
        """Return the text of each page that is there."""
        found = [path for path in self.docs.rglob("*") if path.is_file()]
        return {str(path.relative_to(self.docs)): path.read_text() for path in found}


@pytest.fixture
def host(tmp_path: Path) -> Host:
    host = Host(tmp_path)
    host.pack(index="one", guide__old="old")
    return host


def test_check_of_a_bare_host_passes_and_makes_nothing(host: Host) -> None:
    assert host.run("--check") == 2
    assert not host.docs.exists()


def test_pages_that_the_archive_no_longer_has_vanish(host: Host) -> None:
    host.run()
    assert host.pages() == {"index.html": "one", "guide/old.html": "old"}
    assert host.run("--check") == host.run() == 0
    host.pack(index="two", guide__新="new")

    assert host.run("--check") == 1
    assert host.pages() == {"index.html": "one", "guide/old.html": "old"}
    assert host.run() == 3
    assert host.pages() == {"index.html": "two", "guide/新.html": "new"}
    assert host.run() == 0


def test_page_that_was_lost_or_spoiled_comes_back(host: Host) -> None:
    host.run()
    (host.docs / "index.html").write_text("spoiled")
    (host.docs / "guide/old.html").unlink()

    assert host.run() == 1

    assert host.pages() == {"index.html": "one", "guide/old.html": "old"}
