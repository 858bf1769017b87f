"""A real PostgreSQL and a real Valkey as child processes, for machines that have neither."""

from __future__ import annotations

from lead_orchestrator.embedded.services import Embedded, start_embedded

__all__ = ["Embedded", "start_embedded"]
