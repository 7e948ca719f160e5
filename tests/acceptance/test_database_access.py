"""Deploy's host may use the database and others may not, at the firewall and at the account."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pymysql
import pytest

if TYPE_CHECKING:
    from tests.acceptance.conftest import RecordEvidence
    from tests.acceptance.live_platform import Platform

POINT = "Deploy's host may use the database, others may not"
TIMEOUT = 10  # seconds
ACCESS_DENIED = {1044, 1045, 1130, 1142, 1143, 1227}
SCHEMA = "db_funaistudio"

#: Run on Deploy's host with its own Python and its own settings: no secret is on the command line.
#: Prints, for each statement, what the database answered to Deploy's account.
AS_DEPLOY = """
import json, pymysql, sys
lines = open("/etc/funai-deploy/deploy.env").read().splitlines()
env = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
env = {key: value.strip().strip('"').strip("'") for key, value in env.items()}
connection = pymysql.connect(host=env["DEPLOY_DB_HOST"], port=int(env["DEPLOY_DB_PORT"]),
    user=env["DEPLOY_DB_USER"], password=env["DEPLOY_DB_PASSWORD"],
    database=env["DEPLOY_DB_NAME"], connect_timeout=5)
answers = []
for statement in json.loads(sys.argv[1]):
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            answers.append("ok: %s" % (cursor.fetchall(),))
    except pymysql.Error as error:
        answers.append("refused %s" % error.args[0])
print(json.dumps(answers))
"""
#: Statements that Deploy's account must not get through.
FORBIDDEN = [
    "SELECT User FROM mysql.user LIMIT 1",
    "CREATE TABLE acceptance_probe (id INT)",
    "CREATE DATABASE acceptance_probe",
    "SELECT LOAD_FILE('/etc/passwd') IS NOT NULL FROM mysql.db",
    "SET GLOBAL max_connections = 1",
]

Connect = Callable[[str], Any]


def ask_as_deploy(host: Any, statements: list[str]) -> list[str]:
    printed = host.check_output(
        "/opt/funai-deploy/venv/bin/python -c %s %s", AS_DEPLOY, json.dumps(statements)
    )
    return [str(answer) for answer in json.loads(printed)]


@pytest.mark.point(POINT)
def test_deploy_reads_its_tables_with_its_account(
    platform: Platform, connect: Connect, record_evidence: RecordEvidence
) -> None:
    for name in platform.hosts["deploy"]:
        statement = "SELECT COUNT(*) FROM fun_ai_deploy_job"
        (answer,) = ask_as_deploy(connect(name), [statement])
        record_evidence(f"{name}, Deploy's account: {statement}: {answer}")
        assert answer.startswith("ok")


@pytest.mark.point(POINT)
def test_account_of_deploy_reaches_nothing_beside_its_tables(
    platform: Platform, connect: Connect, record_evidence: RecordEvidence
) -> None:
    name = next(iter(platform.hosts["deploy"]))

    answers = dict(zip(FORBIDDEN, ask_as_deploy(connect(name), FORBIDDEN), strict=True))

    record_evidence(f"{name}, Deploy's account: {answers}")
    assert [statement for statement, answer in answers.items() if answer.startswith("ok")] == []


@pytest.mark.point(POINT)
def test_account_of_deploy_is_refused_from_any_other_address(
    platform: Platform, record_evidence: RecordEvidence
) -> None:
    """The operator passes the firewall, so this is the account's own limit."""
    with pytest.raises(pymysql.err.OperationalError) as refusal:
        pymysql.connect(
            host=platform.address("api"),
            user="funai_deploy",
            password=platform.credential("db_password"),
            database=SCHEMA,
            connect_timeout=TIMEOUT,
        )

    code, text = refusal.value.args[:2]
    record_evidence(f"operator with Deploy's account and password: {code} {text}")
    assert code in ACCESS_DENIED


@pytest.mark.point(POINT)
@pytest.mark.parametrize("group", ["workspace", "runner", "runtime", "forge"])
def test_host_without_business_there_gets_no_connection(
    platform: Platform, connect: Connect, record_evidence: RecordEvidence, group: str
) -> None:
    if group not in platform.hosts:
        pytest.skip(f"the inventory has no {group} host")
    target = platform.address("api")
    for name in platform.hosts[group]:
        done = connect(name).run("timeout 4 bash -c %s", f"</dev/tcp/{target}/3306")
        record_evidence(f"{name} -> {target}:3306: {'open' if done.rc == 0 else 'no connection'}")
        assert done.rc != 0, f"{name} opened a connection to the database"
