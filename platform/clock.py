"""The product's clock: `app_now()` in Postgres. It decides due times, quiet hours, caps and the expiry of holds.

In production it is the database's now(). A sandbox winds it ahead by replacing the function, which only its owner can.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from lead_orchestrator.errors import ConfigurationError

__all__ = ["app_now", "both_nows", "clock_offset", "note_app_now", "real_now", "set_clock_offset"]

_KEPT = "app_now"
_APP_NOW = text("SELECT app_now()")
_REAL_NOW = text("SELECT clock_timestamp()")
_BOTH = text("SELECT app_now(), clock_timestamp()")


async def app_now(session: AsyncSession | AsyncConnection) -> datetime:
    """The product's time of this transaction, in UTC; a session asks for it once in each."""
    transaction = session.sync_session.get_transaction() if isinstance(session, AsyncSession) else None
    asked_in, now = session.info.get(_KEPT, (None, None)) if transaction else (None, None)
    if now is None or asked_in is not transaction:
        now = (await session.execute(_APP_NOW)).scalar_one()
        if transaction:
            session.info[_KEPT] = transaction, now
    moment: datetime = now
    return moment


def note_app_now(session: AsyncSession, now: datetime) -> None:
    """A statement of this transaction has read `app_now()` already: nobody needs to ask again."""
    session.info[_KEPT] = session.sync_session.get_transaction(), now


async def real_now(session: AsyncSession | AsyncConnection) -> datetime:
    """The database's clock at this instant: leases and the order of events do not follow the product's."""
    now: datetime = (await session.execute(_REAL_NOW)).scalar_one()
    return now


async def both_nows(session: AsyncSession) -> tuple[datetime, datetime]:
    """The product's time of this transaction and the database's at this instant, in one statement."""
    now, real = (await session.execute(_BOTH)).one()
    note_app_now(session, now)
    return now, real


async def clock_offset(connection: AsyncConnection) -> timedelta:
    """By how much the product's clock is ahead of the database's."""
    offset: timedelta = (await connection.execute(text("SELECT app_now() - now()"))).scalar_one()
    return offset


async def set_clock_offset(connection: AsyncConnection, offset: timedelta, *, production: bool) -> None:
    """Move the product's clock; the connection is lead_owner's.

    Raises:
        ConfigurationError: in production time is what it is.
    """
    if production:
        raise ConfigurationError("the clock cannot be moved in production")
    body = f"SELECT now() + interval '{offset.total_seconds():.6f} seconds'" if offset else "SELECT now()"
    await connection.exec_driver_sql(
        f"CREATE OR REPLACE FUNCTION app_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE AS $${body}$$"
    )
