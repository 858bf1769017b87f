"""Attacks over sockets: what a caller is told while things happen to others."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from graphql import OperationType
from websockets.exceptions import ConnectionClosed

from lead_orchestrator.chat.entries import add_message, locked_chat
from lead_orchestrator.chat.models import ChatRole
from lead_orchestrator.ids import Kind
from lead_orchestrator.tenancy.sessions import Scope
from lead_orchestrator.tenancy.tokens import Role
from tests.graphql.cross_tenant import forging
from tests.graphql.cross_tenant.arena import Arena, Caller
from tests.graphql.cross_tenant.canaries import texts_of
from tests.graphql.cross_tenant.documents import Document, Writer
from tests.graphql.cross_tenant.examples import Column
from tests.graphql.cross_tenant.forging import Forger
from tests.graphql.cross_tenant.fuzz import Operation, operations
from tests.graphql.cross_tenant.pools import pools_of
from tests.graphql.cross_tenant.sides import Side
from tests.graphql.subscriptions.client import Peer, connected, opened

__all__ = ["PATIENCE", "Heard", "happen", "listen"]

AT_ONCE = 18
PATIENCE = 20.0
MARK = "mark"
OWN = "subscription { leadEvents { cursor kind } }"
KINDS = ("lead.noted", "appointment.noted")


@dataclass
class Heard:
    """`attempts` by field; `told` counts what the victim itself was told of the same events."""

    attempts: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    told: int = 0


@dataclass(frozen=True)
class _Asked:
    operation: Operation
    document: Document
    variables: Mapping[str, Any]


async def listen(arena: Arena, caller: Caller, *, seed: int, number: int = AT_ONCE) -> Heard:
    """Subscribe as `caller` so often, to everything, with the victim's arguments and forged ones, while things happen to both."""
    known = await operations(arena, OperationType.SUBSCRIPTION)
    rng, heard = random.Random(seed), Heard()  # noqa: S311 - attacks are to be repeated
    writer = Writer(arena.core, rng)
    forger = Forger(arena.core, rng, *(await pools_of(arena, [caller]))[caller.name])
    for _ in range(-(-number // AT_ONCE)):
        asked: dict[str, _Asked] = {}
        for turn in range(AT_ONCE):
            operation = known[turn % len(known)]
            document = writer.write(operation.root, turn, 1)
            make = forging.exact if turn < len(known) * 2 else forger.forged
            variables = make(document, operation.arguments)
            if turn < len(known):
                variables |= {
                    place.variable: "cmv_0" if operation.root.name == "chatEvents" else "lev_0"
                    for place in document.places
                    if place.of_root and place.name == "after"
                }
            asked[str(turn)] = _Asked(operation, document, variables)
            heard.attempts[operation.root.name] += 1
        await _round(arena, caller, asked, heard)
    return heard


async def _round(arena: Arena, caller: Caller, asked: Mapping[str, _Asked], heard: Heard) -> None:
    """Owners listen beside the caller: what they were told of, it was told of by then."""
    messages: list[dict[str, Any]] = []
    ours, theirs = (arena.token(franchise, Role.OWNER) for franchise in (arena.seed.ours, arena.seed.theirs))
    async with (
        connected(arena.address, ours) as owner,
        connected(arena.address, theirs) as other,
        opened(arena.address) as peer,
    ):
        for witness in (owner, other):
            await witness.subscribe(MARK, OWN)
        try:
            await _subscribe(peer, caller.token(), asked)
            await happen(arena, caller.victim)
            heard.told += len(await _until(owner, len(KINDS)))
            await happen(arena, caller.own)
            await _until(other if caller.own.tenant_id == arena.seed.theirs.tenant.id else owner, len(KINDS))
            messages += await _in_step(peer)
        except ConnectionClosed as closed:
            messages.append({"payload": closed.rcvd.reason if closed.rcvd else ""})
    for message in messages:
        about = asked.get(message.get("id", ""))
        sent = frozenset(texts_of(dict(about.variables))) if about else frozenset()
        payload = message.get("payload")
        within = {"errors": payload} if message.get("type") == "error" else payload
        if found := caller.secrets.found(within, sent):
            what = about.operation.root.name if about else "a socket"
            shown = json.dumps([about.variables if about else None, message])[:1500]
            heard.problems.append(f"{what} as {caller.name} was told: {'; '.join(sorted(set(found)))}\n{shown}")


async def _subscribe(peer: Peer, token: str | None, asked: Mapping[str, _Asked]) -> None:
    await peer.say(type="connection_init", payload={"Authorization": f"Bearer {token}"} if token else {})
    await peer.hear(PATIENCE)
    for key, one in asked.items():
        await peer.subscribe(key, one.document.text, **one.variables)


async def _until(witness: Peer, number: int) -> Sequence[dict[str, Any]]:
    """So many events that a witness is told of."""
    heard = [await witness.hear(PATIENCE) for _ in range(number)]
    assert all(message["type"] == "next" for message in heard), heard
    return heard


async def _in_step(peer: Peer) -> Sequence[dict[str, Any]]:
    """All that was said until the server answers to a second ping."""
    messages: list[dict[str, Any]] = []
    for _ in range(2):
        await peer.say(type="ping")
        while (message := await peer.hear(PATIENCE))["type"] != "pong":
            messages.append(message)
    return messages


async def happen(arena: Arena, side: Side) -> None:
    """An event of each kind at this side's place, and a message in each of its conversations, in transactions of their own."""
    place, lead = await _somebody(side)
    [name, *_] = await side.resolved([Column("leads", "first_name")])
    for chat in await side.ids(Kind.CHAT_SESSION):
        async with arena.services.tenancy.write(Scope.service(side.tenant_id, "tests")) as session:
            locked, _ = await locked_chat(session, UUID(chat.removeprefix("chat_")))
            await add_message(session, locked, ChatRole.ASSISTANT, f"Hello {name}")
    [appointment, *_] = await replace(side, location_id=place).ids(Kind.APPOINTMENT)
    for kind in KINDS:
        async with arena.services.tenancy.write(Scope.service(side.tenant_id, "tests")) as session:
            session.record(kind, location_id=place, lead_id=lead, detail={"appointmentId": appointment})


async def _somebody(side: Side) -> tuple[UUID, UUID]:
    rows = side.rows_of(side.schema.tables["leads"])
    row = await side.admin.fetchrow(f"SELECT location_id, id FROM leads WHERE {rows} ORDER BY id LIMIT 1")  # noqa: S608 - the tests' own names
    assert row is not None
    return row["location_id"], row["id"]
