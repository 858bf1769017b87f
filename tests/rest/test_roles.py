"""Each role, each route: who may is let in, who may not is refused, and nothing comes of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import httpx
import pytest_asyncio

from lead_orchestrator.services import token_issuer
from lead_orchestrator.tenancy.permissions import ADMINISTRATORS, ROUTES
from lead_orchestrator.tenancy.tokens import Role
from tests.database import Cluster
from tests.serving import bearer, serving
from tests.stack import Stack, open_stack

NO_ROUTE = "Not Found"


@pytest_asyncio.fixture(scope="module")
async def stack(cluster: Cluster) -> AsyncIterator[Stack]:
    async with cluster.clone("routes") as database, open_stack(database, cluster.redis_url) as stack:
        yield stack


@pytest_asyncio.fixture(scope="module")
async def api(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(stack.settings) as api:
        yield api


def headers(stack: Stack) -> Mapping[Role | None, dict[str, str]]:
    administrator = token_issuer(stack.settings).issue(
        subject="tests", role=Role.PLATFORM_ADMIN, tenant_id=None, location_ids=None
    )
    held: dict[Role | None, dict[str, str]] = {
        role: bearer(stack, role) for role in Role if role is not Role.PLATFORM_ADMIN
    }
    return {**held, Role.PLATFORM_ADMIN: {"Authorization": f"Bearer {administrator}"}, None: {}}


async def asked(api: httpx.AsyncClient, name: str, header: Mapping[str, str]) -> httpx.Response:
    method, _, path = name.partition(" ")
    for part in ("{token}", "{key}", "{slug}", "{id}"):
        path = path.replace(part, "somebody")
    return await api.request("POST" if method == "*" else method, path, headers=dict(header), json={})


async def rows(stack: Stack) -> list[dict[str, object]]:
    return await stack.rows(
        "SELECT (SELECT count(*) FROM scheduled_messages) AS messages, (SELECT count(*) FROM users) AS users,"
        " (SELECT count(*) FROM sessions) AS sessions, (SELECT max(position) FROM tenant_heads) AS position"
    )


async def test_every_row_of_the_table_is_a_route(stack: Stack, api: httpx.AsyncClient) -> None:
    absent = []
    for name in ROUTES:
        answer = await asked(api, name, headers(stack)[Role.OWNER])
        missing = answer.status_code == 404 and NO_ROUTE in answer.text
        if missing or answer.status_code == 405:
            absent.append(name)

    assert not absent


async def test_each_role_may_call_what_the_table_says_and_a_refusal_has_no_effect(
    stack: Stack, api: httpx.AsyncClient
) -> None:
    before, problems, refused = await rows(stack), [], 0
    for name, rule in ROUTES.items():
        wanted = {role: header for role, header in headers(stack).items() if role not in rule.who and rule.who - {None}}
        for role, header in wanted.items():
            expected = (
                401 if role is None else 404 if role is Role.PLATFORM_ADMIN and rule.who - ADMINISTRATORS else 403
            )
            answer = await asked(api, name, header)
            refused += 1
            if answer.status_code != expected:
                problems.append(f"{name} as {role}: {answer.status_code} instead of {expected}")

    assert not problems, "\n".join(problems)
    assert refused
    assert await rows(stack) == before


async def test_whoever_may_is_not_refused(stack: Stack, api: httpx.AsyncClient) -> None:
    problems = []
    for name, rule in ROUTES.items():
        for role, header in headers(stack).items():
            if role is None or role not in rule.who or None in rule.who:
                continue
            answer = await asked(api, name, header)
            if answer.status_code in {401, 403}:
                problems.append(f"{name} as {role}: {answer.status_code}")

    assert not problems, "\n".join(problems)
