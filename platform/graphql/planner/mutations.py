"""Mutations that the planner answers: what dashboards do most. All others take the ordinary way, and so do their errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Boolean, ColumnElement, Uuid, cast, func

from lead_orchestrator.graphql.planner.declare import Arguments, Bind, Payload, Root, Row
from lead_orchestrator.graphql.planner.select import UnplannedError
from lead_orchestrator.ids import Kind, decode
from lead_orchestrator.leads.standing import chosen
from lead_orchestrator.tenancy.source import SOURCE

__all__ = ["ROOTS"]


def _read_status(arguments: Mapping[str, Any]) -> Arguments:
    """The change of a status and of nothing else."""
    given = arguments["input"]
    if set(given) != {"id", "status"} or given["status"] is None:
        raise UnplannedError("updateLead of more than the status")
    return Arguments(
        None, {"id": decode(Kind.LEAD, given["id"], field="id"), **chosen(given["status"]), "source": SOURCE.get()}
    )


def _set_status(scope: Row, bind: Bind) -> ColumnElement[bool]:
    tenant = cast(scope.c.tenant_id, Uuid())
    told = [bind(name) for name in ("id", "status", "answers", "books", "ending", "source")]
    return func.set_lead_status(tenant, *told, type_=Boolean())


ROOTS: dict[str, Root] = {
    "updateLead": Root(
        read=_read_status,
        by=lambda row, _shape, bind: row.c.id == bind("id"),
        entities=frozenset({"Lead"}),
        payload=Payload("LeadPayload", "lead", _set_status),
    ),
}
