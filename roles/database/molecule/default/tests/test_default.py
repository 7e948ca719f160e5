"""What the role promises of the database: who gets in from where, and to what."""

from __future__ import annotations

import typing as t

import pytest

if t.TYPE_CHECKING:
    from testinfra.backend.base import CommandResult
    from testinfra.host import Host

ALLOWED = "127.0.0.2"
FORBIDDEN = "127.0.0.3"
DEPLOY = ("funai_deploy", "molecule-only-0123456789")
MIGRATE = ("funai_migrate", "molecule-only-9876543210")
OBSERVER = ("funai_observer", "molecule-only-abcdefghij")
#: Logs in from an address of its own and runs one statement; the arguments are all it takes in.
CLIENT = (
    "import sys, pymysql;"
    "user, password, source, schema, query = sys.argv[1:];"
    "c = pymysql.connect(host='127.0.0.1', user=user, password=password, bind_address=source,"
    " database=schema);"
    "k = c.cursor(); k.execute(query); c.commit(); print(k.fetchall())"
)


def query(
    host: Host,
    account: tuple[str, str],
    source: str,
    statement: str,
    schema: str = "db_funaistudio",
) -> CommandResult:
    return host.run("python3 -c %s %s %s %s %s %s", CLIENT, *account, source, schema, statement)


def as_root(host: Host, statement: str) -> str:
    return str(host.check_output("mariadb --batch --skip-column-names -e %s", statement))


@pytest.fixture(scope="module", autouse=True)
def tables(host: Host) -> None:
    for name in ("fun_ai_deploy_job", "somebody_elses"):
        as_root(host, f"CREATE TABLE IF NOT EXISTS db_funaistudio.{name} (id INT PRIMARY KEY)")


def test_transaction_of_a_dead_client_is_ended(host: Host) -> None:
    assert 0 < int(as_root(host, "SELECT @@GLOBAL.idle_transaction_timeout")) <= 60


def test_allowed_host_gets_in(host: Host) -> None:
    result = query(host, DEPLOY, ALLOWED, "SELECT COUNT(*) FROM fun_ai_deploy_job")
    assert result.rc == 0, result.stderr


def test_forbidden_host_is_kept_out(host: Host) -> None:
    result = query(host, DEPLOY, FORBIDDEN, "SELECT 1")
    assert result.rc != 0
    assert "1045" in result.stderr or "1130" in result.stderr


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM somebody_elses",
        "DROP TABLE fun_ai_deploy_job",
        "ALTER TABLE fun_ai_deploy_job ADD COLUMN x INT",
        "CREATE TABLE another (id INT)",
        "SELECT LOAD_FILE('/etc/passwd') FROM mysql.user",
    ],
)
def test_deploy_is_kept_to_its_own_tables(host: Host, statement: str) -> None:
    result = query(host, DEPLOY, ALLOWED, statement)
    assert result.rc != 0
    assert "1142" in result.stderr


def test_migrations_may_change_the_schema(host: Host) -> None:
    result = query(host, MIGRATE, ALLOWED, "CREATE TABLE IF NOT EXISTS made_by_migration (id INT)")
    assert result.rc == 0, result.stderr


def test_observer_reads_but_does_not_write(host: Host) -> None:
    read = query(host, OBSERVER, "127.0.0.7", "SELECT * FROM fun_ai_deploy_job")
    write = query(host, OBSERVER, "127.0.0.4", "INSERT INTO fun_ai_deploy_job VALUES (1)")

    assert read.rc == 0, read.stderr
    assert "1142" in write.stderr


def test_network_lets_in_its_own_addresses_only(host: Host) -> None:
    first, outside = (query(host, OBSERVER, f"127.0.0.{last}", "SELECT 1") for last in (4, 8))

    assert first.rc == 0, first.stderr
    assert outside.rc != 0
    assert "1045" in outside.stderr or "1130" in outside.stderr


def test_no_account_is_anonymous_or_open_to_all(host: Host) -> None:
    found = as_root(host, "SELECT User, Host FROM mysql.user WHERE User = '' OR Host LIKE '%\\%%'")
    assert found == ""


def test_there_is_no_test_schema(host: Host) -> None:
    assert as_root(host, "SHOW DATABASES LIKE 'test'") == ""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("local_infile", "0"),
        ("skip_name_resolve", "1"),
        ("character_set_server", "utf8mb4"),
        ("innodb_flush_log_at_trx_commit", "1"),
        ("sync_binlog", "1"),
        ("binlog_format", "ROW"),
        ("bind_address", "127.0.0.1"),
    ],
)
def test_server_is_set_as_promised(host: Host, name: str, value: str) -> None:
    assert as_root(host, f"SELECT @@GLOBAL.{name}") == value
