"""What a franchise sets about its assistant: read for an answer, changed by its people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from pydantic import SecretStr

from lead_orchestrator.chat.assistant import repository
from lead_orchestrator.chat.assistant.models import (
    DEBOUNCE_MS,
    LEAD_TOKENS_A_DAY,
    TOKENS_A_MONTH,
    AssistantConfig,
    AssistantPrompt,
    Setup,
)
from lead_orchestrator.errors import BadInputError, ForbiddenError
from lead_orchestrator.integrations.openai.models import Account
from lead_orchestrator.tenancy.secrets import SecretBox, SecretOpener
from lead_orchestrator.tenancy.sessions import ReadSession, WriteSession

__all__ = ["Change", "Chosen", "Defaults", "Setups", "change", "chosen", "keep_key"]

LONGEST_INSTRUCTIONS, LONGEST_MODEL = 8_000, 200
_AUDITED = "enabled", "model", "instructions", "debounceSeconds", "leadTokensPerDay"
MOST_DEBOUNCE = 30.0
MOST_TOKENS = 2**31 - 1
N = TypeVar("N", int, float)
API_KEY = "openai_api_key"
"""The field name under which the key is sealed."""


@dataclass(frozen=True)
class Defaults:
    """The installation's own, for franchises that set nothing; without a key there is no model for them."""

    api_key: SecretStr | None
    model: str
    base_url: str


async def keep_key(session: WriteSession, secrets: SecretBox, key: SecretStr) -> None:
    """Store the franchise's own key, sealed."""
    row = await repository.lock_config(session)
    row.api_key = secrets.seal(session.scope.tenant_id, API_KEY, key.get_secret_value())
    await session.flush()


class Setups:
    """Reads what is in force."""

    def __init__(self, defaults: Defaults, secrets: SecretOpener) -> None:
        self._defaults = defaults
        self._secrets = secrets

    async def of(self, session: ReadSession) -> Setup:
        row = await repository.config(session)
        version = row.prompt_version if row else 0
        budget = await repository.monthly_budget(session)
        return Setup(
            enabled=row.enabled if row else True,
            account=self._account(session, row),
            prompt_version=version,
            instructions=await repository.instructions(session, version) if version else "",
            lead_tokens_a_day=row.lead_tokens_a_day if row else LEAD_TOKENS_A_DAY,
            tokens_a_month=TOKENS_A_MONTH if budget is None else budget,
        )

    def _account(self, session: ReadSession, row: AssistantConfig | None) -> Account | None:
        """The franchise's own key goes to the address it is for; ours never goes to an address of theirs."""
        defaults = self._defaults
        model = (row.model if row else None) or defaults.model
        if row is not None and row.api_key is not None:
            key = SecretStr(self._secrets.open(session.scope.tenant_id, API_KEY, row.api_key))
            return Account(key, model, row.base_url or defaults.base_url)
        return Account(defaults.api_key, model, defaults.base_url) if defaults.api_key else None


@dataclass(frozen=True)
class Chosen:
    """What is set and in force; `model` None is the installation's, `prompt_version` 0 is without instructions."""

    enabled: bool
    model: str | None
    instructions: str
    prompt_version: int
    debounce: timedelta
    lead_tokens_a_day: int


async def chosen(session: ReadSession) -> Chosen:
    """What the session's tenant has set, where it has not the defaults."""
    row = await repository.config(session)
    if row is None:
        return Chosen(True, None, "", 0, timedelta(milliseconds=DEBOUNCE_MS), LEAD_TOKENS_A_DAY)
    return Chosen(
        row.enabled,
        row.model,
        await repository.instructions(session, row.prompt_version),
        row.prompt_version,
        timedelta(milliseconds=row.debounce_ms),
        row.lead_tokens_a_day,
    )


@dataclass(frozen=True)
class Change:
    """What is to be different; None leaves it, an empty text goes back to the default."""

    enabled: bool | None = None
    model: str | None = None
    instructions: str | None = None
    debounce_seconds: float | None = None
    lead_tokens_per_day: int | None = None


async def change(session: WriteSession, wanted: Change) -> None:
    """Set it for the session's tenant; other instructions are a new version.

    Raises:
        BadInputError: a text is too long, or a number out of range.
        ForbiddenError: the caller serves some locations only.
    """
    if session.scope.location_ids is not None:
        raise ForbiddenError(
            "the assistant answers for the whole franchise, and you serve some of its locations: ask an owner"
        )
    model, instructions = (
        _text("model", wanted.model, LONGEST_MODEL),
        _text("instructions", wanted.instructions, LONGEST_INSTRUCTIONS),
    )
    debounce = _within("debounceSeconds", wanted.debounce_seconds, MOST_DEBOUNCE)
    tokens = _within("leadTokensPerDay", wanted.lead_tokens_per_day, MOST_TOKENS)
    row = await repository.lock_config(session)
    before = _audited(row)
    if wanted.enabled is not None:
        row.enabled = wanted.enabled
    if model is not None:
        row.model = model or None
    if instructions is not None and instructions != await repository.instructions(session, row.prompt_version):
        await _new_version(session, row, instructions)
    if debounce is not None:
        row.debounce_ms = round(debounce * 1000)
    if tokens is not None:
        row.lead_tokens_a_day = tokens
    await session.flush()
    if changed := [name for name, old, new in zip(_AUDITED, before, _audited(row), strict=True) if old != new]:
        session.audit("assistant.changed", target=f"tenant_{session.scope.tenant_id}", detail={"fields": changed})


def _audited(row: AssistantConfig) -> tuple[object, ...]:
    return row.enabled, row.model, row.prompt_version, row.debounce_ms, row.lead_tokens_a_day


async def _new_version(session: WriteSession, row: AssistantConfig, instructions: str) -> None:
    row.prompt_version = await repository.last_prompt(session) + 1
    prompt = AssistantPrompt(tenant_id=row.tenant_id, version=row.prompt_version, instructions=instructions)
    repository.add(session, prompt)


def _text(name: str, value: str | None, longest: int) -> str | None:
    if value is None:
        return None
    text = value.strip()
    if len(text) > longest:
        raise BadInputError(f"{name} has {len(text)} characters: send {longest} at most", field=(name,))
    return text


def _within(name: str, value: N | None, most: N) -> N | None:
    if value is not None and not 0 <= value <= most:
        raise BadInputError(f"{name} is {value:g}: from 0 to {most:g}", field=(name,))
    return value
