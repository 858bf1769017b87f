from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from lead_orchestrator.tenancy.revocation import Revocation, RevocationKind, RevocationList
from lead_orchestrator.tenancy.tokens import Claims, Role

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
CLAIMS = Claims("user-1", Role.AGENT, uuid4(), None, uuid4(), None, 2, "token-1", NOW, NOW + timedelta(minutes=15))


def revoked(*rows: Revocation, claims: Claims = CLAIMS) -> bool:
    revocations = RevocationList()
    revocations.apply(rows)
    return revocations.is_revoked(claims)


def test_nothing_revoked_revokes_nothing() -> None:
    assert not revoked()


def test_ids_of_one_kind_do_not_revoke_another_kind() -> None:
    assert not revoked(Revocation(RevocationKind.TOKEN, str(CLAIMS.session_id)))
    assert not revoked(Revocation(RevocationKind.SESSION, CLAIMS.token_id))
    assert not revoked(Revocation(RevocationKind.SESSION, "None"), claims=replace(CLAIMS, session_id=None))
    assert not revoked(Revocation(RevocationKind.TENANT_SUSPENDED, "None"), claims=replace(CLAIMS, tenant_id=None))


def test_a_generation_below_the_lowest_that_counts_is_revoked() -> None:
    assert not revoked(Revocation(RevocationKind.GENERATION, "user-1", generation=2))
    assert revoked(Revocation(RevocationKind.GENERATION, "user-1", generation=3))
    assert not revoked(Revocation(RevocationKind.GENERATION, "user-2", generation=3))


def test_a_generation_never_goes_down() -> None:
    rows = [Revocation(RevocationKind.GENERATION, "user-1", generation=number) for number in (3, 1)]
    assert revoked(*rows)
    assert revoked(*reversed(rows))


def test_a_resumed_tenant_counts_again() -> None:
    tenant = str(CLAIMS.tenant_id)
    suspended = Revocation(RevocationKind.TENANT_SUSPENDED, tenant)
    assert revoked(suspended, suspended)
    assert not revoked(suspended, Revocation(RevocationKind.TENANT_RESUMED, tenant))


def test_sessions_are_forgotten_once_their_last_token_has_expired() -> None:
    revocations = RevocationList()
    revocations.apply([Revocation(RevocationKind.SESSION, str(CLAIMS.session_id), until=NOW)])
    revocations.forget(NOW - timedelta(seconds=1))
    assert revocations.is_revoked(CLAIMS)
    revocations.forget(NOW)
    assert not revocations.is_revoked(CLAIMS)
