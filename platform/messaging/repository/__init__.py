"""All SQL of sending, by subject."""

from lead_orchestrator.messaging.repository.attempts import (
    Closing,
    add_attempts,
    attempt_of,
    attempts_since,
    close_attempts,
    owned_provider_ids,
)
from lead_orchestrator.messaging.repository.claims import (
    CLAIM,
    Due,
    claim_due,
    lock_message,
    lock_sending,
    relock_message,
)
from lead_orchestrator.messaging.repository.facts import (
    TRAFFIC,
    Setting,
    Traffic,
    opted_out_addresses,
    setting,
    traffic,
)
from lead_orchestrator.messaging.repository.messages import (
    add,
    add_messages,
    cancel_by_reference,
    count_referenced,
    count_unsettled,
    message,
    refuse_channel,
)
from lead_orchestrator.messaging.repository.unknown import claim_unknown, expire_leases, postpone_check

__all__ = [
    "CLAIM",
    "TRAFFIC",
    "Closing",
    "Due",
    "Setting",
    "Traffic",
    "add",
    "add_attempts",
    "add_messages",
    "attempt_of",
    "attempts_since",
    "cancel_by_reference",
    "claim_due",
    "claim_unknown",
    "close_attempts",
    "count_referenced",
    "count_unsettled",
    "expire_leases",
    "lock_message",
    "lock_sending",
    "message",
    "opted_out_addresses",
    "owned_provider_ids",
    "postpone_check",
    "refuse_channel",
    "relock_message",
    "setting",
    "traffic",
]
