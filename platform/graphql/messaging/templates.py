"""Templates of messages: what one would say, and putting a new version in force."""

from __future__ import annotations

import strawberry

from lead_orchestrator.errors import AppError, BadInputError, UnavailableError
from lead_orchestrator.graphql.connections import UserError
from lead_orchestrator.graphql.context import Request
from lead_orchestrator.graphql.enums import Channel, MessageKind
from lead_orchestrator.ids import Kind, decode
from lead_orchestrator.leads import models
from lead_orchestrator.messaging.preview import Draft, Preview, preview
from lead_orchestrator.messaging.templates.models import TemplateVariant
from lead_orchestrator.messaging.templates.service import TemplateChange, TemplateError, set_template
from lead_orchestrator.tenancy.links import LinkSigner

__all__ = ["TemplateMutations", "TemplateQueries"]

strawberry.enum(TemplateVariant)


@strawberry.type
class TemplatePreview:
    """What a template says. `segments` (how many texts are paid for) and `encoding` (GSM-7 or UCS-2) are for SMS, `html` is for
    mails. An unknown variable is shown as it was written."""

    subject: str | None
    text: str
    html: str | None
    segments: int | None
    encoding: str | None
    unknown_variables: list[str]

    @classmethod
    def of(cls, shown: Preview) -> TemplatePreview:
        return cls(
            subject=shown.subject,
            text=shown.text,
            html=shown.html,
            segments=shown.segments,
            encoding=shown.encoding,
            unknown_variables=shown.unknown_variables,
        )


@strawberry.input
class PreviewTemplateInput:
    """For a lead, else for anybody at a location, else at the franchise's first one."""

    channel: Channel
    body: str
    subject: str | None = None
    lead_id: strawberry.ID | None = None
    location_id: strawberry.ID | None = None

    def draft(self) -> Draft:
        lead = decode(Kind.LEAD, self.lead_id, field="leadId") if self.lead_id is not None else None
        place = decode(Kind.LOCATION, self.location_id, field="locationId") if self.location_id is not None else None
        return Draft(self.channel, self.subject, self.body, lead, place)


@strawberry.input
class MessageTemplateInput:
    """Without a location it is the franchise's, for every location that has none of its own. `variant` is what it is for within
    its kind: a CONFIRMATION may be of a new time or of an end, a REPLY to STOP, START or HELP."""

    kind: MessageKind
    channel: Channel
    body: str
    subject: str | None = None
    location_id: strawberry.ID | None = None
    variant: TemplateVariant = TemplateVariant.STANDARD

    def change(self) -> TemplateChange:
        place = decode(Kind.LOCATION, self.location_id, field="locationId") if self.location_id is not None else None
        if self.kind is MessageKind.INBOUND:
            raise BadInputError("kind is INBOUND: what comes in has no template", field=("kind",))
        return TemplateChange(place, models.MessageKind(self.kind), self.variant, self.channel, self.subject, self.body)


@strawberry.type
class MessageTemplatePayload:
    preview: TemplatePreview | None
    version: int | None
    errors: list[UserError]


@strawberry.type
class TemplateQueries:
    @strawberry.field
    async def preview_template(self, info: Request, input: PreviewTemplateInput) -> TemplatePreview:  # noqa: A002 - the contract's name
        """What these words would say; nothing is kept."""
        return TemplatePreview.of(await info.context.run(preview, input.draft(), _links(info)))


@strawberry.type
class TemplateMutations:
    @strawberry.mutation
    async def set_message_template(self, info: Request, input: MessageTemplateInput) -> MessageTemplatePayload:  # noqa: A002 - the contract's name
        """Put a new version in force; what waits to be sent stays as it is. All that is wrong with it comes back at once."""
        try:
            change = input.change()
            async with info.context.writing() as session:
                row = await set_template(session, change)
                draft = Draft(change.channel, change.subject, change.body, location_id=change.location_id)
                shown = await preview(session, draft, _links(info))
        except AppError as error:
            found = error.problems if isinstance(error, TemplateError) else [error]
            return MessageTemplatePayload(
                preview=None, version=None, errors=[UserError.of(problem) for problem in found]
            )
        return MessageTemplatePayload(preview=TemplatePreview.of(shown), version=row.version, errors=[])


def _links(info: Request) -> LinkSigner:
    if info.context.services.links is None:
        raise UnavailableError("no previews are made here")
    return info.context.services.links
