#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
---
module: settled_service
short_description: Wait until a service that was started also stays and answers
description:
  - A start succeeds as soon as the process is there. One that finds a wrong setting ends a moment later,
    and nobody looks again. This does, and fails with how the service ended and where it says why.
  - With I(url) the service is settled once that answers with a status of 2xx. Without one it is settled
    once its main process has run for I(steady_seconds).
  - A unit that systemd has given up is told at once. One that systemd starts again and again, or
    that does not answer, is told after I(timeout_seconds).
author:
  - Platform team
attributes:
  check_mode:
    description: Does not look, since a run may first mend what does not run.
    support: full
  diff_mode:
    description: There is nothing to compare, since it changes nothing.
    support: none
  idempotent:
    description: It changes nothing. A process that has run for long is not waited for.
    support: full
options:
  name:
    description: The unit, with its type, as C(funai-deploy.service).
    type: str
    required: true
  url:
    description: What the service answers once it is ready, as seen from the host.
    type: str
  steady_seconds:
    description: How long the main process has run where it is taken as settled without I(url).
    type: int
    default: 5
  timeout_seconds:
    description: How long to wait.
    type: int
    default: 60
"""

EXAMPLES = r"""
- name: Wait until the runner stays
  settled_service:
    name: funai-runner.service

- name: Wait until Deploy can reach its database
  settled_service:
    name: funai-deploy.service
    url: http://127.0.0.1:7002/internal/ready
"""

RETURN = r"""
waited_seconds:
  description: How long it took.
  returned: success
  type: float
  sample: 1.5
"""

import time
import typing as t
from dataclasses import dataclass
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

from ansible.module_utils.basic import AnsibleModule

PROPERTIES = (
    "LoadState",
    "ActiveState",
    "Result",
    "ExecMainCode",
    "ExecMainStatus",
    "ExecMainStartTimestampMonotonic",
)
POLL_SECONDS = 0.5
ANSWER_SECONDS = 5
ANSWER_CHARACTERS = 200
#: ``ExecMainCode`` of a process that ended by itself, see waitid(2).
EXITED = "1"

Run = t.Callable[[list[str]], tuple[int, str]]
#: Returns what is wrong with the answer of a URL; nothing where it is one of success.
Ask = t.Callable[[str], str]


class UnsettledError(Exception):
    """The service does not stay or does not answer; the text says what to do."""


@dataclass(frozen=True)
class Unit:
    """What systemd says of a unit and of its last main process."""

    state: str
    result: str
    #: How the last main process ended; empty where none ended yet, or one runs.
    code: str
    #: Exit status, or the signal's number.
    status: str
    #: When the main process started, on the clock that counts from the boot.
    started: float

    @property
    def runs(self) -> bool:
        """Return whether its process is there."""
        return self.state in {"active", "reloading"}

    @property
    def given_up(self) -> bool:
        """Return whether systemd will not start it again by itself."""
        return self.state in {"inactive", "failed"}

    @property
    def ending(self) -> str:
        """Return how it ended, in words."""
        if not self.code:
            return "does not run"
        if self.code == EXITED:
            return f"ended with {self.status}"
        return f"was ended by signal {self.status} ({self.result})"


def read_unit(run: Run, name: str) -> Unit:
    """Return the unit as it is now.

    :raises UnsettledError: where systemd does not answer or has no such unit
    """
    code, output = run(["systemctl", "show", f"--property={','.join(PROPERTIES)}", name])
    if code:
        msg = f"systemctl show {name} ended with {code}: {output.strip()}"
        raise UnsettledError(msg)
    said = dict(line.split("=", 1) for line in output.splitlines() if "=" in line)
    if said.get("LoadState") != "loaded":
        msg = f"systemd has no {name}: run the role as a whole, which writes it"
        raise UnsettledError(msg)
    return Unit(
        state=said["ActiveState"],
        result=said["Result"],
        code="" if said["ExecMainCode"] == "0" else said["ExecMainCode"],
        status=said["ExecMainStatus"],
        started=int(said["ExecMainStartTimestampMonotonic"]) / 1_000_000,
    )


def ask(url: str) -> str:
    """Ask a URL of this host, past any proxy; return what is wrong with the answer."""
    try:
        with build_opener(ProxyHandler({})).open(url, timeout=ANSWER_SECONDS):
            return ""
    except HTTPError as error:
        body = error.read(ANSWER_CHARACTERS).decode(errors="replace")
        return f"{url} answers {error.code}: {' '.join(body.split())}"
    except (OSError, HTTPException) as error:
        return f"{url} does not answer: {error}"


def advice(name: str) -> str:
    """Return what to do about a service that does not settle."""
    return f"read `journalctl -u {name} -n 20`, correct the setting that it names, and run again"


def settle(
    params: dict[str, t.Any],
    run: Run,
    ask: Ask,
    now: t.Callable[[], float] = time.monotonic,
    rest: t.Callable[[float], None] = time.sleep,
) -> None:
    """Wait until the service is settled.

    :raises UnsettledError: where systemd has given it up, or the time is over
    """
    name, url = params["name"], params["url"]
    deadline = now() + params["timeout_seconds"]
    wrong = ""
    while True:
        unit = read_unit(run, name)
        if unit.given_up:
            msg = f"{name} {unit.ending}: {advice(name)}"
            raise UnsettledError(msg)
        if unit.runs and url:
            wrong = ask(url)
            if not wrong:
                return
            wrong = f"runs, but {wrong}"
        elif unit.runs and now() - unit.started >= params["steady_seconds"]:
            return
        elif not unit.runs:
            wrong = f"{unit.ending} and is started again each time"
        if now() >= deadline:
            msg = f"{name} {wrong or 'has not run for long'}: {advice(name)}"
            raise UnsettledError(msg)
        rest(POLL_SECONDS)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "url": {"type": "str"},
            "steady_seconds": {"type": "int", "default": 5},
            "timeout_seconds": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )

    def run(argv: list[str]) -> tuple[int, str]:
        code, out, err = module.run_command(argv)
        return code, f"{out}{err}"

    began = time.monotonic()
    if not module.check_mode:
        try:
            settle(module.params, run, ask)
        except UnsettledError as exc:
            module.fail_json(msg=str(exc))
    module.exit_json(changed=False, waited_seconds=round(time.monotonic() - began, 1))


if __name__ == "__main__":
    main()
