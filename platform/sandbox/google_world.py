"""Google's state: our registration, accounts with one calendar each, what was granted, and who listens."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from typing import Any

__all__ = ["GoogleAccount", "GoogleWorld", "Grant", "PushChannel"]

Event = dict[str, Any]  # as the Calendar API's JSON has it


@dataclass
class PushChannel:
    """Told of each change of the calendar until `expires_at` (unix seconds)."""

    id: str
    resource_id: str
    address: str
    token: str | None
    expires_at: float
    messages: int = 0


@dataclass
class GoogleAccount:
    """A person's account; its one calendar is known as `primary` and by the address.

    `versions` tells at which of the calendar's versions each event last changed: a sync token is such a version. Tokens
    older than `oldest_version` have run out."""

    email: str
    company: str
    timezone: str
    events: dict[str, Event] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    version: int = 1
    oldest_version: int = 0
    channels: dict[str, PushChannel] = field(default_factory=dict)

    def store(self, event: Event) -> None:
        self.version += 1
        self.events[event["id"]] = event
        self.versions[event["id"]] = self.version

    def expire_sync_tokens(self) -> None:
        """Every token handed out so far has run out."""
        self.version += 1
        self.oldest_version = self.version

    def clear(self) -> None:
        self.events.clear()
        self.versions.clear()
        self.expire_sync_tokens()


@dataclass
class Grant:
    """One consent: its refresh token works until the person takes it back."""

    email: str
    refresh_token: str
    revoked: bool = False


@dataclass
class Consent:
    """A code that was handed out and works once."""

    email: str
    redirect_uri: str
    challenge: str


@dataclass
class GoogleWorld:
    """`access_life`: seconds an access token lasts; `channel_life` those of a push channel."""

    client_id: str = "demo-google-client.apps.example.com"
    client_secret: str = "demo-google-secret"  # noqa: S105  # a sample
    accounts: dict[str, GoogleAccount] = field(default_factory=dict)
    access_life: float = 3600.0
    channel_life: float = 7 * 86_400.0
    consents: dict[str, Consent] = field(default_factory=dict)
    grants: dict[str, Grant] = field(default_factory=dict)
    access: dict[str, tuple[Grant, float]] = field(default_factory=dict)

    def consent(self, email: str, redirect_uri: str, challenge: str) -> str:
        """A code for a consent that was just given."""
        code = f"4/{secrets.token_urlsafe(24)}"
        self.consents[code] = Consent(email, redirect_uri, challenge)
        return code

    def grant(self, email: str) -> Grant:
        made = Grant(email, f"1//{secrets.token_urlsafe(32)}")
        self.grants[made.refresh_token] = made
        return made

    def access_token(self, grant: Grant) -> str:
        token = f"ya29.{secrets.token_urlsafe(32)}"
        self.access[token] = grant, time.time() + self.access_life
        return token

    def account_of(self, access_token: str) -> GoogleAccount | None:
        """Whose calendar the token opens; None when it is unknown, has run out or was revoked."""
        grant, ends = self.access.get(access_token, (None, 0.0))
        if grant is None or grant.revoked or ends <= time.time():
            return None
        return self.accounts.get(grant.email)

    def revoke(self, email: str) -> int:
        """The person takes every permission back; says how many there were."""
        found = [grant for grant in self.grants.values() if grant.email == email and not grant.revoked]
        for grant in found:
            grant.revoked = True
        return len(found)

    def clear(self) -> None:
        """Forget the events; accounts, permissions and channels stay."""
        for account in self.accounts.values():
            account.clear()
