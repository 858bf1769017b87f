"""What a location asks on its survey page."""

from __future__ import annotations

import strawberry

from lead_orchestrator.errors import AppError
from lead_orchestrator.graphql.catalog.types import LocationPayload
from lead_orchestrator.graphql.connections import UserError
from lead_orchestrator.graphql.context import Request
from lead_orchestrator.graphql.scalars import JSON
from lead_orchestrator.graphql.tenant_types import Location
from lead_orchestrator.ids import Kind, decode
from lead_orchestrator.leads.surveys.definition import SurveyError
from lead_orchestrator.leads.surveys.service import set_survey

__all__ = ["SurveyMutations"]


@strawberry.type
class SurveyMutations:
    @strawberry.mutation
    async def set_survey(self, info: Request, location_id: strawberry.ID, definition: JSON) -> LocationPayload:
        """Make this the location's survey, as its next version; everything that is wrong with it is said at once. Answers
        that are under way are taken in the version that was asked. docs/rest.md says what a survey is made of."""
        try:
            async with info.context.writing() as session:
                key = decode(Kind.LOCATION, location_id, field="locationId")
                location = await set_survey(session, key, definition)
        except SurveyError as error:
            return LocationPayload(location=None, errors=[UserError.of(problem) for problem in error.problems])
        except AppError as error:
            return LocationPayload(location=None, errors=[UserError.of(error)])
        return LocationPayload(location=Location.of(location), errors=[])
