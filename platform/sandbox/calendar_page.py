"""What stands on the page of calendars: Google's events and ShopMonkey's appointments, each shop's in its own time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from html import escape
from zoneinfo import ZoneInfo

from lead_orchestrator.sandbox.google_events import span_of
from lead_orchestrator.sandbox.world import World

__all__ = ["calendar_values"]


def calendar_values(world: World) -> dict[str, str]:
    """The placeholders of the page's template."""
    options = "".join(f"<option>{escape(email)}</option>" for email in world.google.accounts)
    return {
        "accounts": options,
        "google": "".join(_google(world)) or _none("No events yet."),
        "shopmonkey": "".join(_shopmonkey(world)) or _none("No appointments yet."),
    }


def _google(world: World) -> Iterable[str]:
    for account in world.google.accounts.values():
        grants = [grant for grant in world.google.grants.values() if grant.email == account.email]
        connected = any(not grant.revoked for grant in grants)
        state = "connected" if connected else "revoked" if grants else "not connected"
        state += f", {len(account.channels)} push channels" if account.channels else ""
        for event in sorted(account.events.values(), key=lambda event: span_of(event, account)):
            begins, ends = span_of(event, account)
            yield _row(
                f"{account.email} ({state})",
                _when(begins, ends, account.timezone),
                str(event.get("summary", "")),
                str(event["status"]) + (", free" if event["transparency"] == "transparent" else ""),
            )


def _shopmonkey(world: World) -> Iterable[str]:
    for company in world.companies.values():
        for row in sorted(company.appointments.values(), key=lambda row: str(row["startDate"])):
            place = company.locations[row["locationId"]]
            begins, ends = (datetime.fromisoformat(row[name]) for name in ("startDate", "endDate"))
            yield _row(
                f"{company.name}, {place['name']}",
                _when(begins, ends, place["timezone"]),
                str(row["name"]),
                "repeats" if row["rruleset"] else "once",
            )


def _when(begins: datetime, ends: datetime, timezone: str) -> str:
    zone = ZoneInfo(timezone)
    first, last = begins.astimezone(zone), ends.astimezone(zone)
    until = last.strftime("%H:%M" if first.date() == last.date() else "%a %d %b %H:%M")
    return f"{first.strftime('%a %d %b %Y %H:%M')} to {until} {last.tzname()}"


def _row(*cells: str) -> str:
    return "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"


def _none(text: str) -> str:
    return f'<tr><td colspan="4">{text}</td></tr>'
