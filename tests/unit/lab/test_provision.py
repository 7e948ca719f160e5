from __future__ import annotations

from pathlib import Path

from lab.provision import Trace

OUTPUT = """\
PLAY [Configure what every host has] ******************************************
TASK [base : Install the packages] ********************************************
[ERROR]: Task failed: Module failed: No package matching 'nftablez' is available
Origin: /somewhere/roles/base/tasks/install.yml:2:3
fatal: [api-01]: FAILED! =>
    changed: false
    msg: No package matching 'nftablez' is available
TASK [base : Next] ************************************************************
PLAY RECAP ********************************************************************
api-01                     : ok=3    changed=1    unreachable=0    failed=1
forge-01                   : ok=4    changed=2    unreachable=0    failed=0
"""


def trace(text: str) -> Trace:
    seen = Trace()
    for line in text.splitlines():
        seen.feed(line)
    return seen


def test_failure_has_host_task_and_reason() -> None:
    seen = trace(OUTPUT)

    error = seen.error(Path("/logs/site.log"))

    assert error.host == "api-01"
    assert "base : Install the packages" in error.reason
    assert "No package matching 'nftablez'" in error.reason
    assert error.log == Path("/logs/site.log")


def test_changes_are_counted_by_host() -> None:
    assert trace(OUTPUT).changed == {"api-01": 1, "forge-01": 2}


def test_reason_is_found_in_the_result_where_there_is_no_error_line() -> None:
    seen = trace('TASK [a] *\nfatal: [api-01]: UNREACHABLE! =>\n    msg: "no route"\n')

    assert seen.error(Path("x")).reason == "task 'a': no route"


def test_looped_task_is_read_too() -> None:
    seen = trace("TASK [a] *\nfailed: [api-01] (item=x) => FAILED! =>\n    msg: bad item\n")

    assert seen.failed_host == "api-01"


def test_playbook_that_never_started_keeps_its_error() -> None:
    seen = trace("[ERROR]: couldn't resolve module/action 'frobnicate'\n")

    assert seen.error(Path("x")).reason == "couldn't resolve module/action 'frobnicate'"


def test_what_the_failed_program_said_last_is_shown() -> None:
    seen = trace(
        "TASK [a] *\n"
        "[ERROR]: Task failed: Module failed: non-zero return code\n"
        "fatal: [api-01]: FAILED! =>\n"
        "    cmd:\n"
        "    - migrate\n"
        "    msg: non-zero return code\n"
        "    stderr: |-\n"
        "        Traceback (most recent call last):\n"
        '          File "x", line 5, in <module>\n'
        "        OperationalError: no such host\n"
        "    stderr_lines: <omitted>\n"
        "    stdout: ''\n"
    )

    assert seen.error(Path("x")).reason == (
        "task 'a': Task failed: Module failed: non-zero return code: OperationalError: no such host"
    )
