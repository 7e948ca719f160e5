"""What the hosts look like: sandboxes of the services, files of the secrets, compiled code."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.acceptance.conftest import RecordEvidence
    from tests.acceptance.live_platform import Platform

#: Highest exposure score of systemd-analyze, by unit; the runner builds and may be more exposed.
EXPOSURE_LIMITS = {
    ("deploy", "funai-deploy"): 2.0,
    ("runtime", "funai-runtime-agent"): 2.0,
    ("runner", "funai-runner"): 3.5,
}
#: Mode and owner of each file that holds secrets, by group and path.
SECRET_FILES = {
    ("deploy", "/etc/funai-deploy/deploy.env"): "640 root:root",
    ("deploy", "/etc/funai-deploy/migrate.env"): "600 root:root",
    ("runner", "/etc/funai-runner/runner.env"): "640 root:root",
    ("runtime", "/etc/funai-runtime/agent.env"): "640 root:root",
    ("runtime", "/etc/funai-runtime/registries.json"): "640 root:funai-runtime",
    ("api", "/etc/funai-gateway/sync.env"): "640 root:root",
}
#: Code of each service, by group; the account that runs it has the same name as the folder.
CODE = {
    "deploy": "funai-deploy",
    "runner": "funai-runner",
    "runtime": "funai-runtime",
    "api": "funai-gateway",
}
COUNT_SOURCES = "find %s/venv/lib -path '*/funai/*' -name '*.py' | wc -l"
COUNT_COMPILED = "find %s/venv/lib -path '*/funai/*' -name '*.pyc' | wc -l"

Connect = Callable[[str], Any]


@pytest.mark.point("Services are sandboxed (systemd exposure)")
@pytest.mark.parametrize(("group", "unit"), EXPOSURE_LIMITS, ids=str)
def test_exposure_of_the_unit_is_low(
    platform: Platform, connect: Connect, record_evidence: RecordEvidence, group: str, unit: str
) -> None:
    for name in platform.hosts[group]:
        printed = connect(name).check_output("systemd-analyze security --no-pager %s", unit)
        score = re.search(r"Overall exposure level for \S+: ([0-9.]+)", printed)
        assert score, f"systemd-analyze on {name} printed no score for {unit}"
        record_evidence(f"{name}: {unit} {score[1]}")
        assert float(score[1]) <= EXPOSURE_LIMITS[group, unit]


@pytest.mark.point("Files with secrets are closed")
@pytest.mark.parametrize(("group", "path"), SECRET_FILES, ids=str)
def test_file_with_secrets_is_closed(
    platform: Platform, connect: Connect, record_evidence: RecordEvidence, group: str, path: str
) -> None:
    for name in platform.hosts[group]:
        seen = connect(name).check_output("stat -c '%%a %%U:%%G' %s", path)
        record_evidence(f"{name}: {path} {seen}")
        assert seen == SECRET_FILES[group, path]


@pytest.mark.point("Code is compiled and its service cannot write it")
@pytest.mark.parametrize("group", CODE)
def test_code_is_compiled_and_not_writable(
    platform: Platform, connect: Connect, record_evidence: RecordEvidence, group: str
) -> None:
    account = CODE[group]
    home = f"/opt/{account}"
    for name in platform.hosts[group]:
        host = connect(name)
        sources = int(host.check_output(COUNT_SOURCES, home))
        compiled = int(host.check_output(COUNT_COMPILED, home))
        writable = host.check_output(
            "find %s -not -type l \\( -user %s -o -perm -o+w \\) -print", home, account
        )
        record_evidence(f"{name}: {home} {compiled} compiled of {sources}, writable: none")
        assert sources > 0
        assert compiled >= sources
        assert writable == ""
