"""Connections, transactions and the meaning of the database's errors."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import pymysql.connections
from sqlalchemy import URL, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from funai.deploy.errors import (
    DatabaseAwayError,
    DatabaseBusyError,
    DeployError,
    UnavailableError,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from sqlalchemy import Connection, Engine
    from sqlalchemy.engine import ExceptionContext

    from funai.deploy.config import DatabaseSettings

Result = TypeVar("Result")

_LOG = logging.getLogger(__name__)

#: Said once per connection. Strict, so that a value which does not fit is an error and not cut.
SESSION = (
    "SET SESSION time_zone = '+00:00', SESSION innodb_lock_wait_timeout = 5,"
    " SESSION sql_mode = 'STRICT_TRANS_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,"
    "ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'"
)
_CONNECT_SECONDS = 3
_ANSWER_SECONDS = 10
_LIFETIME_SECONDS = 60
_POOL_WAIT_SECONDS = 3
_TRIES = 4
_PAUSE_SECONDS = 0.02

DUPLICATE_KEY = 1062
#: Snapshot too old, lock wait timeout, deadlock: the transaction did nothing and may run again.
_RETRYABLE = frozenset({1020, 1205, 1213})
_LOCK_WAIT = 1205
_READ_ONLY = frozenset({1290, 1836})
#: Connection refused, gone, lost; host unknown; too many connections; shutting down.
_AWAY = frozenset({0, 1040, 1053, 1927, 2002, 2003, 2005, 2006, 2013, 2014, 2055})
#: Access denied, unknown schema, command denied, unknown table or column.
_SETUP = frozenset({1044, 1045, 1049, 1054, 1130, 1142, 1143, 1146})


def error_number(exc: DBAPIError) -> int:
    """Return the server's or the client library's error number; 0 where there is none."""
    args = getattr(exc.orig, "args", ())
    return args[0] if args and isinstance(args[0], int) else 0


def is_duplicate(exc: DBAPIError) -> bool:
    """Tell whether a unique key refused the row."""
    return error_number(exc) == DUPLICATE_KEY


def url_of(settings: DatabaseSettings) -> URL:
    """Return what SQLAlchemy connects to."""
    return URL.create(
        "mysql+pymysql",
        username=settings.user,
        password=settings.password,
        host=settings.host,
        port=settings.port,
        database=settings.name,
        query={"charset": "utf8mb4"},
    )


class SharedTls(pymysql.connections.Connection):
    """A connection that uses TLS where the server offers it, as PyMySQL's own, with one context for all.

    PyMySQL makes one for each connection, and loads the system's CAs into it: 0.8 MB and 10 ms.
    """

    _context: ClassVar[ssl.SSLContext | None] = None

    def _create_ssl_ctx(self, sslp: Any) -> ssl.SSLContext:  # noqa: ANN401 - PyMySQL has no types
        if sslp:
            return self._make(sslp)
        context = SharedTls._context
        if context is None:
            context = SharedTls._context = self._make(sslp)
        return context

    def _make(self, sslp: Any) -> ssl.SSLContext:  # noqa: ANN401 - PyMySQL has no types
        made: ssl.SSLContext = super()._create_ssl_ctx(sslp)  # type: ignore[misc]
        return made


def make_engine(settings: DatabaseSettings, *, pool_size: int) -> Engine:
    """Return an engine that connects at first use."""
    engine = create_engine(
        url_of(settings),
        isolation_level="READ COMMITTED",
        pool_pre_ping=True,
        pool_recycle=_LIFETIME_SECONDS,
        pool_size=min(8, pool_size),
        max_overflow=max(0, pool_size - 8),
        pool_timeout=_POOL_WAIT_SECONDS,
        hide_parameters=True,
        connect_args={
            "connect_timeout": _CONNECT_SECONDS,
            "read_timeout": _ANSWER_SECONDS,
            "write_timeout": _ANSWER_SECONDS,
            "init_command": SESSION,
        },
    )
    event.listen(engine, "handle_error", _drop_read_only)
    event.listen(engine, "do_connect", _connect)
    return engine


def _connect(_dialect: Any, _record: Any, args: list[Any], options: dict[str, Any]) -> SharedTls:  # noqa: ANN401
    return SharedTls(*args, **options)


def _drop_read_only(context: ExceptionContext) -> None:
    # After a failover the old primary may live on, read-only: that connection is of no use any more.
    args = getattr(context.original_exception, "args", ())
    if args and args[0] in _READ_ONLY:
        context.is_disconnect = True


class Database:
    """Runs work in transactions.

    :param engine: where connections come from
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._pause = threading.Event()

    def run(self, work: Callable[[Connection], Result], *, patient: bool = True) -> Result:
        """Run ``work`` in one transaction and commit; again, where the database asked for that.

        ``work`` may run several times, so it changes nothing but the database.

        :param patient: wait for a locked row several times over
        :raises DatabaseBusyError: where a row stayed locked, or others were in the way each time
        :raises UnavailableError: where the database is away, read-only or not set up
        :raises DBAPIError: what the work itself has to deal with, such as a duplicate key
        """
        for attempt in range(1, _TRIES + 1):
            try:
                with self._engine.begin() as connection:
                    return work(connection)
            except PoolTimeoutError as exc:
                msg = "every database connection of Deploy is in use; try again in a moment"
                raise UnavailableError(msg) from exc
            except DBAPIError as exc:
                is_worth_it = patient or error_number(exc) != _LOCK_WAIT
                if error_number(exc) in _RETRYABLE and attempt < _TRIES and is_worth_it:
                    self._pause.wait(_PAUSE_SECONDS * attempt)
                    continue
                raise self._translate(exc) from exc
        msg = "unreachable"
        raise AssertionError(msg)

    def close(self) -> None:
        """Close the connections that nobody uses."""
        self._engine.dispose()

    def _translate(self, exc: DBAPIError) -> DeployError | DBAPIError:
        number = error_number(exc)
        if number in _READ_ONLY:
            return UnavailableError("the database takes no writes now (read-only); try again")
        if number in _RETRYABLE:
            return DatabaseBusyError(f"the database was busy (error {number}); try again")
        if number in _AWAY or exc.connection_invalidated:
            _LOG.warning("database is away", extra={"fields": {"error": number}})
            return DatabaseAwayError(f"the database does not answer (error {number}); try again")
        if number in _SETUP:
            _LOG.error("database is not set up", extra={"fields": {"error": str(exc.orig)}})
            msg = (
                f"the database refuses Deploy (error {number}): check DEPLOY_DB_*, the account's"
                " rights, and that `funai-deploy migrate` has run"
            )
            return UnavailableError(msg)
        return exc
