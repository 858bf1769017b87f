"""The operations of the REST API, each declared once."""

from __future__ import annotations

from collections.abc import Sequence

from lead_orchestrator.rest.api.booking import book, list_services, list_slots
from lead_orchestrator.rest.api.edge import Operation
from lead_orchestrator.rest.api.leads import create_lead, list_leads, show_form
from lead_orchestrator.rest.api.models import (
    BookedOut,
    BookingIn,
    FormOut,
    LeadCreatedOut,
    LeadIn,
    LeadsOut,
    LeadsQuery,
    MessageOut,
    OfShop,
    ScheduleIn,
    ServicesOut,
    SlotsOut,
    SlotsQuery,
)
from lead_orchestrator.rest.api.schedule import schedule
from lead_orchestrator.tenancy.public.limits import READ, WRITE

__all__ = ["OPERATIONS"]

OPERATIONS: Sequence[Operation] = (
    Operation(
        "GET", "/api/form", "showForm", "What a form of a shop's has to show", READ, show_form, FormOut, query=OfShop
    ),
    Operation(
        "POST",
        "/api/leads",
        "createLead",
        "Somebody asks a shop for a quote, with the answers of its survey",
        WRITE,
        create_lead,
        LeadCreatedOut,
        201,
        body=LeadIn,
    ),
    Operation(
        "GET",
        "/api/leads",
        "listLeads",
        "Leads that are booked or hot, of the caller's locations",
        READ,
        list_leads,
        LeadsOut,
        query=LeadsQuery,
        bearers=("staff",),
    ),
    Operation(
        "POST",
        "/api/schedule",
        "scheduleMessage",
        "A message to a lead; with a lead's token its welcome, and nothing else",
        READ,
        schedule,
        MessageOut,
        201,
        body=ScheduleIn,
        headers=("Idempotency-Key",),
        bearers=("staff", "lead"),
        largest_body=128 * 1024,
    ),
    Operation(
        "GET", "/api/services", "listServices", "What a shop sells", READ, list_services, ServicesOut, query=OfShop
    ),
    Operation("GET", "/api/slots", "listSlots", "A shop's free times", READ, list_slots, SlotsOut, query=SlotsQuery),
    Operation(
        "POST",
        "/api/bookings",
        "book",
        "Take a time; 400 SLOT_TAKEN when somebody else was faster",
        WRITE,
        book,
        BookedOut,
        201,
        body=BookingIn,
        headers=("Idempotency-Key",),
        refusals=(401,),
    ),
)
