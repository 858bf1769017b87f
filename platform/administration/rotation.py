"""Sealing every stored secret again with the newest key, while everything runs.

Old and new ciphertexts open side by side as long as both keys are in SECRETS_KEY, so nobody waits for anybody: each row is locked
for the moment in which it is written. What the newest key has sealed already is left alone, so a run that was stopped goes on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from uuid import UUID

from lead_orchestrator.administration import repository
from lead_orchestrator.tenancy.lookups import Lookups
from lead_orchestrator.tenancy.secrets import SecretBox, SecretError
from lead_orchestrator.tenancy.sessions import Scope, Tenancy, WriteSession

__all__ = ["SEALED", "Rotated", "rotate"]

SEALED: Mapping[str, Sequence[str]] = {
    "google_credentials": ("refresh_token", "access_token", "consent_verifier"),
    "tenant_assistant_configs": ("api_key",),
    "tenant_crm_configs": ("api_key", "webhook_secret", "previous_webhook_secret"),
    "tenant_messaging_configs": ("twilio_auth_token", "sendgrid_api_key", "whatsapp_access_token"),
    "users": ("totp_secret",),
}
"""Every column of tenants that holds a sealed secret; administrators have `totp_secret` in platform_users."""
MOST_ROUNDS = 5


@dataclass
class Rotated:
    """`secrets` counts what is stored, `sealed` what was sealed again, `unreadable` names what no key opens."""

    tenants: int = 0
    secrets: int = 0
    sealed: int = 0
    unreadable: list[str] = field(default_factory=list)


async def rotate(tenancy: Tenancy, lookups: Lookups, box: SecretBox) -> Rotated:
    """Seal all secrets of all tenants with the newest key, and look again until nothing is left that another one sealed: a
    process that was started with the old keys may have written meanwhile."""
    result = Rotated()
    for _ in range(MOST_ROUNDS):
        found = Rotated(sealed=result.sealed)
        before = result.sealed
        for tenant_id in await lookups.tenants():
            await _tenant(tenancy, tenant_id, box, found)
        await _administrators(tenancy, box, found)
        result = found
        if result.sealed == before:
            break
    return result


async def _tenant(tenancy: Tenancy, tenant_id: UUID, box: SecretBox, result: Rotated) -> None:
    result.tenants += 1
    for table, columns in SEALED.items():
        async with tenancy.write(Scope.service(tenant_id, "secrets rotate")) as session:
            again: set[str] = set()
            for row in await repository.sealed_rows(session, table, columns):
                again |= await _row(session, table, row, box, result)
            if again:
                session.audit("secrets.sealed_again", target=f"tenant_{tenant_id}", detail={"fields": sorted(again)})


async def _administrators(tenancy: Tenancy, box: SecretBox, result: Rotated) -> None:
    async with tenancy.platform() as session:
        for row in await repository.sealed_administrators(session):
            again = _sealed_again(row.secrets, box, result, f"of user_{row.place}")
            if again:
                await repository.seal_administrator_again(session, row, again)


async def _row(
    session: WriteSession, table: str, row: repository.SealedRow, box: SecretBox, result: Rotated
) -> AbstractSet[str]:
    """The columns that were sealed again."""
    again = _sealed_again(row.secrets, box, result, f"in {table} of tenant_{session.scope.tenant_id}")
    if again:
        await repository.seal_again(session, table, row, again)
    return again.keys()


def _sealed_again(secrets: Mapping[str, bytes], box: SecretBox, result: Rotated, where: str) -> dict[str, bytes]:
    """Those that the newest key has not sealed, sealed by it; counted, and named where no key opens them."""
    again: dict[str, bytes] = {}
    for column, sealed in secrets.items():
        result.secrets += 1
        if box.is_newest(sealed):
            continue
        try:
            again[column] = box.rotate(sealed)
        except SecretError:
            result.unreadable.append(f"{column} {where}")
    result.sealed += len(again)
    return again
