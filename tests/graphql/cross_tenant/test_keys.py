"""An idempotency key belongs to who brought it: with it nobody else learns what it made, nor is kept from making their own."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from typing import Any

import pytest
from graphql import GraphQLInputObjectType, OperationType, get_named_type

from lead_orchestrator.graphql.schema import core_schema
from lead_orchestrator.tenancy.tokens import Role
from tests.graphql.cross_tenant.arena import Arena
from tests.graphql.cross_tenant.canaries import Fingerprint, texts_of
from tests.graphql.cross_tenant.documents import Document, Root, Writer, roots
from tests.graphql.cross_tenant.forging import exact
from tests.graphql.cross_tenant.fuzz import Operation, ask, operations


def keyed(root: Root) -> bool:
    """Whether the operation takes an idempotency key, by itself or in its input."""
    kinds = [get_named_type(argument.type) for argument in root.definition.args.values()]
    inside = [name for kind in kinds if isinstance(kind, GraphQLInputObjectType) for name in kind.fields]
    return "idempotencyKey" in [*root.definition.args, *inside]


KEYED = [root.name for root in roots(core_schema(), OperationType.MUTATION) if keyed(root)]


MESSAGES = ["scheduleMessage", "sendMessage"]


def test_there_are_operations_with_keys() -> None:
    assert set(MESSAGES) <= set(KEYED)


@pytest.mark.parametrize("name", MESSAGES)
async def test_another_franchise_with_our_key_gets_nothing_of_our_answer(arena: Arena, name: str) -> None:
    operation, document = await _operation(arena, name)
    ours, theirs = arena.side(arena.seed.ours), arena.side(arena.seed.theirs)
    secrets, watch = await arena.secrets(ours), Fingerprint(ours)
    first = await _asked(arena, arena.token(arena.seed.ours, Role.OWNER), document, operation.arguments)
    made = _new_message(first)
    secrets.values.update(dict.fromkeys(texts_of(list(made)), "what the key made"))
    before = await watch.read()
    stranger = arena.token(arena.seed.theirs, Role.OWNER)

    copied = await _asked(arena, stranger, document, operation.arguments)
    own = await _asked(arena, stranger, document, _reworded(await theirs.resolved(operation.example.arguments)))

    assert made
    assert secrets.found(first)
    assert secrets.found(copied, frozenset(texts_of(dict(operation.arguments)))) == []
    assert _refused(copied)
    assert secrets.found(own) == []
    assert "Your car is ready" not in json.dumps(own)
    assert not _refused(own)
    assert await watch.read() == before


@pytest.mark.parametrize("name", MESSAGES)
@pytest.mark.parametrize("role", [Role.MANAGER, Role.AGENT])
async def test_a_colleague_with_our_key_makes_their_own_and_is_told_nothing_of_ours(
    arena: Arena, name: str, role: Role
) -> None:
    operation, document = await _operation(arena, name)
    first = await _asked(arena, arena.token(arena.seed.ours, Role.OWNER), document, operation.arguments)
    made = _new_message(first)
    everywhere = arena.token(arena.seed.ours, role, arena.seed.ours.seen, arena.seed.ours.hidden)
    elsewhere = arena.token(arena.seed.ours, role, arena.seed.ours.seen)

    colleague = await _asked(arena, everywhere, document, operation.arguments)
    blind = await _asked(arena, elsewhere, document, operation.arguments)

    assert made
    assert not _refused(colleague)
    assert _new_message(colleague)
    assert not made & set(texts_of(colleague)) - _before(operation)
    assert _refused(blind)
    assert not made & set(texts_of(blind))


@pytest.mark.parametrize("name", MESSAGES)
async def test_who_brought_the_key_gets_the_same_answer_again_and_not_for_something_else(
    arena: Arena, name: str
) -> None:
    operation, document = await _operation(arena, name)
    owner = arena.token(arena.seed.ours, Role.OWNER)

    first, again, other = [
        await _asked(arena, owner, document, arguments)
        for arguments in (operation.arguments, operation.arguments, _reworded(operation.arguments))
    ]

    assert _new_message(first) == _new_message(again) != set()
    assert "IDEMPOTENCY_KEY_REUSED" in json.dumps(other)
    assert not _new_message(other)


async def _operation(arena: Arena, name: str) -> tuple[Operation, Document]:
    [operation] = await operations(arena, OperationType.MUTATION, only=[name])
    return operation, Writer(arena.core, random.Random(1)).variants(operation.root, 1)[0]  # noqa: S311 - no secret


async def _asked(arena: Arena, token: str, document: Document, arguments: Mapping[str, Any]) -> Any:
    return await ask(arena.planned, token, document.text, exact(document, arguments))


def _reworded(arguments: Mapping[str, Any]) -> Any:
    """The same request with another text."""
    return json.loads(json.dumps(arguments).replace("Your car is ready", "Your truck is ready"))


def _before(operation: Operation) -> set[str]:
    """What the caller names himself may be told to him."""
    return set(texts_of(dict(operation.arguments)))


def _new_message(answer: Any) -> set[str]:
    """The ids of the messages that a mutation answered with."""
    payloads = [payload for payload in (answer.get("data") or {}).values() if isinstance(payload, dict)]
    messages = [payload["message"] for payload in payloads if payload.get("message")]
    return {message["id"] for message in messages}


def _refused(answer: Any) -> bool:
    payloads = [payload for payload in (answer.get("data") or {}).values() if isinstance(payload, dict)]
    return bool(answer.get("errors")) or any(payload.get("errors") for payload in payloads) or not payloads
