"""A run that ends early leaves no service with what it had before, and no service stays down."""

from __future__ import annotations

import typing as t
from base64 import b64encode
from pathlib import Path

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

ROLES = Path(__file__).parents[2] / "roles"
COMPARE = "current_service"
UNITS = "/etc/systemd/system"
#: For which files each unit is restarted or reloaded, by role.
COMPARED = {
    "workspace": {
        "nginx.service": {
            "/etc/nginx/sites-enabled/default",
            "/etc/nginx/funai-preview-access.conf",
            "/etc/nginx/funai-workspaces",
        },
    },
    "base": {
        "systemd-journald.service": {"/etc/systemd/journald.conf.d/funai.conf"},
        "ssh.service": {"/etc/ssh/sshd_config.d/00-funai.conf"},
        "chrony.service": {"/etc/chrony/sources.d/funai.sources"},
        "nftables.service": {"/etc/nftables.conf"},
    },
    "forge": {
        "docker-registry.service": {
            "/etc/docker/registry/config.yml",
            f"{UNITS}/docker-registry.service.d/funai.conf",
        },
        "funai-registry-reader.service": {
            "/etc/docker/registry/reader.yml",
            f"{UNITS}/funai-registry-reader.service",
        },
        "funai-registry-gc.timer": {f"{UNITS}/funai-registry-gc.timer"},
        "fcgiwrap.service": {f"{UNITS}/fcgiwrap.service.d/funai.conf"},
        "nginx.service": {
            "/etc/funai-forge/tls.key",
            "/etc/funai-forge/tls.crt",
            "/etc/nginx/sites-enabled/default",
        },
    },
}
Task = dict[str, t.Any]


def load(path: Path) -> t.Any:
    return yaml.safe_load(path.read_text())


def tasks_of(role: str, name: str = "configure.yml") -> list[Task]:
    """Return a file's tasks in the order they run, with those of its blocks and imports."""

    def flat(tasks: list[Task]) -> t.Iterator[Task]:
        for task in tasks:
            yield task
            for part in ("block", "rescue", "always"):
                yield from flat(task.get(part, []))
            if imported := task.get("ansible.builtin.import_tasks"):
                yield from tasks_of(role, imported)

    return list(flat(load(ROLES / role / "tasks" / name)))


def trusted(value: t.Any) -> t.Any:
    """Return a value of which Ansible fills in the variables, as it does in a role's files."""
    if isinstance(value, dict):
        return {key: trusted(part) for key, part in value.items()}
    if isinstance(value, list):
        return [trusted(part) for part in value]
    return trust_as_template(value) if isinstance(value, str) else value


def filled(value: t.Any, known: dict[str, t.Any]) -> t.Any:
    templar = Templar(loader=DataLoader(), variables=trusted(known))
    return templar.template(trusted(value))


def holds(condition: str, **known: t.Any) -> bool:
    return bool(filled("{{ " + condition + " }}", known))


def compared(role: str) -> dict[str, set[str]]:
    """Return each unit that the role compares with files, and these."""
    variables = load(ROLES / role / "vars/main.yml")
    found: dict[str, set[str]] = {}
    for task in tasks_of(role):
        if COMPARE not in task:
            continue
        loop_var = task.get("loop_control", {}).get("loop_var", "item")
        for item in filled(task.get("loop", [None]), variables):
            options = filled(task[COMPARE], {**variables, loop_var: item})
            paths = {*options.get("files", []), *options.get("reload_files", [])}
            found.setdefault(options["name"], set()).update(paths)
    return found


def position(tasks: list[Task], found: t.Callable[[Task], t.Any]) -> int:
    return next(number for number, task in enumerate(tasks) if found(task))


def is_flush(task: Task) -> bool:
    return task.get("ansible.builtin.meta") == "flush_handlers"


def named(name: str) -> t.Callable[[Task], bool]:
    return lambda task: task["name"].endswith(name)


@pytest.mark.parametrize("role", COMPARED)
def test_units_are_compared_with_the_files_they_were_started_with(role: str) -> None:
    assert compared(role) == COMPARED[role]


@pytest.mark.parametrize("role", COMPARED)
def test_every_unit_that_a_handler_answers_for_is_compared(role: str) -> None:
    handlers = load(ROLES / role / "handlers/main.yml")
    units = {
        handler["ansible.builtin.systemd_service"]["name"]
        for handler in handlers
        if "name" in handler.get("ansible.builtin.systemd_service", {})
    }
    assert units <= set(COMPARED[role])


@pytest.mark.parametrize(
    ("role", "failing"),
    [
        pytest.param("workspace", "Keep the workspaces as declared", id="image-without-a-registry"),
        pytest.param("base", "Write the firewall", id="rule-that-nft-refuses"),
        pytest.param("forge", "Prepare git over SSH and the sample repositories", id="git"),
    ],
)
def test_services_have_their_settings_before_what_may_fail(role: str, failing: str) -> None:
    tasks = tasks_of(role)
    flush = position(tasks, is_flush)
    compare = position(tasks, lambda task: COMPARE in task)

    written = [number for number, task in enumerate(tasks) if "notify" in task]
    risky = position(tasks, named(failing))
    assert flush < compare < risky
    assert not [number for number in written if flush < number < risky]


def test_previews_appear_also_where_another_workspace_fails() -> None:
    block = next(task for task in tasks_of("workspace") if "block" in task)

    assert "workspace_container" in block["block"][0]
    # A task of which an item failed notifies nobody.
    assert "notify" not in block["block"][0]
    assert block["always"][0][COMPARE]["name"] == "nginx.service"


def test_cas_are_updated_by_what_is_trusted_and_not_by_what_changed() -> None:
    tasks = tasks_of("base")
    update = tasks[position(tasks, named("Update the trusted CAs"))]
    cas = [{"name": "a", "content": "one\n"}]

    needed = [
        holds(
            update["when"][-1],
            base_ca_certificates=cas,
            __base_trusted={"content": b64encode(bundle).decode()},
        )
        for bundle in (b"other\n", b"other\none\n")
    ]
    assert needed == [True, False]


def templates() -> list[Path]:
    return sorted(path for path in ROLES.glob("*/templates/*.j2") if ".service" in path.name)


def sections(path: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in path.read_text().splitlines():
        if line.startswith("["):
            lines = found.setdefault(line, [])
        elif line and not line.startswith("#"):
            lines.append(line)
    return found


@pytest.mark.parametrize("path", templates(), ids=lambda path: path.name)
def test_unit_that_comes_back_by_itself_never_gives_up(path: Path) -> None:
    if any(line.startswith("Restart=") for line in sections(path).get("[Service]", [])):
        assert "StartLimitIntervalSec=0" in sections(path)["[Unit]"]


@pytest.mark.parametrize(
    "path",
    [
        "workspace/templates/nginx.service.conf.j2",
        "forge/templates/nginx.service.conf.j2",
        "forge/templates/docker-registry.service.conf.j2",
        "forge/templates/fcgiwrap.service.conf.j2",
    ],
)
def test_distribution_unit_comes_back_by_itself(path: str) -> None:
    assert {"Restart=on-failure", "RestartSec=1"} <= set(sections(ROLES / path)["[Service]"])


def test_nginx_comes_back_alike_wherever_it_is() -> None:
    texts = {path.read_text() for path in ROLES.glob("*/templates/nginx.service.conf.j2")}
    assert len(texts) == 1


def test_writer_of_the_registry_is_confined_as_its_reader() -> None:
    folder = ROLES / "forge/templates"
    reader = sections(folder / "funai-registry-reader.service.j2")["[Service]"]
    writer = sections(folder / "docker-registry.service.conf.j2")["[Service]"]

    # The distribution's unit says these.
    own = ("User=", "ExecStart=", "Restart=")
    assert {line for line in reader if not line.startswith(own)} <= set(writer)
    assert "ReadWritePaths={{ __forge_registry_dir }}" in writer


def test_whoever_is_the_last_to_leave_the_operators_loses_root() -> None:
    tasks = tasks_of("base")
    sudoers = tasks[position(tasks, named("Say which operators may become root"))]
    template = ROLES / "base/templates" / sudoers["ansible.builtin.template"]["src"]

    text = filled(template.read_text(), {"base_operator_users": [], "ansible_managed": "by us"})
    assert "NOPASSWD" not in text
    assert "base_operator_users" not in str(sudoers["when"])


@pytest.mark.parametrize(("addresses", "state"), [({"a": "192.0.2.1"}, "present"), ({}, "absent")])
def test_names_of_hosts_go_with_the_last_of_them(addresses: dict[str, str], state: str) -> None:
    tasks = tasks_of("base")
    task = tasks[position(tasks, named("Know the other hosts by name"))]

    assert "when" not in task
    given = {"base_host_addresses": addresses}
    assert filled(task["ansible.builtin.blockinfile"]["state"], given) == state


def test_new_operator_hides_no_predicted_key_of_the_others() -> None:
    tasks = tasks_of("base")
    keys = tasks[position(tasks, named("Let the operators in by their keys only"))]
    accounts = {"changed": True, "results": [{"changed": True}, {"changed": False, "uid": 1000}]}
    index = keys["loop_control"]["index_var"]

    predicted = [
        holds(
            keys["when"],
            **{"ansible_check_mode": True, "__base_accounts": accounts, index: number},
        )
        for number in range(2)
    ]
    assert predicted == [False, True]
