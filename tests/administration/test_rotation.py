"""Secrets are sealed again while everything runs, whatever stops it, and none is forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio
from sqlalchemy import text

from lead_orchestrator.administration.rotation import SEALED, rotate
from lead_orchestrator.db import Engines
from lead_orchestrator.tenancy.lookups import Lookups
from lead_orchestrator.tenancy.secrets import SecretBox, SecretError, generate_key
from lead_orchestrator.tenancy.sessions import Scope, Tenancy, WriteSession
from tests.database import Cluster, TestDatabase
from tests.factories import MadeTenant, make_tenant

HASHES = {
    ("appointments", "manage_nonce"),
    ("audit_log", "digest"),
    ("audit_log", "hash"),
    ("audit_log", "salt"),
    ("chat_sessions", "code_hash"),
    ("chat_sessions", "visitor_nonce"),
    ("google_credentials", "consent_hash"),
    ("idempotency_keys", "request_hash"),
    ("invitations", "nonce"),
    ("onboardings", "request_hash"),
    ("opt_outs", "address_hash"),
    ("platform_users", "link_nonce"),
    ("sessions", "refresh_hash"),
    ("tenant_heads", "audit_hash"),
}
"""Columns of bytes from which nothing can be read: hashes, and random numbers that are no key by themselves."""
MESSAGING = {"twilioAuthToken": "twilio-1", "sendgridApiKey": "sendgrid-1", "whatsappAccessToken": "whatsapp-1"}
FIELDS = {
    "tenant_crm_configs": {"api_key": "shopmonkey_api_key", "webhook_secret": "shopmonkey_webhook_secret"},
    "tenant_messaging_configs": {name: name for name in SEALED["tenant_messaging_configs"]},
}


@dataclass(frozen=True)
class Sealed:
    """Franchises whose secrets were sealed with the `old` key; `both` opens and seals as processes with the new one do."""

    tenancy: Tenancy
    lookups: Lookups
    tenants: list[MadeTenant]
    old: SecretBox
    both: SecretBox
    new: SecretBox

    async def opened(self, tenant: MadeTenant, box: SecretBox) -> Mapping[str, str]:
        """What each secret of the franchise says."""
        found: dict[str, str] = {}
        async with self.tenancy.read(tenant.scope) as session:
            for table, columns in FIELDS.items():
                row = (await session.execute(text(f"SELECT * FROM {table}"))).mappings().one()  # noqa: S608 - names of this file
                found |= {name: box.open(tenant.id, name, row[column]) for column, name in columns.items()}
        return found

    async def change(self, tenant: MadeTenant, box: SecretBox, secret: str) -> None:
        """Another ShopMonkey key, from a process that seals with `box`."""
        async with self.tenancy.write(tenant.scope) as session:
            sealed = box.seal(tenant.id, "shopmonkey_api_key", secret)
            await session.execute(text("UPDATE tenant_crm_configs SET api_key = :sealed"), {"sealed": sealed})


class Some(Lookups):
    """As if there were no franchises but these."""

    def __init__(self, engines: Engines, tenants: Sequence[MadeTenant]) -> None:
        super().__init__(engines.app)
        self._some = [tenant.id for tenant in tenants]

    async def tenants(self) -> Sequence[UUID]:
        return [tenant for tenant in await super().tenants() if tenant in self._some]


@pytest_asyncio.fixture(scope="module")
async def database(cluster: Cluster) -> AsyncIterator[TestDatabase]:
    async with cluster.clone("rotation") as database:
        yield database


@pytest_asyncio.fixture
async def sealed(database: TestDatabase) -> AsyncIterator[Sealed]:
    """Franchises and keys of this test's own, and no administrator."""
    urls = database.urls
    engines = Engines.open(urls.app, urls.visitor, urls.platform, size=5)
    tenancy, keys = Tenancy(engines), [generate_key(), generate_key()]
    old = SecretBox(keys[1:])
    tenants = [await make_tenant(tenancy, old, messaging=MESSAGING) for _ in range(6)]
    async with tenancy.platform() as session:
        await session.execute(text("UPDATE platform_users SET totp_secret = NULL"))
    yield Sealed(tenancy, Some(engines, tenants), tenants, old, SecretBox(keys), SecretBox(keys[:1]))
    await engines.dispose()


async def test_every_column_of_bytes_is_sealed_or_says_nothing(database: TestDatabase) -> None:
    admin = await asyncpg.connect(database.admin_url)
    rows = await admin.fetch(
        "SELECT table_name::text, column_name::text FROM information_schema.columns"
        " WHERE table_schema = 'public' AND data_type = 'bytea'"
    )
    await admin.close()
    stored = {tuple(row) for row in rows}

    sealed = {(table, column) for table, columns in SEALED.items() for column in columns}
    sealed.add(("platform_users", "totp_secret"))
    assert stored - sealed - HASHES == set(), "is it a secret? then name it in SEALED, so that it is sealed again"
    assert sealed - stored == set()


async def test_all_secrets_are_sealed_again_while_others_read_and_write(sealed: Sealed) -> None:
    said = [await sealed.opened(tenant, sealed.old) for tenant in sealed.tenants]
    nobody = UUID(int=0)
    async with sealed.tenancy.platform() as session:
        made = text("INSERT INTO platform_users (email, totp_secret) VALUES ('root@example.com', :sealed)")
        await session.execute(made, {"sealed": sealed.old.seal(nobody, "totp_secret", "administrator")})
    *resting, busy = sealed.tenants
    stop, changes = asyncio.Event(), 0

    async def read() -> None:
        while not stop.is_set():
            for tenant, known in zip(resting, said, strict=False):
                assert await sealed.opened(tenant, sealed.both) == known

    async def write() -> None:
        nonlocal changes
        while not stop.is_set():
            changes += 1
            await sealed.change(busy, sealed.both, f"key-{changes}")

    others = [asyncio.create_task(work()) for work in (read, read, write)]
    try:
        result = await rotate(sealed.tenancy, sealed.lookups, sealed.both)
    finally:
        stop.set()
        await asyncio.gather(*others)

    assert (result.tenants, result.secrets, result.unreadable) == (6, 31, [])
    assert 26 <= result.sealed <= 31
    async with sealed.tenancy.platform() as session:
        totp = await session.scalar(text("SELECT totp_secret FROM platform_users"))
    assert sealed.new.open(nobody, "totp_secret", totp) == "administrator"
    assert changes
    assert [await sealed.opened(tenant, sealed.new) for tenant in resting] == said[:-1]
    assert (await sealed.opened(busy, sealed.new))["shopmonkey_api_key"] == f"key-{changes}"
    assert (await rotate(sealed.tenancy, sealed.lookups, sealed.both)).sealed == 0


async def test_what_a_process_with_the_old_keys_writes_meanwhile_is_found_by_looking_again(sealed: Sealed) -> None:
    seen = 0

    class Late(Some):
        """Twice, when the last franchise is being looked at, the first one gets a key from such a process."""

        async def tenants(self) -> Sequence[UUID]:
            nonlocal seen
            seen += 1
            if 1 < seen < 4:
                await sealed.change(sealed.tenants[0], sealed.old, f"late-{seen}")
            return await super().tenants()

    await rotate(sealed.tenancy, Late(sealed.tenancy.engines, sealed.tenants), sealed.both)

    assert seen > 3

    for tenant in sealed.tenants:
        await sealed.opened(tenant, sealed.new)


class KilledError(BaseException):
    """The process ends here."""


class Dying(Tenancy):
    """Sessions of a process that is killed before the commit of its `moment`-th transaction."""

    def __init__(self, tenancy: Tenancy, moment: int) -> None:
        super().__init__(tenancy.engines)
        self._left = moment

    @asynccontextmanager
    async def write(self, scope: Scope) -> AsyncIterator[WriteSession]:
        async with super().write(scope) as session:
            yield session
            self._left -= 1
            if self._left < 0:
                raise KilledError


async def test_stopped_anywhere_it_goes_on(sealed: Sealed) -> None:
    said = [await sealed.opened(tenant, sealed.old) for tenant in sealed.tenants]
    with pytest.raises(KilledError):
        await rotate(Dying(sealed.tenancy, 8), sealed.lookups, sealed.both)
    with pytest.raises(SecretError):
        await sealed.opened(sealed.tenants[-1], sealed.new)

    result = await rotate(sealed.tenancy, sealed.lookups, sealed.both)

    assert 0 < result.sealed < result.secrets == 30
    assert [await sealed.opened(tenant, sealed.new) for tenant in sealed.tenants] == said


async def test_a_secret_that_no_key_opens_is_named_and_stops_nobody(sealed: Sealed) -> None:
    lost = sealed.tenants[2]
    await sealed.change(lost, SecretBox([generate_key()]), "lost")

    result = await rotate(sealed.tenancy, sealed.lookups, sealed.both)

    assert result.unreadable == [f"api_key in tenant_crm_configs of tenant_{lost.id}"]
    for tenant in sealed.tenants:
        if tenant is not lost:
            await sealed.opened(tenant, sealed.new)
