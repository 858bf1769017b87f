"""The positive twin of every attack: with the same arguments the operation works for whom it belongs to."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.graphql.cross_tenant.arena import Arena
from tests.graphql.cross_tenant.canaries import Fingerprint
from tests.graphql.cross_tenant.documents import Document, Writer
from tests.graphql.cross_tenant.forging import exact
from tests.graphql.cross_tenant.fuzz import Operation, ask

__all__ = ["Tried", "tried"]

ADVICE = (
    "{name} has no positive twin: with its example it shows nothing of the franchise and changes nothing.\n"
    "Give it valid arguments in EXAMPLES of tests/graphql/cross_tenant/examples.py. It was asked\n{asked}\nand answered\n{answers}"
)


@dataclass(frozen=True)
class Tried:
    """`refused` says why nobody whom it belongs to could do it; None when somebody could, by every way there is to ask, the last
    time with `token` and `variables`."""

    refused: str | None
    token: str = ""
    variables: Mapping[str, Any] | None = None


async def tried(arena: Arena, operation: Operation) -> Tried:
    """As everybody in turn who is one of them the right one."""
    writer = Writer(arena.core, random.Random(1))  # noqa: S311 - no secret
    last = Tried("")
    for document in writer.variants(operation.root, 1)[: 1 if operation.mutates else None]:
        last = await _tried(arena, operation, document)
        if last.refused is None:
            break
    return last


async def _tried(arena: Arena, operation: Operation, document: Document) -> Tried:
    side = arena.side(arena.seed.ours)
    canaries, watch = await arena.secrets(side), Fingerprint(side)
    variables, worked = exact(document, operation.arguments), Tried("")
    for api in [arena.planned] if operation.mutates else [arena.planned, arena.plain]:
        before = await watch.read()
        answers = []
        for role, token in (await arena.rightful()).items():
            answer = await ask(api, token, document.text, variables)
            answers.append(f"{role.value}: {json.dumps(answer)}")
            works = operation.example.wordless or canaries.found(answer) or await watch.read() != before
            if works and not _errors(answer, withheld=bool(operation.example.withheld)):
                worked = Tried(None, token, variables)
                break
        else:
            asked = f"{document.text}\n{json.dumps(variables)}"
            return Tried(ADVICE.format(name=operation.root.name, asked=asked, answers="\n".join(answers)))
    return worked


def _errors(answer: Any, *, withheld: bool) -> list[Any]:
    payloads = [value for value in (answer.get("data") or {}).values() if isinstance(value, dict)]
    refused = [error for error in answer.get("errors", ()) if not (withheld and _is_below(error))]
    return [*refused, *(error for payload in payloads for error in payload.get("errors") or ())]


def _is_below(error: Any) -> bool:
    """Whether a field of the answer was refused, not the operation."""
    return len(error["path"]) > 1 and error["extensions"]["code"] == "FORBIDDEN"
