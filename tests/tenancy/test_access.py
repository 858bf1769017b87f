from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from lead_orchestrator.db import Engines, create_engine
from lead_orchestrator.errors import UnauthenticatedError
from lead_orchestrator.tenancy.access import Access, RevocationWatch
from lead_orchestrator.tenancy.lookups import Lookups, Revocation
from lead_orchestrator.tenancy.models import User
from lead_orchestrator.tenancy.revocation import RevocationList
from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.sessions import Tenancy
from lead_orchestrator.tenancy.tokens import Role, TokenIssuer, TokenVerifier, generate_private_key
from tests.factories import MadeTenant, make_tenant

WITHIN = 1.5  # seconds: half of one between two readings, and the reading itself
ISSUER, AUDIENCE = "https://issuer.example.com", "lead-orchestrator"


@dataclass(frozen=True)
class Gate:
    """What a process looks at when a token comes in, with somebody's token."""

    access: Access
    tenant: MadeTenant
    user_id: UUID
    session_id: UUID
    token: str

    def admits(self) -> bool:
        try:
            self.access.claims(f"Bearer {self.token}")
        except UnauthenticatedError:
            return False
        return True


@pytest.fixture(scope="module")
def issuer() -> TokenIssuer:
    return TokenIssuer(generate_private_key(), ISSUER, AUDIENCE)


@pytest_asyncio.fixture
async def gate(tenancy: Tenancy, secret_box: SecretBox, issuer: TokenIssuer) -> Gate:
    tenant = await make_tenant(tenancy, secret_box)
    async with tenancy.write(tenant.scope) as session:
        user = User(tenant_id=tenant.id, email="staff@example.com", role="AGENT")
        session.add(user)
        await session.flush()
        statement = (
            "INSERT INTO sessions (tenant_id, user_id, refresh_hash, expires_at)"
            " VALUES (:tenant, :user, 'hash', now() + interval '1 day') RETURNING id"
        )
        session_id = await session.scalar(text(statement), {"tenant": tenant.id, "user": user.id})
    token = issuer.issue(
        subject=f"user_{user.id}",
        role=Role.AGENT,
        tenant_id=tenant.id,
        location_ids=None,
        session_id=session_id,
        generation=1,
        lifetime=timedelta(minutes=5),
    )
    revocations = RevocationList()
    verifier = TokenVerifier([issuer.public_key_pem], ISSUER, AUDIENCE, revocations=revocations)
    return Gate(Access(verifier, revocations), tenant, user.id, session_id, token)


@asynccontextmanager
async def watching(engine: AsyncEngine, gate: Gate, interval: float = 0.5) -> AsyncIterator[None]:
    watch = RevocationWatch(Lookups(engine), gate.access.revocations, interval=interval)
    await watch.start()
    try:
        yield
    finally:
        await watch.stop()


async def until(condition: Callable[[], bool]) -> None:
    deadline = asyncio.get_running_loop().time() + WITHIN
    while not condition():
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.02)


async def change(tenancy: Tenancy, gate: Gate, statement: str) -> None:
    async with tenancy.write(gate.tenant.scope) as session:
        await session.execute(text(statement), {"user": gate.user_id, "session": gate.session_id})


async def set_status(engines: Engines, gate: Gate, status: str) -> None:
    statement = text("UPDATE tenants SET status = :status, status_changed_at = now() WHERE id = :id")
    async with engines.platform.begin() as connection:
        await connection.execute(statement, {"status": status, "id": gate.tenant.id})


RAISE = "UPDATE users SET generation = generation + 1, generation_raised_at = now() WHERE id = :user"
DEACTIVATE = "UPDATE users SET active = false, generation_raised_at = now() WHERE id = :user"
SIGN_OUT = "UPDATE sessions SET revoked_at = now() WHERE id = :session"


@pytest.mark.parametrize("statement", [RAISE, DEACTIVATE, SIGN_OUT])
async def test_what_is_revoked_is_refused_within_a_second(
    tenancy: Tenancy, engines: Engines, gate: Gate, statement: str
) -> None:
    async with watching(engines.app, gate):
        assert gate.admits()

        await change(tenancy, gate, statement)

        await until(lambda: not gate.admits())


@pytest.mark.parametrize("statement", [RAISE, DEACTIVATE, SIGN_OUT])
async def test_what_was_revoked_before_the_start_is_refused_from_the_start(
    tenancy: Tenancy, engines: Engines, gate: Gate, statement: str
) -> None:
    await change(tenancy, gate, statement.replace("now()", "now() - interval '23 hours'"))

    async with watching(engines.app, gate, interval=60):
        assert not gate.admits()


async def test_a_suspended_tenant_is_refused_until_it_is_reinstated(engines: Engines, gate: Gate) -> None:
    async with watching(engines.app, gate):
        await set_status(engines, gate, "SUSPENDED")
        await until(lambda: not gate.admits())

        await set_status(engines, gate, "ACTIVE")
        await until(gate.admits)


async def test_others_are_not_touched(tenancy: Tenancy, engines: Engines, gate: Gate, secret_box: SecretBox) -> None:
    other = await make_tenant(tenancy, secret_box)
    async with tenancy.write(other.scope) as session:
        session.add(User(tenant_id=other.id, email="staff@example.com", role="AGENT", generation=5))

    async with watching(engines.app, gate, interval=60):
        assert gate.admits()


async def test_an_absent_database_is_waited_for_and_mentioned_once(
    gate: Gate, tenancy: Tenancy, engines: Engines
) -> None:
    url = engines.app.url.render_as_string(hide_password=False).replace("postgresql+asyncpg", "postgresql")
    absent = create_engine(url.rpartition("@")[0] + "@127.0.0.1:1/none", size=1)
    reached = _Switch(Lookups(absent), Lookups(engines.app))
    watch = RevocationWatch(reached, gate.access.revocations, interval=0.02)
    with capture_logs() as logged:
        await watch.start()
        try:
            await until(lambda: reached.asked > 3)
            assert gate.admits()
            await change(tenancy, gate, RAISE)
            reached.back = True
            await until(lambda: not gate.admits())
        finally:
            await watch.stop()
            await absent.dispose()
    assert [line["event"] for line in logged] == ["revocations_unreadable"]


class _Switch(Lookups):
    """Lookups that reach nothing until `back`."""

    def __init__(self, absent: Lookups, present: Lookups) -> None:
        self._absent, self._present = absent, present
        self.asked, self.back = 0, False

    async def revoked(self, since: datetime) -> Sequence[Revocation]:
        self.asked += 1
        return await (self._present if self.back else self._absent).revoked(since)


@pytest.mark.parametrize("header", [None, "", "  ", "Bearer", "Bearer  ", "Basic dTpw", "BearerX y"])
def test_a_header_without_a_token_is_explained(gate: Gate, header: str | None) -> None:
    with pytest.raises(UnauthenticatedError, match="Bearer"):
        gate.access.claims(header)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_is_written_as_one_likes(gate: Gate, scheme: str) -> None:
    assert gate.access.claims(f" {scheme} {gate.token} ").tenant_id == gate.tenant.id


def test_a_refusal_does_not_quote_the_token(gate: Gate) -> None:
    with pytest.raises(UnauthenticatedError) as refused:
        gate.access.claims(f"Bearer {gate.token}x")

    assert gate.token not in json.dumps(refused.value.message)
