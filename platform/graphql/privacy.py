"""What a person may ask for: all that is held about them, and that it is erased."""

from __future__ import annotations

import strawberry

from lead_orchestrator.graphql.connections import UserError
from lead_orchestrator.graphql.context import Request
from lead_orchestrator.graphql.payloads import answer
from lead_orchestrator.graphql.scalars import JSON
from lead_orchestrator.ids import Kind, decode
from lead_orchestrator.leads.service import locked
from lead_orchestrator.privacy import service
from lead_orchestrator.tenancy.sessions import WriteSession

__all__ = ["PrivacyMutations"]


@strawberry.type
class EraseLeadPayload:
    erased: bool
    errors: list[UserError]

    @classmethod
    def of(cls, erased: bool | None, errors: list[UserError]) -> EraseLeadPayload:
        return cls(erased=bool(erased), errors=errors)


@strawberry.type
class PrivacyMutations:
    @strawberry.mutation
    async def export_lead(self, info: Request, lead_id: strawberry.ID) -> JSON:
        """All that is held about a lead, by table: for the person who asks for it."""
        async with info.context.writing() as session:
            lead = await locked(session, decode(Kind.LEAD, lead_id, field="leadId"))
            return JSON(await service.export(session, lead))

    @strawberry.mutation
    async def erase_lead(self, info: Request, lead_id: strawberry.ID) -> EraseLeadPayload:
        """Delete a lead and everything about it, for good; a keyed hash of its addresses stays, so that nobody writes to them
        again. With an appointment ahead it is refused: cancel that first."""

        async def work(session: WriteSession) -> bool:
            await service.erase(session, info.context.services.leads, decode(Kind.LEAD, lead_id, field="leadId"))
            return True

        return await answer(info, work, EraseLeadPayload.of)
