"""Mutations that the planner answers: what dashboards do most. All others take the ordinary way, and so do their errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lead_orchestrator.graphql.planner.declare import Arguments, Payload, Root
from lead_orchestrator.graphql.planner.select import UnplannedError
from lead_orchestrator.ids import Kind, decode
from lead_orchestrator.leads.standing import set_status_directly
from lead_orchestrator.tenancy.tokens import Role
from lead_orchestrator.tenancy.writer import DirectSession

__all__ = ["ROOTS"]


def _read_status(arguments: Mapping[str, Any]) -> Arguments:
    """The change of a status and of nothing else."""
    given = arguments["input"]
    if set(given) != {"id", "status"} or given["status"] is None:
        raise UnplannedError("updateLead of more than the status")
    return Arguments(None, {"id": decode(Kind.LEAD, given["id"], field="id"), "status": given["status"]})


async def _set_status(session: DirectSession, values: Mapping[str, Any]) -> None:
    await set_status_directly(session, values["id"], values["status"])


ROOTS: dict[str, Root] = {
    "updateLead": Root(
        Role.AGENT,
        read=_read_status,
        by=lambda row, _shape, bind: row.c.id == bind("id"),
        entities=frozenset({"Lead"}),
        payload=Payload("LeadPayload", "lead", _set_status),
    ),
}
