"""Onboarding as a saga: checks, the franchise's own rows, then one step after the other, each done once and written down with
what it did. Whoever starts it again, after a crash or because a service was away, goes on where it stopped."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from uuid import UUID

from lead_orchestrator.administration import repository
from lead_orchestrator.administration.means import Means
from lead_orchestrator.catalog.sync import store
from lead_orchestrator.chat.assistant.setup import keep_key
from lead_orchestrator.errors import BadInputError, NotFoundError
from lead_orchestrator.leads.ingestion.replay import replay_unrouted
from lead_orchestrator.log import get_logger
from lead_orchestrator.tenancy import repository as tenancy_repository
from lead_orchestrator.tenancy.accounts.people import People
from lead_orchestrator.tenancy.franchise import Franchise
from lead_orchestrator.tenancy.onboarding import Asked, Onboarded
from lead_orchestrator.tenancy.sessions import Scope, WriteSession
from lead_orchestrator.tenancy.tokens import Role

__all__ = ["Made", "Saga", "request_hash"]

_log = get_logger(__name__)

Work = Callable[[WriteSession], Awaitable[None]]


@dataclass(frozen=True)
class Made:
    """`webhook_secret` (where it was made here), `sendgrid_key` and `invitation`, a link, are shown until the onboarding has
    ended once, and never again. `replayed` counts the orders that had waited for the franchise's locations."""

    tenant_id: UUID
    created: bool
    location_ids: Mapping[str, UUID]
    webhook_secret: str | None
    sendgrid_key: str | None
    invitation: str | None
    replayed: int


class Saga:
    """Onboards franchises."""

    def __init__(self, means: Means, people: People) -> None:
        self._means, self._people = means, people

    async def onboard(
        self, franchise: Franchise, *, actor: str, key: str | None = None, template_id: UUID | None = None
    ) -> Made:
        """Make a franchise; without a `key` one that is there is brought to the description. `template_id` is the franchise
        whose touches and texts it begins with.

        The same key with the same franchise again, from the same `actor`, goes on where it stopped, or answers what was made.

        Raises:
            BadInputError: something is another franchise's, a service refuses a credential, or the key was used before.
            NotFoundError: there is no such template.
            UnavailableError: a service is away: ask again with the same key.
        """
        asked = Asked(actor, key, request_hash(franchise, template_id)) if key else None
        made = await self._made_before(asked, template_id) or await self._register(franchise, actor, asked)
        scope = Scope.service(made.tenant_id, actor)
        async with self._means.tenancy.read(scope) as session:
            before = await repository.progress(session)
        if "texts" not in before.steps:
            await self._step(scope, "texts", lambda session: self._clone_texts(session, template_id))
        if franchise.messaging is not None and franchise.messaging.openai_api_key is not None:
            async with self._means.tenancy.write(scope) as session:
                await keep_key(session, self._means.secrets, franchise.messaging.openai_api_key)
        for location_id in made.location_ids.values():
            if _catalog_of(location_id) not in before.steps:
                await self._sync_catalog(scope, location_id)
        replayed = await replay_unrouted(self._means.tenancy, made.tenant_id)
        invitation = None if "owner" in before.steps else await self._invite(scope, franchise.owner_email)
        secret = None if before.finished else made.webhook_secret or await self._webhook_secret(scope, franchise)
        return Made(
            made.tenant_id,
            made.created,
            made.location_ids,
            secret,
            made.sendgrid_key,
            invitation,
            replayed,
        )

    async def _register(self, franchise: Franchise, actor: str, asked: Asked | None) -> Onboarded:
        checked = await self._means.credentials.check(franchise.messaging) if franchise.messaging else frozenset[str]()
        return await self._means.onboarding.onboard(franchise, actor=actor, asked=asked, checked=checked)

    async def _made_before(self, asked: Asked | None, template_id: UUID | None) -> Onboarded | None:
        """What the same request began to make, if it was sent before; checks first what it names."""
        async with self._means.tenancy.platform() as session:
            if template_id is not None and await repository.tenant(session, template_id) is None:
                message = f"there is no franchise tenant_{template_id} to take touches and texts from"
                raise NotFoundError(message, field=("templateTenantId",))
            known = await self._means.onboarding.known(session, asked) if asked else None
            if known is None:
                return None
            return Onboarded(known, False, await tenancy_repository.location_ids(session, known), None)

    async def _step(self, scope: Scope, name: str, work: Work) -> bool:
        """Do `work` and write down that it is done, both or neither; False if it was done before."""
        async with self._means.tenancy.write(scope) as session:
            taken = await repository.take_step(session, name)
            if taken:
                await work(session)
        return taken

    async def _clone_texts(self, session: WriteSession, template_id: UUID | None) -> None:
        if template_id is None or template_id == session.scope.tenant_id:
            return
        async with self._means.tenancy.read(Scope.service(template_id, session.scope.subject)) as source:
            touches, templates = texts = await repository.tenant_texts(source)
        await repository.add_texts(session, texts)
        detail = {"touches": len(touches), "templates": len(templates)}
        session.audit("texts.cloned", target=f"tenant_{template_id}", detail=detail)

    async def _sync_catalog(self, scope: Scope, location_id: UUID) -> None:
        """A location without ShopMonkey has no catalog to read, and a key that may not read it shows in readiness."""
        try:
            fetched = await self._means.catalog.fetch(scope, location_id)
        except BadInputError as error:
            _log.warning("catalog_not_synced", location_id=str(location_id), code=error.code)
            return

        async def work(session: WriteSession) -> None:
            await store(session, fetched)

        await self._step(scope, _catalog_of(location_id), work)

    async def _invite(self, scope: Scope, email: str | None) -> str | None:
        """The last step, with which the onboarding has ended; the link, if the invitation was made now. The mail leaves by
        itself once that is committed; where the platform has no account to mail from, the link is all there is."""
        link: str | None = None

        async def work(session: WriteSession) -> None:
            nonlocal link
            link = await self._invited(session, email) if email is not None else None
            await repository.finish_onboarding(session)

        await self._step(scope, "owner", work)
        return link

    async def _invited(self, session: WriteSession, email: str) -> str | None:
        """The link of the invitation; None for who works there already, as in a franchise that was there before."""
        try:
            invited = await self._people.invite(
                session, email=email, name=None, role=Role.OWNER, mail=self._people.mails
            )
        except BadInputError as error:
            if error.code != "ALREADY_A_USER":
                raise
            return None
        return invited.url

    async def _webhook_secret(self, scope: Scope, franchise: Franchise) -> str | None:
        """The one that was made here, for whoever has not been shown it yet."""
        if franchise.crm is None or franchise.crm.webhook_secret is not None:
            return None
        async with self._means.tenancy.platform() as session:
            sealed = await tenancy_repository.crm_secret(session, scope.tenant_id)
        return self._means.secrets.open(scope.tenant_id, "shopmonkey_webhook_secret", sealed) if sealed else None


def _catalog_of(location_id: UUID) -> str:
    """The step that reads the location's catalog."""
    return f"catalog:{location_id}"


def request_hash(franchise: Franchise, template_id: UUID | None) -> bytes:
    """What tells one request from another. Secrets are no part of it: nothing that is stored can be tried against a guess."""
    return hashlib.sha256(f"{franchise.model_dump_json()}{template_id}".encode()).digest()
