"""Attacks one by one: what is asked, as whom, and whether anything came back or was changed."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar

from graphql import OperationType

from lead_orchestrator.ids import kind_of
from lead_orchestrator.tenancy.permissions import ADMINISTRATORS, operation_rule
from tests.graphql.cross_tenant import forging
from tests.graphql.cross_tenant.arena import Arena, Caller
from tests.graphql.cross_tenant.canaries import Fingerprint, texts_of
from tests.graphql.cross_tenant.documents import Document, Root, Writer, roots
from tests.graphql.cross_tenant.examples import EXAMPLES, Example
from tests.graphql.cross_tenant.forging import Forger, Pool, example_of
from tests.graphql.cross_tenant.sides import Side
from tests.graphql.server import Api

__all__ = ["STORED", "Fuzz", "Operation", "Watch", "administers", "ask", "batched", "operations"]

_T = TypeVar("_T")

AT_ONCE = 6
COPIES = 6
STORED = OperationType.QUERY, OperationType.MUTATION
WATCHED_EVERY = 40
SHOWN = 1500


@dataclass(frozen=True)
class Operation:
    """A root field with valid arguments of our franchise's hidden location."""

    root: Root
    example: Example
    arguments: Mapping[str, Any]

    @property
    def mutates(self) -> bool:
        return self.root.operation is OperationType.MUTATION

    @property
    def names_rows(self) -> bool:
        return any(kind_of(text) for text in texts_of(dict(self.arguments)))


def administers(root: Root) -> bool:
    """Whether an administrator may ask for the field."""
    return operation_rule(f"{root.operation.value.title()}.{root.name}") >= ADMINISTRATORS


async def operations(
    arena: Arena, *kinds: OperationType, only: Collection[str] = (), registered: Mapping[str, Example] = EXAMPLES
) -> Sequence[Operation]:
    """Every field of these roots, or those of these names; it does not matter which clone of the seed is asked."""
    side = arena.side(arena.seed.ours, arena.seed.ours.hidden)
    found = []
    for root in roots(arena.core, *kinds):
        if only and root.name not in only:
            continue
        example = example_of(root, registered)
        found.append(Operation(root, example, await side.resolved(example.arguments)))
    return found


async def ask(api: Api, token: str | None, text: str, variables: Mapping[str, Any]) -> Any:
    """The whole answer."""
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
    response = await api.http.post(
        "/graphql", content=json.dumps({"query": text, "variables": variables}), headers=headers
    )
    return response.json()


@dataclass(frozen=True)
class _Attack:
    """`led`: the first root field has the very arguments that are right for others."""

    caller: Caller
    operation: Operation
    api: Api
    document: Document
    variables: Mapping[str, Any]
    led: bool

    @property
    def entitled(self) -> bool:
        """Whether it is none: administrators administer all franchises."""
        return self.caller.administers and self.operation.mutates and administers(self.operation.root)


def batched(many: Iterable[_T], size: int) -> Iterator[Sequence[_T]]:
    """Them, so many at a time."""
    left = iter(many)
    while several := list(islice(left, size)):
        yield several


@dataclass
class Fuzz:
    """`problems` says what came back or changed, `figures` counts attempts by caller and kind of operation, `denied` those that
    were answered with nothing or with an error."""

    arena: Arena
    known: Sequence[Operation]
    seed: int
    problems: list[str] = field(default_factory=list)
    figures: Counter[tuple[str, str]] = field(default_factory=Counter)
    requests: int = 0
    denied: int = 0
    _documents: dict[str, Sequence[Document]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)  # noqa: S311 - attacks are to be repeated
        self._writer = Writer(self.arena.core, self.rng)

    @property
    def _ways(self) -> Sequence[Api]:
        return self.arena.planned, self.arena.plain

    @property
    def attempts(self) -> int:
        return sum(self.figures.values())

    async def run(self, callers: Sequence[Caller], pools: Mapping[str, tuple[Pool, Pool]], attempts: int) -> None:
        """Every operation as everybody with the very arguments that are right for others, beside forged ones where these do not
        keep it from being planned; then as chance has it, `attempts` in all."""
        watch = Watch(callers[0].victim, self.problems)
        await watch.begin()
        exact = (
            (caller, operation, api, document)
            for turn, caller in enumerate(callers)
            for number, operation in enumerate(self.known)
            for api, document in self._asked_by(operation, turn + number)
        )
        for several in batched(exact, AT_ONCE):
            forgers = [self._forger(pools[caller.name]) for caller, *_ in several]
            await self._attack([self._made(*one, f, led=True) for one, f in zip(several, forgers, strict=True)], watch)
        while self.attempts < attempts:
            some = [(self.rng.choice(callers), self.rng.choice(self.known)) for _ in range(AT_ONCE)]
            made = [
                self._made(
                    caller,
                    operation,
                    self.rng.choice(self._ways),
                    self.rng.choice(self.documents(operation)),
                    self._forger(pools[caller.name]),
                )
                for caller, operation in some
            ]
            await self._attack(made, watch)
        await watch.look("at the end")

    def told_by(self, caller: str) -> str:
        """How often this caller asked, by kind of operation."""
        kinds = [f"{kind} {number}" for (name, kind), number in sorted(self.figures.items()) if name == caller]
        return f"{caller}: {', '.join(kinds)}"

    def told(self) -> str:
        """The first of what was found."""
        return "\n\n".join(self.problems[:5])

    def documents(self, operation: Operation) -> Sequence[Document]:
        """The same ones for all attacks: the API keeps what it has found out about a document."""
        name = operation.root.name
        if name not in self._documents:
            self._documents[name] = self._writer.variants(operation.root, COPIES)
        return self._documents[name]

    def _asked_by(self, operation: Operation, turn: int) -> Sequence[tuple[Api, Document]]:
        """By plans and by resolvers; what changes something is never planned, and takes turns."""
        both = list(zip(self._ways, self.documents(operation)[:2], strict=True))
        return [both[turn % 2]] if operation.mutates else both

    def _forger(self, pools: tuple[Pool, Pool]) -> Forger:
        return Forger(self.arena.core, self.rng, *pools)

    def _made(
        self,
        caller: Caller,
        operation: Operation,
        api: Api,
        document: Document,
        forger: Forger,
        *,
        led: bool = False,
    ) -> _Attack:
        planned = api is self.arena.planned and not operation.mutates
        make = (forging.exact if planned else forger.led) if led else forger.forged
        return _Attack(caller, operation, api, document, make(document, operation.arguments), led)

    async def _attack(self, attacks: Sequence[_Attack], watch: Watch) -> None:
        """Queries at once, what changes something one by one: they would wait for each other. Whether anything was changed is
        looked at when all are answered, and then who did it. What strangers may have an effect by comes last."""
        allowed = [one for one in attacks if not one.entitled]
        open_to_all = [one for one in allowed if one.operation.mutates and one.operation.example.open_to_all]
        others = [one for one in allowed if one not in open_to_all]
        told = list(await asyncio.gather(*(self._asked(one) for one in others if not one.operation.mutates)))
        told += [await self._asked(one) for one in others if one.operation.mutates]
        if any(one.operation.mutates for one in others) or self._looks_due():
            changed = await watch.look("\n".join(told))
            for one in others if changed else ():
                if one.operation.mutates:
                    await watch.look(await self._asked(one))
        for one in open_to_all:
            await self._asked(one)
        if open_to_all:
            await watch.begin()

    def _looks_due(self) -> bool:
        return self.requests % WATCHED_EVERY < AT_ONCE

    async def _asked(self, attack: _Attack) -> str:
        """What was asked and answered, once it was seen whether anything of the victim's came back."""
        caller, operation, document, variables = attack.caller, attack.operation, attack.document, attack.variables
        answer = await ask(attack.api, caller.token(), document.text, variables)
        self.figures[caller.name, operation.root.operation.value] += document.copies
        self.denied += denials(answer, document.copies)
        self.requests += 1
        what = f"{operation.root.name} as {caller.name}"
        told = "\n".join(text[:SHOWN] for text in (what, document.text, json.dumps(variables), json.dumps(answer)))
        sent = frozenset(texts_of(variables))
        if operation.mutates:
            caller.secrets.forget(text for text in sent if kind_of(text) is None and not _is_key(text))
        self._note(f"{what} was told", caller.secrets.found(answer, sent), told)
        self._note(f"{what} broke something", _codes(answer, "INTERNAL"), told)
        if attack.led and operation.mutates and operation.names_rows and not operation.example.open_to_all:
            self._note(f"{what} was not refused", _unrefused(answer), told)
        return told

    def _note(self, what: str, found: Sequence[str], told: str) -> None:
        if found:
            self.problems.append(f"{what}: {'; '.join(sorted(set(found)))}\n{told}")


@dataclass
class Watch:
    """Whether the victim's rows are as they were; `effects` counts how often they were not."""

    victim: Side
    problems: list[str]
    before: dict[str, str] = field(default_factory=dict)
    effects: int = 0

    def __post_init__(self) -> None:
        self._fingerprint = Fingerprint(self.victim, shared=True)

    async def begin(self) -> None:
        self.before = await self._fingerprint.read()

    async def look(self, told: str) -> bool:
        """Whether anything has changed since; then it is a problem."""
        now = await self._fingerprint.read()
        changed = [table for table in now if now[table] != self.before.get(table)]
        if changed:
            self.problems.append(f"rows were changed in {', '.join(changed)}: {told}")
            self.before = now
            self.effects += 1
        return bool(changed)


def _is_key(text: str) -> bool:
    return len(text) == 36 and text.count("-") == 4


def _codes(answer: Any, code: str) -> list[str]:
    return [str(error) for error in answer.get("errors") or () if error.get("extensions", {}).get("code") == code]


def denials(answer: Any, copies: int) -> int:
    """How many of the root fields were answered with nothing, or with an error."""
    values = (answer.get("data") or {}).values()
    return copies - sum(bool(_of_payload(value)) for value in values)


def _of_payload(value: Any) -> Any:
    """What there is in an answer: of a page its edges, of a payload that has errors nothing."""
    if not isinstance(value, dict):
        return value
    return None if value.get("errors") else value.get("edges", True)


def _unrefused(answer: Any) -> list[str]:
    """The first root field of a mutation, if it did not say no."""
    payload = (answer.get("data") or {}).get("a0")
    return ["a0"] if isinstance(payload, dict) and not payload.get("errors") else []
