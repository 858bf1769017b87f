"""What the customer's calendar is told: by a confirmation's mail, and by nothing that comes too late."""

from __future__ import annotations

from datetime import timedelta

from icalendar import Calendar

from lead_orchestrator.booking.models import Appointment
from lead_orchestrator.messaging.dispatch import Dispatcher
from lead_orchestrator.sandbox.world import Message
from tests.booking.desk import Desk


async def sent(desk: Desk) -> None:
    """Until nothing is due: one message a person goes out at a time."""
    dispatcher: Dispatcher = desk.stack.services.dispatcher
    while (await dispatcher.dispatch(desk.stack.tenant_id)).claimed:
        pass


def mails(desk: Desk, to: str) -> list[Message]:
    return [message for message in desk.stack.world.messages if message.to == to and message.channel == "EMAIL"]


def invitation(mail: Message) -> tuple[str, dict[str, object]]:
    [attachment] = mail.attachments
    assert (attachment.name, attachment.media_type) == ("invite.ics", "text/calendar")
    calendar = Calendar.from_ical(attachment.content)
    [event] = calendar.walk("VEVENT")
    return str(calendar["METHOD"]), dict(event)


async def messages(desk: Desk, appointment: Appointment) -> list[tuple[str, str, str]]:
    rows = await desk.stack.rows(
        "SELECT kind, channel, status FROM scheduled_messages WHERE lead_id = :lead AND kind <> 'TOUCH' ORDER BY id",
        lead=appointment.lead_id,
    )
    return [(row["kind"], row["channel"], row["status"]) for row in rows]


async def test_the_invitation_follows_the_appointment(desk: Desk) -> None:
    address = "calendar@example.com"
    made = await desk.book(desk.at(0), email=address)
    await sent(desk)
    moved = await desk.move(made, desk.at(2))
    await sent(desk)
    await desk.cancel(moved)
    await sent(desk)

    told = [invitation(mail) for mail in mails(desk, address)]
    assert [method for method, _ in told] == ["REQUEST", "REQUEST", "CANCEL"]
    events = [event for _, event in told]
    assert {str(event["UID"]) for event in events} == {f"{made.id}@appointments"}
    assert [event["SEQUENCE"] for event in events] == [0, 1, 2]
    assert [str(event["STATUS"]) for event in events] == ["CONFIRMED", "CONFIRMED", "CANCELLED"]
    starts = [event["DTSTART"].dt for event in events]  # type: ignore[attr-defined]  # the library's values have no type
    assert starts == [desk.at(0), desk.at(2), desk.at(2)]
    assert {str(event["ATTENDEE"]) for event in events} == {f"mailto:{address}"}
    assert all(str(event["ORGANIZER"]).startswith("mailto:") for event in events)


async def test_whoever_has_a_number_is_texted_as_well_and_gets_no_mail_without_an_address(desk: Desk) -> None:
    with_mail = await desk.book(desk.at(4), email="both@example.com")
    without = await desk.book(desk.at(6))

    confirmations = [one[:2] for one in await messages(desk, with_mail) if one[0] == "CONFIRMATION"]
    assert confirmations == [("CONFIRMATION", "SMS"), ("CONFIRMATION", "EMAIL")]
    assert [one[:2] for one in await messages(desk, without) if one[0] == "CONFIRMATION"] == [("CONFIRMATION", "SMS")]


async def test_the_sandbox_shows_what_a_mail_carries(desk: Desk) -> None:
    address = "shown@example.com"
    await desk.book(desk.at(8), email=address)
    await sent(desk)

    [mail] = mails(desk, address)
    shown = (await desk.stack.http.get(f"{desk.stack.sandbox.url}/messages")).json()["messages"]
    [attached] = next(one for one in shown if one["id"] == mail.id)["attachments"]

    assert attached["name"] == "invite.ics"
    assert "METHOD:REQUEST" in attached["text"]


async def test_a_reminder_that_would_come_after_the_beginning_never_goes(desk: Desk) -> None:
    made = await desk.book(desk.at(12))
    await sent(desk)
    now = (await desk.stack.rows("SELECT app_now() AS now"))[0]["now"]
    await desk.stack.wind(made.starts_at - now + timedelta(minutes=1))

    await sent(desk)

    rows = await desk.stack.rows(
        "SELECT status, decision FROM scheduled_messages WHERE lead_id = :lead AND kind = 'REMINDER'",
        lead=made.lead_id,
    )
    assert [row["status"] for row in rows] == ["SUPPRESSED", "SUPPRESSED"]
    assert all("it was to go out before" in row["decision"] for row in rows)
