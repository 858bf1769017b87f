"""Asking the API as an administrator of the platform."""

from __future__ import annotations

from typing import Any

from lead_orchestrator.services import token_issuer
from lead_orchestrator.tenancy.tokens import Role
from tests.messaging.inbound.line import Line

__all__ = ["Asking"]


class Asking:
    """`asked` is the answer's one field."""

    def __init__(self, line: Line) -> None:
        issuer = token_issuer(line.stack.settings)
        self._token = issuer.issue(subject="user_admin", role=Role.PLATFORM_ADMIN, tenant_id=None, location_ids=None)
        self._http = line.http

    async def asked(self, document: str, **variables: Any) -> Any:
        headers = {"authorization": f"Bearer {self._token}"}
        answer = await self._http.post("/graphql", json={"query": document, "variables": variables}, headers=headers)
        read = answer.json()
        assert "errors" not in read, read
        [field] = read["data"].values()
        return field

    async def done(self, document: str, **variables: Any) -> Any:
        field = await self.asked(document, **variables)
        assert field["errors"] == [], field
        return field

    async def refused(self, document: str, **variables: Any) -> list[str]:
        """The codes of the payload's errors."""
        return [error["code"] for error in (await self.asked(document, **variables))["errors"]]
