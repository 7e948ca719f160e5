"""Every role keeps the shape the README promises."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
ROLES = sorted(path for path in (ROOT / "roles").iterdir() if path.is_dir())
PHASES = ("preflight", "install", "configure")
GROUPS = ("api", "workspace", "deploy", "runner", "runtime", "forge", "production", "lab")
role = pytest.mark.parametrize("role", ROLES, ids=lambda path: path.name)


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def options_of(role: Path) -> dict[str, Any]:
    specs: dict[str, Any] = load(role / "meta/argument_specs.yml")
    options: dict[str, Any] = specs["argument_specs"]["main"]["options"]
    return options


def files_of(role: Path, *folders: str) -> list[Path]:
    return [path for folder in folders for path in (role / folder).rglob("*") if path.is_file()]


def tasks_in(found: Any) -> list[dict[str, Any]]:
    tasks: list[dict[str, Any]] = []
    for task in found or []:
        tasks.append(task)
        for part in ("block", "rescue", "always"):
            tasks += tasks_in(task.get(part))
    return tasks


def show(text: str, names: dict[str, str]) -> str:
    """Return ``text`` with the role's own variables in it, as far as they are plain."""

    def value(found: re.Match[str]) -> str:
        said = names[found[1]]
        return said.rpartition("/")[0] if found[2] else said

    return re.sub(r"\{\{ (\w+)( \| dirname)? \}\}", value, text)


@role
def test_defaults_and_argument_specs_agree(role: Path) -> None:
    defaults = load(role / "defaults/main.yml")
    options = options_of(role)

    required = {name for name, option in options.items() if option.get("required")}
    assert set(defaults) == set(options) - required
    for name, option in options.items():
        if "default" in option:
            assert option["default"] == defaults[name], name


@role
def test_public_variables_carry_the_role_name(role: Path) -> None:
    wrong = [name for name in options_of(role) if not name.startswith(f"{role.name}_")]
    assert not wrong


@role
def test_private_variables_say_so(role: Path) -> None:
    wrong = [name for name in load(role / "vars/main.yml") if not name.startswith("__")]
    assert not wrong


@role
@pytest.mark.parametrize(
    "part",
    [
        "README.md",
        "handlers/main.yml",
        "meta/main.yml",
        "molecule/default/converge.yml",
        "molecule/default/molecule.yml",
        *(f"tasks/{phase}.yml" for phase in PHASES),
    ],
)
def test_role_is_complete(role: Path, part: str) -> None:
    assert (role / part).is_file()


@role
def test_molecule_scenario_is_verified(role: Path) -> None:
    assert list((role / "molecule/default/tests").glob("test_*.py"))


@role
def test_phases_come_in_order_and_can_be_run_alone(role: Path) -> None:
    steps = load(role / "tasks/main.yml")
    names = [Path(step["ansible.builtin.import_tasks"]).stem for step in steps]

    assert [name for name in names if name in PHASES] == list(PHASES)
    for step, name in zip(steps, names, strict=True):
        assert step["tags"] == [role.name, f"{role.name}_{name}"]


@role
def test_phases_run_alone_though_others_registered_nothing(role: Path) -> None:
    phases = {path: tasks_in(load(path)) for path in files_of(role, "tasks")}
    registered = {
        path: {task["register"] for task in tasks if "register" in task}
        for path, tasks in phases.items()
    }
    # What several phases ask of check mode lies there.
    phases[role / "vars/main.yml"] = [
        {"name": name, "value": value}
        for name, value in load(role / "vars/main.yml").items()
        if "ansible_check_mode" in str(value)
    ]

    wrong = [
        f"{path.name} {task['name']}: {used[0]}"
        for path, tasks in phases.items()
        for task in tasks
        for used in re.finditer(r"\b(__\w+)(?:\.\w+)*(?! *\| *default\()(?![\w.])", str(task))
        if any(used[1] in names for other, names in registered.items() if other != path)
    ]
    assert not wrong, "read these with a default: with --tags of a phase the others did not run"


@role
def test_tasks_that_hide_their_output_hide_their_diff(role: Path) -> None:
    tasks = [task for path in files_of(role, "tasks") for task in tasks_in(load(path))]
    hidden = [task for task in tasks if task.get("no_log")]
    silent = ("ansible.builtin.assert", "ansible.builtin.set_fact")

    wrong = [
        task["name"]
        for task in hidden
        if task.get("diff") is not False and not any(module in task for module in silent)
    ]
    assert not wrong


@role
def test_roles_hide_no_errors(role: Path) -> None:
    text = "".join(path.read_text() for path in files_of(role, "tasks", "handlers"))
    assert "ignore_errors" not in text
    assert "ansible.builtin.shell" not in text


@pytest.mark.parametrize("name", ["api", "api_entry", "deploy", "gateway", "runner", "runtime"])
def test_service_is_compared_with_all_that_its_handlers_answer_to(name: str) -> None:
    role = ROOT / "roles" / name
    tasks = [task for path in files_of(role, "tasks") for task in tasks_in(load(path))]
    compared = next(task["current_service"] for task in tasks if "current_service" in task)
    handlers = {
        handler["name"]
        for handler in load(role / "handlers/main.yml")
        if handler.get("ansible.builtin.systemd_service", {}).get("name") == compared["name"]
    }
    answered = [task for task in tasks if task.get("notify") in handlers and "loop" not in task]

    wanted = {
        options["path"] + ("/venv" if module == "service_environment" else "")
        if "dest" not in options
        else options["dest"]
        for task in answered
        for module, options in task.items()
        if isinstance(options, dict) and {"dest", "path"} & set(options)
    }
    assert len(wanted) > 1
    assert wanted <= {*compared["files"], *compared.get("reload_files", [])}


@pytest.mark.parametrize("name", ["api", "api_entry", "deploy", "runner", "runtime"])
def test_check_predicts_new_code_from_the_copy_of_its_archive(name: str) -> None:
    tasks = tasks_in(load(ROOT / "roles" / name / "tasks/install.yml"))
    installed = next(task["service_environment"] for task in tasks if "service_environment" in task)
    copied = next(
        task
        for task in tasks
        if task.get("ansible.builtin.copy", {}).get("dest") == installed["archive"]
    )

    assert copied["register"] in installed["archive_changes"]
    assert "is changed" in installed["archive_changes"]


@pytest.mark.parametrize("name", ["api_entry", "deploy"])
def test_check_does_not_ask_old_code_what_new_code_migrates(name: str) -> None:
    steps = load(ROOT / "roles" / name / "tasks/main.yml")
    migrate = next(step for step in steps if step["ansible.builtin.import_tasks"] == "migrate.yml")
    tasks = tasks_in(load(ROOT / "roles" / name / "tasks/install.yml"))

    assert f"__{name}_environment.current" in str(migrate["when"])
    assert any("migrates" in str(task.get("ansible.builtin.debug")) for task in tasks)


@pytest.mark.parametrize("name", ["api", "api_entry", "deploy", "gateway", "runner", "runtime"])
def test_service_is_looked_at_after_its_start(name: str) -> None:
    paths = [ROOT / "roles" / name / "tasks" / f"{phase}.yml" for phase in ("configure", "start")]
    tasks = [task for path in paths if path.is_file() for task in load(path)]
    (unit,) = [task["current_service"]["name"] for task in tasks if "current_service" in task]

    assert tasks[-1].get("settled_service", {}).get("name") == unit
    assert not [task["name"] for task in tasks if "ansible.builtin.uri" in task]


def test_api_entry_that_is_switched_off_leaves_nothing_that_runs_or_is_secret() -> None:
    role = ROOT / "roles/api_entry"
    removal = load(role / "tasks/remove.yml")
    (removed,) = [task["loop"] for task in removal if "loop" in task]
    written = {
        task[module]["dest"]
        for phase in ("install", "configure")
        for task in tasks_in(load(role / f"tasks/{phase}.yml"))
        for module in ("ansible.builtin.copy", "ansible.builtin.template")
        if module in task and "loop" not in task
    }

    names = load(role / "vars/main.yml")
    shown = [show(path, names) for path in removed]
    assert len(written) > 3
    assert not [path for path in written if not show(path, names).startswith(tuple(shown))], (
        "installed and not removed"
    )
    assert removal[-1]["ansible.builtin.systemd_service"] == {"daemon_reload": True}


@role
def test_roles_know_no_groups_and_no_addresses(role: Path) -> None:
    paths = files_of(role, "tasks", "handlers", "templates", "vars", "defaults")
    text = "".join(path.read_text() for path in paths)

    # Networks inside a node (198.19) and loopback belong to nobody else.
    addresses = re.findall(r"\b(?!127\.|0\.|255\.|198\.19\.)\d{1,3}(?:\.\d{1,3}){3}\b", text)
    assert not addresses
    assert "groups[" not in text
    assert "group_names" not in text


@role
def test_every_quantity_names_its_unit(role: Path) -> None:
    quantity = re.compile(r"timeout|interval|memory|size|lease|wait|grace")
    unit = re.compile(r"seconds|mib|bytes|days|percent|ratio|files")

    wrong = [
        name
        for name, option in options_of(role).items()
        if option["type"] in {"int", "float"} and quantity.search(name) and not unit.search(name)
    ]
    assert not wrong


@role
def test_secrets_are_marked_and_have_no_default(role: Path) -> None:
    for name, option in options_of(role).items():
        if re.search(r"(password|token|secret)$", name) and option["type"] == "str":
            assert option.get("no_log") is True, name
            assert option.get("default", "") == "", name


def test_no_play_has_both_roles_and_tasks() -> None:
    for path in (ROOT / "playbooks").glob("*.yml"):
        for play in load(path):
            assert "roles" in play, path.name
            assert "tasks" not in play, path.name


def test_site_imports_every_playbook_of_a_group() -> None:
    imported = {play["ansible.builtin.import_playbook"] for play in load(ROOT / "site.yml")}
    assert imported == {f"playbooks/{path.name}" for path in (ROOT / "playbooks").glob("*.yml")}
