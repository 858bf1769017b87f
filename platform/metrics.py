"""Figures for Prometheus; no tenant names, no addresses."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import Counter, Gauge, Histogram

__all__ = [
    "ANSWERS",
    "BLOCKED",
    "CONTEXTS",
    "DUE_LAG",
    "EVENTS",
    "JOB_SECONDS",
    "LEADS",
    "MODEL_FAILURES",
    "PLANNED",
    "PLANS_COMPILED",
    "PLANS_KEPT",
    "REQUESTS",
    "REQUEST_SECONDS",
    "SENDS",
    "count_outcomes",
]

_QUICK = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)

REQUESTS = Counter("lead_requests_total", "HTTP requests by route and status.", ["route", "status"])
REQUEST_SECONDS = Histogram("lead_request_seconds", "Time to answer, by route.", ["route"], buckets=_QUICK)
PLANNED = Counter("lead_planned_operations_total", "Staff's queries by who answered them: planner or executor.", ["by"])
PLANS_COMPILED = Counter("lead_plans_compiled_total", "Statements that the planner wrote because it kept none.")
PLANS_KEPT = Gauge("lead_plans_kept", "Statements that the planner keeps.")
LEADS = Counter("lead_enrolled_total", "Leads whose touches were started.")
EVENTS = Counter("lead_webhook_events_total", "Inbox events by what became of them.", ["outcome"])
SENDS = Counter("lead_sends_total", "Messages by what became of them.", ["outcome"])
ANSWERS = Counter("lead_assistant_answers_total", "Turns of the assistant by what became of them.", ["outcome"])
CONTEXTS = Counter(
    "lead_assistant_contexts_total", "Conversations read for an answer, by how: kept or rebuilt.", ["how"]
)
BLOCKED = Counter("lead_assistant_blocked_total", "Answers that the guard kept back, by why.", ["why"])
MODEL_FAILURES = Counter("lead_model_failures_total", "Calls of the model without an answer, by why.", ["code"])
DUE_LAG = Gauge("lead_due_lag_seconds", "By how much the oldest due message is late.")
JOB_SECONDS = Histogram("lead_job_seconds", "Time of a job, by name.", ["job"], buckets=_QUICK)


def count_outcomes(outcomes: Mapping[str, int]) -> None:
    """Add one batch of sends."""
    for outcome, number in outcomes.items():
        SENDS.labels(outcome).inc(number)
