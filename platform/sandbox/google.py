"""Google under one address: its OAuth and its Calendar."""

from __future__ import annotations

from starlette.routing import BaseRoute

from lead_orchestrator.sandbox.context import Sandbox
from lead_orchestrator.sandbox.google_calendar import GoogleCalendarApi
from lead_orchestrator.sandbox.google_oauth import GoogleOAuthApi

__all__ = ["GoogleApi"]


class GoogleApi:
    """The routes of GOOGLE_BASE_URL."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._parts = (GoogleOAuthApi(sandbox), GoogleCalendarApi(sandbox))

    def routes(self) -> list[BaseRoute]:
        return [route for part in self._parts for route in part.routes()]
