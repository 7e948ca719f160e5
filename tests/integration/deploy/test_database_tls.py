"""TLS to the database: where the server offers it, with one context for all connections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from funai.deploy.config import DatabaseSettings
from funai.deploy.database import make_engine
from tests.integration.certificates import self_signed
from tests.integration.deploy_process import DB_PASSWORD, DB_USER
from tests.integration.mariadb import MariaDb

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine


def engine_of(server: MariaDb) -> Engine:
    """Return what Deploy would connect with."""
    server.execute(f"CREATE OR REPLACE USER '{DB_USER}'@'127.0.0.1' IDENTIFIED BY '{DB_PASSWORD}'")
    settings = DatabaseSettings(
        host="127.0.0.1", port=server.port, name="", user=DB_USER, password=DB_PASSWORD
    )
    return make_engine(settings, pool_size=4)


@pytest.mark.parametrize("has_tls", [True, False])
def test_connections_share_a_context_and_use_what_the_server_has(
    tmp_path: Path, *, has_tls: bool
) -> None:
    key, certificate = self_signed(tmp_path)
    options = [f"--ssl-key={key}", f"--ssl-cert={certificate}"] if has_tls else ["--skip-ssl"]
    server = MariaDb(tmp_path, *options)
    server.install()
    server.start()
    engine = engine_of(server)
    try:
        with engine.connect() as one, engine.connect() as other:
            ciphers = [
                connection.exec_driver_sql("SHOW STATUS LIKE 'Ssl_cipher'").one()[1]
                for connection in (one, other)
            ]
            contexts: list[Any] = [
                getattr(connection.connection.driver_connection, "ctx", None)
                for connection in (one, other)
            ]
    finally:
        engine.dispose()
        server.stop()

    assert [bool(cipher) for cipher in ciphers] == [has_tls, has_tls]
    assert contexts[0] is contexts[1] is not None
