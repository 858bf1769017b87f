"""Engines: one pool a database role, each with its time-outs, and the base of every model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from sqlalchemy import event, exc, make_url
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm import DeclarativeBase

from lead_orchestrator.errors import ConfigurationError

__all__ = ["Base", "Engines", "Timeouts", "create_engine", "database_url", "is_away"]


# Statement time-out, lock time-out, shutting down, too many connections, connection lost.
_AWAY = ("57014", "55P03", "57P", "53300", "08")


class Base(DeclarativeBase):
    """The base of every mapped class; tables are made by migrations."""


@dataclass(frozen=True)
class Timeouts:
    """Milliseconds; they hold for every statement of a pool, so that none can forget them."""

    statement: int = 10_000
    lock: int = 5_000
    idle_in_transaction: int = 15_000


@dataclass(frozen=True)
class Engines:
    """The pools of one process: `app` for staff and services, `visitor` for the public, `platform` for administrators."""

    app: AsyncEngine
    visitor: AsyncEngine
    platform: AsyncEngine

    @classmethod
    def open(cls, app: str, visitor: str, platform: str, *, size: int = 10, timeouts: Timeouts | None = None) -> Self:
        """Pools of `size` connections for each role; nothing connects before it is used."""
        return cls(
            *(
                create_engine(url, size=count, timeouts=timeouts)
                for url, count in ((app, size), (visitor, size), (platform, 3))
            )
        )

    async def dispose(self) -> None:
        for engine in (self.app, self.visitor, self.platform):
            await engine.dispose()


def database_url(url: str) -> URL:
    """`url` for the asyncpg driver.

    Raises:
        ConfigurationError: it is not a postgresql:// address.
    """
    try:
        parsed = make_url(url)
    except exc.ArgumentError:
        raise ConfigurationError(
            "a DATABASE_…URL is not an address: use postgresql://user:password@host:port/name"
        ) from None
    if parsed.get_backend_name() not in {"postgresql", "postgres"}:
        raise ConfigurationError(f"a DATABASE_…URL begins with {parsed.drivername}://: only postgresql:// will do")
    return parsed.set(drivername="postgresql+asyncpg")


def create_engine(url: str, *, size: int, timeouts: Timeouts | None = None) -> AsyncEngine:
    """A pool of at most `size` connections, which refuses one that comes back from a cancelled task inside a transaction."""
    limits = timeouts or Timeouts()
    engine = create_async_engine(
        database_url(url),
        pool_size=size,
        max_overflow=0,
        pool_timeout=10,
        hide_parameters=True,  # errors are logged, and parameters are numbers, addresses and texts of people
        connect_args={
            "server_settings": {
                "application_name": "lead-orchestrator",
                "statement_timeout": str(limits.statement),
                "lock_timeout": str(limits.lock),
                "idle_in_transaction_session_timeout": str(limits.idle_in_transaction),
                "timezone": "UTC",
            }
        },
    )
    event.listen(engine.sync_engine, "checkout", _refuse_open_transaction)
    return engine


def is_away(error: BaseException) -> bool:
    """Whether the database is, or took longer than it may: what can be tried again, or for less."""
    state = getattr(getattr(error, "orig", None), "sqlstate", None) or getattr(error, "sqlstate", None)
    if isinstance(error, exc.DBAPIError) and error.connection_invalidated:
        return True
    return str(state or "").startswith(_AWAY) or isinstance(error, ConnectionError | TimeoutError | exc.TimeoutError)


def _refuse_open_transaction(dbapi_connection: Any, _record: object, _proxy: object) -> None:
    if dbapi_connection.driver_connection.is_in_transaction():
        raise exc.DisconnectionError("a pooled connection came back inside a transaction")
