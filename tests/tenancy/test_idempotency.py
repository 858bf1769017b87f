"""A key makes a request count once, whatever comes in between."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.tenancy.idempotency import LONGEST_KEY, KeyReusedError, Once, once
from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.sessions import Scope, Tenancy
from tests.factories import MadeTenant, make_tenant

REQUEST: dict[str, object] = {"leadId": "lead_1", "body": "hello"}


class Work:
    """Makes something new each time it is done, as slowly as it is told to."""

    def __init__(self) -> None:
        self.made: list[UUID] = []
        self.started, self.may_end = asyncio.Event(), asyncio.Event()
        self.may_end.set()

    async def __call__(self) -> UUID:
        self.started.set()
        await self.may_end.wait()
        self.made.append(uuid4())
        return self.made[-1]


@pytest_asyncio.fixture
async def tenant(tenancy: Tenancy, secret_box: SecretBox) -> MadeTenant:
    return await make_tenant(tenancy, secret_box)


@pytest.fixture
def work() -> Work:
    return Work()


async def ask(
    tenancy: Tenancy,
    scope: Scope,
    work: Work,
    key: str = "k",
    request: dict[str, object] = REQUEST,
    operation: str = "send",
    subject: str | None = None,
) -> Once:
    async with tenancy.write(scope) as session:
        return await once(session, operation, key, request, work, subject=subject)


async def test_the_same_request_is_answered_with_what_it_made(tenancy: Tenancy, tenant: MadeTenant, work: Work) -> None:
    first = await ask(tenancy, tenant.scope, work)
    second = await ask(tenancy, tenant.scope, work, request={"body": "hello", "leadId": "lead_1"})

    assert work.made == [first.result_id]
    assert second == Once(first.result_id, again=True)


async def test_another_request_with_the_key_is_refused_and_not_done(
    tenancy: Tenancy, tenant: MadeTenant, work: Work
) -> None:
    await ask(tenancy, tenant.scope, work)

    with pytest.raises(KeyReusedError, match="another request") as refused:
        await ask(tenancy, tenant.scope, work, request={**REQUEST, "body": "other"})

    assert (refused.value.code, refused.value.field) == ("IDEMPOTENCY_KEY_REUSED", ("idempotencyKey",))
    assert len(work.made) == 1


async def test_a_key_belongs_to_one_tenant_subject_and_operation(
    tenancy: Tenancy, secret_box: SecretBox, tenant: MadeTenant, work: Work
) -> None:
    other = await make_tenant(tenancy, secret_box)
    await ask(tenancy, tenant.scope, work)
    await ask(tenancy, other.scope, work)
    await ask(tenancy, tenant.scope, work, operation="schedule")
    await ask(tenancy, tenant.scope, work, subject="user_2")
    await ask(tenancy, tenant.scope, work, key="k2")

    assert len(set(work.made)) == 5


async def test_what_was_undone_may_be_asked_for_again(tenancy: Tenancy, tenant: MadeTenant, work: Work) -> None:
    async def fail() -> UUID:
        raise BadInputError("no")

    async with tenancy.write(tenant.scope) as session:
        with pytest.raises(BadInputError):
            async with session.attempt():
                await once(session, "send", "k", REQUEST, fail)

    assert (await ask(tenancy, tenant.scope, work, request={"other": 1})).result_id == work.made[0]


async def test_two_at_once_do_it_once(tenancy: Tenancy, tenant: MadeTenant, work: Work) -> None:
    work.may_end.clear()
    first = asyncio.create_task(ask(tenancy, tenant.scope, work))
    await work.started.wait()
    second = asyncio.create_task(ask(tenancy, tenant.scope, work))
    done, _ = await asyncio.wait([second], timeout=0.2)
    work.may_end.set()

    assert not done, "the second did not wait for the first"
    assert {await first, await second} == {Once(work.made[0], again=False), Once(work.made[0], again=True)}
    assert len(work.made) == 1


@pytest.mark.parametrize("key", ["", "  ", "k" * (LONGEST_KEY + 1)])
async def test_a_key_that_is_none_is_refused(tenancy: Tenancy, tenant: MadeTenant, work: Work, key: str) -> None:
    with pytest.raises(BadInputError, match="1 to 200") as refused:
        await ask(tenancy, tenant.scope, work, key=key)

    assert refused.value.field == ("idempotencyKey",)
    assert work.made == []
