"""Each role, each operation of the schema: who may is not refused, who may not is, and nothing comes of it."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from graphql import OperationType

from lead_orchestrator.sandbox.seed import CLEAR_VIEW, SUN_SHADE
from lead_orchestrator.tenancy.permissions import ADMINISTRATORS, OPERATIONS, Who
from lead_orchestrator.tenancy.tokens import Role
from tests.graphql.cross_tenant.arena import Arena
from tests.graphql.cross_tenant.canaries import Fingerprint
from tests.graphql.cross_tenant.conftest import ABANDONED
from tests.graphql.cross_tenant.documents import SIZES, Writer
from tests.graphql.cross_tenant.forging import exact
from tests.graphql.cross_tenant.fuzz import STORED, Operation, ask, operations
from tests.graphql.subscriptions.client import connected

pytestmark = ABANDONED
PATIENCE = 30.0
SECRETS = [
    getattr(franchise, name)
    for franchise in (SUN_SHADE, CLEAR_VIEW)
    for name in ("shopmonkey_api_key", "shopmonkey_webhook_secret", "twilio_auth_token", "sendgrid_api_key")
]
"""What the franchises' accounts are opened with: nobody is told, whatever the role."""


async def callers(arena: Arena) -> Mapping[Role | None, str | None]:
    """Everybody of our franchise, who sees all of it; an administrator, and nobody."""
    staff = [(role, arena.token(arena.seed.ours, role)) for role in (Role.MANAGER, Role.AGENT)]
    return dict([*(await arena.rightful()).items(), *staff, (None, None)])


def refusal(role: Role | None, who: Who) -> str | None:
    """The code that the table means for this role; None where it may."""
    if role in who or None in who:
        return None
    if role is None:
        return "UNAUTHENTICATED"
    return "NOT_FOUND" if role is Role.PLATFORM_ADMIN and who - ADMINISTRATORS else "FORBIDDEN"


def name_of(operation: Operation) -> str:
    return f"{operation.root.operation.value.title()}.{operation.root.name}"


def codes(answer: Any) -> list[str]:
    return [error["extensions"]["code"] for error in answer.get("errors") or ()]


async def test_each_role_may_ask_for_what_the_table_says_and_a_refusal_has_no_effect(arena: Arena) -> None:
    writer, watch = Writer(arena.core, random.Random(1), SIZES[-1:]), Fingerprint(arena.side(arena.seed.ours))  # noqa: S311 - no secret
    known, everybody = await operations(arena, *STORED), await callers(arena)
    problems: list[str] = []
    asked = 0
    for refused in (True, False):  # what is allowed changes rows that the others' arguments name
        for operation in known:
            document = writer.write(operation.root, 0, 1)
            variables = exact(document, operation.arguments)
            before = await watch.read() if refused else {}
            for role, token in everybody.items():
                wanted = refusal(role, OPERATIONS[name_of(operation)])
                if (wanted is not None) != refused:
                    continue
                for api in [arena.planned] if operation.mutates else [arena.planned, arena.plain]:
                    answer = await ask(api, token, document.text, variables)
                    asked += 1
                    problems += problem(operation, role, wanted, answer)
            if refused and await watch.read() != before:
                problems.append(f"{name_of(operation)} was refused and changed something")

    assert not problems, "\n".join(problems)
    assert asked > len(known) * len(Role)


def problem(operation: Operation, role: Role | None, wanted: str | None, answer: Any) -> Sequence[str]:
    told = f"{name_of(operation)} as {role or 'nobody'}: {str(answer)[:300]}"
    if any(secret in str(answer) for secret in SECRETS):
        return [f"told a secret: {told}"]
    if wanted is None:
        return [f"refused {told}"] if "FORBIDDEN" in codes(answer) else []
    shown = [value for value in (answer.get("data") or {}).values() if value is not None]
    return [f"not refused as {wanted}: {told}"] if codes(answer) != [wanted] or shown else []


async def test_each_role_may_subscribe_to_what_the_table_says(arena: Arena) -> None:
    writer, problems = Writer(arena.core, random.Random(1)), []  # noqa: S311 - no secret
    for operation in await operations(arena, OperationType.SUBSCRIPTION):
        document = writer.write(operation.root, 0, 1)
        for role, token in (await callers(arena)).items():
            wanted = refusal(role, OPERATIONS[name_of(operation)])
            if token is None:
                continue  # has no socket
            async with connected(arena.address, token) as peer:
                await peer.subscribe("it", document.text, **exact(document, operation.arguments))
                await peer.say(type="ping")
                first = await peer.hear(PATIENCE)
            heard = first["payload"][0]["extensions"]["code"] if first["type"] == "error" else None
            if heard != wanted:
                problems.append(f"{name_of(operation)} as {role}: {heard} instead of {wanted}")

    assert not problems, "\n".join(problems)
