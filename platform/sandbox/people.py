"""The customers as their phones and mailboxes show them: who has which number and address, newest first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lead_orchestrator.sandbox.world import Message, World

__all__ = ["Person", "people"]


@dataclass
class Person:
    """One customer; `names` are those in the companies' CRMs."""

    keys: list[str]
    names: list[str] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)

    @property
    def number(self) -> str | None:
        return next((key for key in self.keys if "@" not in key), None)

    @property
    def address(self) -> str | None:
        return next((key for key in self.keys if "@" in key), None)

    @property
    def name(self) -> str:
        return self.names[0] if self.names else "Unknown customer"

    @property
    def newest(self) -> int:
        return max((message.accepted_at for message in self.messages), default=0)

    def of_channel(self, channel: str) -> list[Message]:
        return [message for message in self.messages if message.channel == channel]


def people(world: World) -> list[Person]:
    """Everybody a quote or a message named; rows that share a number or an address are one person."""
    by_key: dict[str, Person] = {}
    for _, row in world.customers():
        keys = [number["number"] for number in row["phoneNumbers"]] + [mail["email"] for mail in row["emails"]]
        _join(by_key, keys, _name(row))
    for key in world.messages_by_customer:
        _join(by_key, [key], None)
    found = {id(person): person for person in by_key.values()}
    for person in found.values():
        kept = [message for key in person.keys for message in world.messages_by_customer.get(key, [])]
        person.messages = sorted(kept, key=lambda message: message.accepted_at)
    return sorted(found.values(), key=lambda person: person.newest, reverse=True)


def _join(by_key: dict[str, Person], keys: list[str], name: str | None) -> None:
    known = list({id(by_key[key]): by_key[key] for key in keys if key in by_key}.values())
    person = known[0] if known else Person([])
    for other in known[1:]:
        person.keys += other.keys
        person.names += other.names
    person.keys += [key for key in keys if key not in person.keys]
    if name and name not in person.names:
        person.names.append(name)
    by_key |= dict.fromkeys(person.keys, person)


def _name(row: Mapping[str, str | None]) -> str | None:
    return f"{row['firstName'] or ''} {row['lastName'] or ''}".strip() or None
