"""Attacks one by one: what is asked, as whom, and whether anything came back or was changed."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

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

__all__ = ["STORED", "Fuzz", "Operation", "administers", "ask", "operations"]

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


@dataclass
class Fuzz:
    """`problems` says what came back or changed, `figures` counts attempts by caller and kind of operation."""

    arena: Arena
    known: Sequence[Operation]
    seed: int
    problems: list[str] = field(default_factory=list)
    figures: Counter[tuple[str, str]] = field(default_factory=Counter)
    requests: int = 0
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
        """Every operation as everybody with the very arguments that are right for others, then `attempts` in all with forged ones."""
        watch = _Watch(callers[0].victim, self.problems)
        await watch.begin()
        for caller in callers:
            for operation in self.known:
                for api, document in zip(self._ways, self.documents(operation)[:2], strict=True):
                    forger = self._forger(pools[caller.name])
                    await self._attack(api, caller, operation, document, forger, watch, exact=True)
        while self.attempts < attempts:
            caller, operation = self.rng.choice(callers), self.rng.choice(self.known)
            document = self.rng.choice(self.documents(operation))
            api, forger = self.rng.choice(self._ways), self._forger(pools[caller.name])
            await self._attack(api, caller, operation, document, forger, watch)
        await watch.look("at the end")

    def report(self) -> str:
        rows = [f"  {caller:38} {kind:9} {number:6}" for (caller, kind), number in sorted(self.figures.items())]
        leaks = f"{self.attempts} attempts (seed {self.seed}), {len(self.problems)} that told or changed anything:"
        return "\n".join([leaks, *rows])

    def told(self) -> str:
        """The first of what was found."""
        return "\n\n".join(self.problems[:5])

    def documents(self, operation: Operation) -> Sequence[Document]:
        """The same ones for all attacks: the API keeps what it has found out about a document."""
        name = operation.root.name
        if name not in self._documents:
            self._documents[name] = self._writer.variants(operation.root, COPIES)
        return self._documents[name]

    def _forger(self, pools: tuple[Pool, Pool]) -> Forger:
        return Forger(self.arena.core, self.rng, *pools)

    async def _attack(
        self,
        api: Api,
        caller: Caller,
        operation: Operation,
        document: Document,
        forger: Forger,
        watch: _Watch,
        *,
        exact: bool = False,
    ) -> None:
        entitled = caller.administers and administers(operation.root)
        if entitled and operation.mutates:
            return
        make = forging.exact if exact else forger.forged
        variables = make(document, operation.arguments)
        answer = await ask(api, caller.token(), document.text, variables)
        self.figures[caller.name, operation.root.operation.value] += document.copies
        self.requests += 1
        what = f"{operation.root.name} as {caller.name}"
        told = "\n".join(text[:SHOWN] for text in (document.text, json.dumps(variables), json.dumps(answer)))
        sent = frozenset(texts_of(variables))
        if operation.mutates:
            caller.secrets.forget(text for text in sent if kind_of(text) is None and not _is_key(text))
        self._note(f"{what} was told", caller.secrets.found(answer, sent), told)
        self._note(f"{what} broke something", _codes(answer, "INTERNAL"), told)
        if exact and operation.mutates and operation.names_rows and not operation.example.open_to_all:
            self._note(f"{what} was not refused", _unrefused(answer), told)
        if operation.mutates and operation.example.open_to_all:
            await watch.begin()
        elif operation.mutates or self.requests % WATCHED_EVERY == 0:
            await watch.look(told)

    def _note(self, what: str, found: Sequence[str], told: str) -> None:
        if found:
            self.problems.append(f"{what}: {'; '.join(sorted(set(found)))}\n{told}")


@dataclass
class _Watch:
    """Whether the victim's rows are as they were."""

    victim: Side
    problems: list[str]
    before: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._fingerprint = Fingerprint(self.victim, shared=True)

    async def begin(self) -> None:
        self.before = await self._fingerprint.read()

    async def look(self, told: str) -> None:
        now = await self._fingerprint.read()
        changed = [table for table in now if now[table] != self.before.get(table)]
        if changed:
            self.problems.append(f"rows were changed in {', '.join(changed)}: {told}")
            self.before = now


def _is_key(text: str) -> bool:
    return len(text) == 36 and text.count("-") == 4


def _codes(answer: Any, code: str) -> list[str]:
    return [str(error) for error in answer.get("errors") or () if error.get("extensions", {}).get("code") == code]


def _unrefused(answer: Any) -> list[str]:
    """The root fields of a mutation that did not say no."""
    data = answer.get("data") or {}
    return [name for name, payload in data.items() if isinstance(payload, dict) and not payload.get("errors")]
