"""Which addresses of a person must not be written to: keyed hashes that belong to no lead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Protocol
from uuid import UUID

from lead_orchestrator.leads import repository
from lead_orchestrator.leads.models import Channel, Lead
from lead_orchestrator.tenancy.sessions import WriteSession

__all__ = ["ALL_CHANNELS", "AddressHasher", "OptOuts", "address_kind", "reachable"]

ALL_CHANNELS = (Channel.SMS, Channel.WHATSAPP, Channel.EMAIL)


class AddressHasher(Protocol):
    """A keyed hash of an address: the same for the same tenant, useless without the key."""

    def address_hash(self, tenant_id: UUID, kind: str, address: str) -> bytes: ...


class OptOuts:
    """The ledger of addresses that opted out, in terms of the leads that have them."""

    def __init__(self, hasher: AddressHasher) -> None:
        self._hasher = hasher

    async def add(
        self, session: WriteSession, lead: Lead, channels: Iterable[Channel], reason: str, now: datetime
    ) -> Mapping[Channel, bytes]:
        """Note that the lead's addresses on `channels` opted out; returns their hashes."""
        hashes = self.hashes(session, lead, channels)
        await repository.add_opt_outs(session, hashes, reason, now)
        await repository.add_opt_outs(session, self._by_user_id(session, lead, channels), reason, now)
        return hashes

    async def remove(
        self, session: WriteSession, lead: Lead, channels: Iterable[Channel]
    ) -> Mapping[Channel, bytes] | None:
        """Forget that they opted out; returns the hashes of the addresses, None if none of them had."""
        hashes, by_user_id = self.hashes(session, lead, channels), self._by_user_id(session, lead, channels)
        noted = await repository.opted_out_channels(session, hashes)
        if not noted | await repository.opted_out_channels(session, by_user_id):
            return None
        await repository.remove_opt_outs(session, hashes)
        await repository.remove_opt_outs(session, by_user_id)
        return hashes

    async def refusing(self, session: WriteSession, lead: Lead) -> list[str]:
        """The channels on which the person must not be written to, by the ledger."""
        found = await repository.opted_out_channels(session, self.hashes(session, lead, ALL_CHANNELS))
        if await repository.opted_out_channels(session, self._by_user_id(session, lead, ALL_CHANNELS)):
            found |= {Channel.SMS, Channel.WHATSAPP}  # opted out before we knew the number
        return sorted(found)

    def hashes(self, session: WriteSession, lead: Lead, channels: Iterable[Channel]) -> dict[Channel, bytes]:
        """The keyed hash of each address that the lead has on `channels`."""
        return {
            channel: self._hasher.address_hash(session.scope.tenant_id, address_kind(channel, address), address)
            for channel in channels
            if (address := lead.addresses.get(channel))
        }

    def _by_user_id(self, session: WriteSession, lead: Lead, channels: Iterable[Channel]) -> dict[Channel, bytes]:
        """WhatsApp's own id of somebody whose number we know too: an opt-out may have come by either."""
        address = lead.whatsapp_user_id
        if not address or not lead.phone or Channel.WHATSAPP not in channels:
            return {}
        kind = address_kind(Channel.WHATSAPP, address)
        return {Channel.WHATSAPP: self._hasher.address_hash(session.scope.tenant_id, kind, address)}


def address_kind(channel: Channel, address: str) -> str:
    """What kind of address it is, as its keyed hash is made of: WhatsApp's own ids are no phone numbers."""
    if channel is Channel.EMAIL:
        return "email"
    return "phone" if address.startswith("+") else "whatsapp"


def reachable(lead: Lead) -> list[Channel]:
    """The channels that are left: those with an address that did not opt out."""
    return [channel for channel, address in lead.addresses.items() if address and channel not in lead.opted_out]
