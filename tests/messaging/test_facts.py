from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from lead_orchestrator.messaging import repository
from lead_orchestrator.messaging.facts import gather
from tests.messaging.leads import make_lead
from tests.stack import Stack


@contextmanager
def statements() -> Iterator[list[str]]:
    """Those that are made meanwhile."""
    made: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        made.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield made
    finally:
        event.remove(Engine, "before_cursor_execute", note)


@pytest.mark.parametrize("number", [1, 10])
async def test_the_facts_of_a_batch_take_five_statements_however_large_it_is(stack: Stack, number: int) -> None:
    for _ in range(number):
        await make_lead(stack)

    async with stack.services.tenancy.write(stack.scope) as session:
        due = await repository.claim_due(session, 10)
        with statements() as made:
            gathered = await gather(session, due, stack.services.secrets)

    assert gathered is not None
    assert len(gathered.facts) == number
    assert len(made) == 5
