"""The demo's people: one may sign in at once, by a password that everybody knows."""

from __future__ import annotations

from uuid import UUID

import httpx

from lead_orchestrator.errors import AppError, BadInputError
from lead_orchestrator.services import Services
from lead_orchestrator.tenancy.sessions import Scope
from lead_orchestrator.tenancy.tokens import Role

__all__ = ["PASSWORD", "STAFF", "hire", "sign_in"]

PASSWORD = "tinted-glass-keeps-7-cars-cool"  # noqa: S105  # a sample, of the demo alone
STAFF = {Role.MANAGER: "manager@sunshade.example.com", Role.AGENT: "agent@sunshade.example.com"}
"""Neither needs a second factor."""


async def hire(services: Services, tenant_id: UUID) -> None:
    """Accounts for `STAFF`; those there are stay as they are."""
    for role, email in STAFF.items():
        try:
            async with services.tenancy.write(Scope.service(tenant_id, "demo")) as session:
                invited = await services.people.staff.invite(
                    session, email=email, name=f"Demo {role.value.title()}", role=role, mail=False
                )
        except BadInputError:
            continue
        await services.people.links.redeem(invited.url.rpartition("/")[2], PASSWORD)


async def sign_in(api: str) -> str:
    """Sign in as the manager, as a browser does; the access token, which the api takes.

    Raises:
        AppError: it does not work.
    """
    async with httpx.AsyncClient(base_url=api, timeout=20) as http:
        given = {"email": STAFF[Role.MANAGER], "password": PASSWORD}
        answer = await http.post("/auth/sign-in", json=given)
        if answer.status_code != httpx.codes.OK:
            raise AppError(f"signing in answered {answer.status_code}")
        token: str = answer.json()["accessToken"]
        refreshed = await http.post("/auth/refresh")
        viewer = await http.post(
            "/graphql", json={"query": "{ viewer { role } }"}, headers={"Authorization": f"Bearer {token}"}
        )
    if refreshed.status_code != httpx.codes.OK or viewer.json().get("data") != {"viewer": {"role": "MANAGER"}}:
        raise AppError("who signed in is not taken for the manager, or cannot refresh")
    return token
