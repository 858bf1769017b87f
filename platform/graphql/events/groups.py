"""The groups of those who listen to one thing: a tenant's events, a conversation."""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from lead_orchestrator.graphql.events.group import Group, Membership, Reads, Subscriber, group_key
from lead_orchestrator.graphql.events.operation import Operation
from lead_orchestrator.tenancy.tokens import Claims

__all__ = ["Groups"]


class Groups:
    """A group is made for its first member and let go with its last one."""

    def __init__(self, source: Reads) -> None:
        self._source = source
        self._groups: dict[Hashable, Group] = {}

    def __iter__(self) -> Iterator[Group]:
        """Those of this moment: members may come and go meanwhile."""
        return iter(list(self._groups.values()))

    def join(self, operation: Operation, claims: Claims, subscriber: Subscriber, position: int) -> Membership:
        """A member of its group, which is at `position` if it is new, without an await: await its `catch_up()`, and `leave` in
        the end."""
        key = group_key(operation, claims)
        if key not in self._groups:
            self._groups[key] = Group(operation, claims, self._source, position)
        return self._groups[key].join(key, subscriber, operation.after)

    async def leave(self, member: Membership) -> None:
        group = member.group
        group.members.discard(member)
        if not group.members and self._groups.get(member.key) is group:
            del self._groups[member.key]
            await group.close()

    async def close(self) -> None:
        for group in self:
            await group.close()
