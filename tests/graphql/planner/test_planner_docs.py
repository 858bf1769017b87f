"""The worked example of docs/planner.md is what the planner really writes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from lead_orchestrator.graphql.planner.run import Planner
from lead_orchestrator.graphql.schema import make_schema
from lead_orchestrator.tenancy.sessions import Scope
from lead_orchestrator.tenancy.tokens import Role

PAGE = Path(__file__).parents[3] / "docs" / "planner.md"


class _Noting:
    statement = ""

    async def fetch(self, statement: str, values: Sequence[Any]) -> str | None:  # noqa: ARG002 - the protocol's signature
        self.statement = statement
        return "{}"


async def written(query: str) -> str:
    """The statement of `query` for an owner, one clause a line."""
    noting = _Noting()
    planner = Planner(make_schema(development=False)._schema, noting)  # noqa: SLF001 - what the app plans with
    await planner.answer(query, {"first": 2}, None, Scope(UUID(int=1), None, "user", Role.OWNER))
    return "\n".join(line.strip() for line in noting.statement.splitlines())


async def test_the_worked_example_is_true() -> None:
    text = PAGE.read_text()
    query, statement = (re.findall(rf"```{kind}\n(.*?)```", text, re.DOTALL)[0] for kind in ("graphql", "sql"))

    assert statement.strip() == (await written(query)).strip()


if __name__ == "__main__":
    text = PAGE.read_text()
    asked = re.findall(r"```graphql\n(.*?)```", text, re.DOTALL)[0]
    made = asyncio.run(written(asked))
    PAGE.write_text(re.sub(r"```sql\n.*?```", lambda _: f"```sql\n{made}\n```", text, count=1, flags=re.DOTALL))
