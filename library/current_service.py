#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
---
module: current_service
short_description: Restart a service that is older than what it was started with
description:
  - Compares when the running process of a unit started with when its files last changed, and restarts
    the unit where a file is newer. A handler knows only of changes of its own run; this finds also
    those of a run that ended before its handlers.
  - A unit that does not run is left as it is, since it will start with what is there. A unit that was
    just restarted is newer than its files, so that nothing is restarted twice.
  - Unit files that systemd has not read since they changed are read first.
author:
  - Platform team
attributes:
  check_mode:
    description: Predicts the restart, from files as they are, and does nothing.
    support: full
  diff_mode:
    description: Returns what is newer than the process, before and after.
    support: full
  idempotent:
    description: The second run finds the process newer than its files and does nothing.
    support: full
options:
  name:
    description: The unit, with its type, as C(funai-deploy.service).
    type: str
    required: true
  files:
    description:
      - Paths for which the unit is restarted. One that is not there counts as unchanged.
      - Of a link, its own time counts and not that of what it leads to.
    type: list
    elements: path
    default: []
  reload_files:
    description:
      - Paths for which the unit is reloaded, where it is not restarted anyway.
      - When the last reload was is read from what O(reload_seen_by) names.
    type: list
    elements: path
    default: []
  reload_seen_by:
    description:
      - V(workers) is for services whose main process starts new workers at each reload, as HAProxy
        and nginx do. The youngest worker's start counts.
      - V(unit) is for services whose main process goes on and whose children are something else, as
        sshd's sessions, and for units without a process. It counts when systemd last noted a change
        of the unit's state, a reload too. One that failed does not count.
    type: str
    choices: [workers, unit]
    default: workers
"""

EXAMPLES = r"""
- name: Restart Deploy where an earlier run could not
  current_service:
    name: funai-deploy.service
    files:
      - /opt/funai-deploy/venv
      - /etc/funai-deploy/deploy.env
      - /etc/systemd/system/funai-deploy.service

- name: Reload the gateway where an earlier run could not
  current_service:
    name: haproxy.service
    reload_files:
      - /etc/haproxy/haproxy.cfg

- name: Reload sshd where an earlier run could not
  current_service:
    name: ssh.service
    reload_files:
      - /etc/ssh/sshd_config.d/00-funai.conf
    reload_seen_by: unit
"""

RETURN = r"""
action:
  description: What was done, or would be in check mode; V(none), V(restart) or V(reload).
  returned: success
  type: str
  sample: restart
newer:
  description: What is newer than the process.
  returned: success
  type: list
  elements: str
  sample: [/etc/funai-deploy/deploy.env]
"""

import os
import time
import typing as t
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

PROPERTIES = (
    "LoadState",
    "ActiveState",
    "MainPID",
    "ExecMainStartTimestamp",
    "ActiveEnterTimestamp",
    "StateChangeTimestamp",
    "ReloadResult",
    "NeedDaemonReload",
)
#: The kernel writes a file's time down to its last tick, so a file may be newer than it says.
TICK_SECONDS = 0.01
RELOAD_SECONDS = 30
POLL_SECONDS = 0.2
UNREAD = "the unit's definition, which systemd has not read yet"

Run = t.Callable[[list[str]], tuple[int, str]]


class UnitError(Exception):
    """systemd refused; the text says what and what to do."""


@dataclass(frozen=True)
class Unit:
    """What systemd says of a unit."""

    loaded: bool
    state: str
    main_pid: int
    #: Seconds since the epoch; None where nothing runs.
    started: float | None
    #: Of the last reload or start that went well, as systemd noted it; None where nothing runs.
    reloaded: float | None
    unread: bool


def systemctl(run: Run, *words: str) -> str:
    """Return what ``systemctl`` prints.

    :raises UnitError: where it fails
    """
    code, output = run(["systemctl", *words])
    if code:
        msg = f"systemctl {' '.join(words)} ended with {code}: {output.strip()}"
        raise UnitError(msg)
    return output


def moment(text: str) -> float | None:
    """Return the time that systemd prints with ``--timestamp=us+utc``; None where it has none."""
    _day, _, rest = text.partition(" ")
    if not rest:
        return None
    return datetime.fromisoformat(rest.replace(" UTC", "+00:00")).timestamp()


def read_unit(run: Run, name: str) -> Unit:
    """Return the unit as it is now.

    :raises UnitError: where systemd does not answer
    """
    asked = ("show", "--timestamp=us+utc", f"--property={','.join(PROPERTIES)}", name)
    said = dict(line.split("=", 1) for line in systemctl(run, *asked).splitlines() if "=" in line)
    state, main_pid = said.get("ActiveState", ""), int(said.get("MainPID") or 0)
    started = None
    if main_pid:
        started = moment(said.get("ExecMainStartTimestamp", ""))
    elif state == "active":
        # A socket, a timer.
        started = moment(said.get("ActiveEnterTimestamp", ""))
    reloaded = started
    if started is not None and said.get("ReloadResult", "success") == "success":
        reloaded = moment(said.get("StateChangeTimestamp", "")) or started
    return Unit(
        loaded=said.get("LoadState") == "loaded",
        state=state,
        main_pid=main_pid,
        started=started,
        reloaded=reloaded,
        unread=said.get("NeedDaemonReload") == "yes",
    )


def settled_unit(run: Run, name: str) -> Unit:
    """Return the unit once a reload that is under way is over.

    :raises UnitError: where it does not end
    """
    for _ in range(int(RELOAD_SECONDS / POLL_SECONDS)):
        unit = read_unit(run, name)
        if unit.state != "reloading":
            return unit
        time.sleep(POLL_SECONDS)
    msg = f"it is reloading since {RELOAD_SECONDS} s. Read journalctl -u {name}."
    raise UnitError(msg)


def youngest_worker(proc: Path, main_pid: int) -> float | None:
    """Return when the youngest child of a process started; None where it has no child."""
    ages = []
    for stat in proc.glob("[0-9]*/stat"):
        try:
            # The name, in parentheses, may hold anything.
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == main_pid:
            ages.append(int(fields[19]) / os.sysconf("SC_CLK_TCK"))
    booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return booted + max(ages) if ages else None


def newer(paths: list[str], started: float | None, warn: t.Callable[[str], None]) -> list[str]:
    """Return the paths that changed after ``started``."""
    found = []
    for path in paths:
        try:
            changed = os.lstat(path).st_ctime
        except FileNotFoundError:
            continue
        if changed > time.time():
            # The clock was set back. No restart would make the process newer than this file.
            warn(f"{path} changed in the future, so whether the service has it is not known.")
        elif started is not None and changed + TICK_SECONDS >= started:
            found.append(path)
    return found


def last_reload(unit: Unit, seen_by: str, proc: Path) -> float | None:
    """Return when the unit last read its ``reload_files``; None where nothing runs."""
    if seen_by == "unit":
        return unit.reloaded
    return (youngest_worker(proc, unit.main_pid) or unit.started) if unit.main_pid else None


def converge(
    params: dict[str, t.Any],
    run: Run,
    warn: t.Callable[[str], None],
    *,
    check_mode: bool,
    proc: Path = Path("/proc"),
) -> dict[str, t.Any]:
    """Restart or reload the unit where it is older than its files; return the module's result.

    :raises UnitError: where systemd refuses
    """
    name = params["name"]
    unit = settled_unit(run, name)
    action, reasons = "none", []
    if unit.loaded and unit.started is not None:
        reasons = newer(params["files"], unit.started, warn) + [UNREAD] * unit.unread
        action = "restart" if reasons else "none"
    if unit.loaded and not reasons and params["reload_files"]:
        reloaded = last_reload(unit, params["reload_seen_by"], proc)
        reasons = newer(params["reload_files"], reloaded, warn)
        action = "reload" if reasons else "none"
    if not check_mode:
        if action == "restart" or (unit.loaded and unit.unread):
            systemctl(run, "daemon-reload")
        if action != "none":
            systemctl(run, action, name)
    return {
        "changed": action != "none",
        "action": action,
        "newer": reasons,
        "diff": {"before": {"newer": reasons}, "after": {"newer": []}},
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "files": {"type": "list", "elements": "path", "default": []},
            "reload_files": {"type": "list", "elements": "path", "default": []},
            "reload_seen_by": {
                "type": "str",
                "choices": ["workers", "unit"],
                "default": "workers",
            },
        },
        supports_check_mode=True,
    )

    def run(argv: list[str]) -> tuple[int, str]:
        code, out, err = module.run_command(argv)
        return code, f"{out}{err}"

    try:
        result = converge(module.params, run, module.warn, check_mode=module.check_mode)
    except (UnitError, OSError) as exc:
        module.fail_json(msg=f"Could not bring {module.params['name']!r} up to date: {exc}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
