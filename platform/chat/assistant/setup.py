"""What a franchise sets about its assistant: read for an answer, changed by its people."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import SecretStr

from lead_orchestrator.chat.assistant import repository
from lead_orchestrator.chat.assistant.models import TOKENS_A_MONTH, AssistantConfig, AssistantPrompt, Setup
from lead_orchestrator.errors import BadInputError, ForbiddenError
from lead_orchestrator.integrations.openai.models import Account
from lead_orchestrator.tenancy.secrets import SecretBox, SecretOpener
from lead_orchestrator.tenancy.sessions import ReadSession, WriteSession

__all__ = ["Change", "Defaults", "Setups", "change", "keep_key"]

LONGEST_INSTRUCTIONS, LONGEST_MODEL = 8_000, 200
_AUDITED = "enabled", "model", "instructions"
LEAD_TOKENS_A_DAY = 60_000
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
class Change:
    """What is to be different; None leaves it, an empty text goes back to the default."""

    enabled: bool | None = None
    model: str | None = None
    instructions: str | None = None


async def change(session: WriteSession, wanted: Change) -> None:
    """Set it for the session's tenant; other instructions are a new version.

    Raises:
        BadInputError: a text is too long.
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
    row = await repository.lock_config(session)
    before = row.enabled, row.model, row.prompt_version
    if wanted.enabled is not None:
        row.enabled = wanted.enabled
    if model is not None:
        row.model = model or None
    if instructions is not None and instructions != await repository.instructions(session, row.prompt_version):
        await _new_version(session, row, instructions)
    await session.flush()
    now = row.enabled, row.model, row.prompt_version
    if changed := [name for name, old, new in zip(_AUDITED, before, now, strict=True) if old != new]:
        session.audit("assistant.changed", target=f"tenant_{session.scope.tenant_id}", detail={"fields": changed})


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
