"""Who asks, and where they are signed in, in SQL."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import ColumnElement, Text, and_, cast, func, select, true

from lead_orchestrator.graphql.operations.people import MOST_SESSIONS
from lead_orchestrator.graphql.planner.declare import Arguments, Bind, Entity, Field, Leaf, Many, One, Root, Row, Target
from lead_orchestrator.graphql.planner.expressions import columns, identity, setting, subject, table, tenant
from lead_orchestrator.graphql.tenant_types import MOST_LOCATIONS
from lead_orchestrator.ids import Kind
from lead_orchestrator.tenancy.models import Tenant
from lead_orchestrator.tenancy.records import LoginSession

__all__ = ["ENTITIES", "MORE_FIELDS", "ROOTS", "TARGETS"]


def _caller(_bind: Bind) -> Row:
    franchise = table(Tenant)
    return select(franchise.c.id.label("tenant_id")).where(franchise.c.id == tenant()).subquery()


def _own_and_open(session: Row, _scope: Row) -> ColumnElement[bool]:
    return and_(session.c.user_id == subject(), session.c.revoked_at.is_(None), session.c.expires_at > func.now())


# When the token expires only the token says: whoever asks for that is answered in Python.
VIEWER = Entity(
    "Viewer",
    None,
    {
        "role": Leaf(lambda _row: setting("role")),
        "user": One("User", lambda _viewer, user: user.c.id == subject()),
        "tenant": One("Tenant", lambda _viewer, _tenant: true()),
        "locations": Many(
            "Location", lambda _viewer, _place: true(), lambda place: (place.c.name, place.c.id), most=MOST_LOCATIONS
        ),
    },
)

LOGIN_SESSION = Entity(
    "LoginSession",
    lambda: table(LoginSession),
    {
        "id": identity(Kind.LOGIN_SESSION),
        **columns("created_at", "last_seen_at", "user_agent"),
        "current": Leaf(lambda session: cast(session.c.id, Text) == setting("session_id")),
    },
    interfaces=frozenset({"Node"}),
    visible=_own_and_open,
)

MORE_FIELDS: Mapping[str, Mapping[str, Field]] = {}
TARGETS = {Kind.LOGIN_SESSION.value: Target("LoginSession")}
ENTITIES = {entity.name: entity for entity in (VIEWER, LOGIN_SESSION)}
ROOTS: dict[str, Root] = {
    "viewer": Root(
        read=lambda _arguments: Arguments(None, {}),
        entity_of=lambda _shape: "Viewer",
        made=_caller,
        entities=frozenset({"Viewer"}),
    ),
    "mySessions": Root(
        read=lambda _arguments: Arguments(None, {}),
        many=Many(
            "LoginSession",
            None,
            lambda session: (session.c.last_seen_at.desc(), session.c.id.desc()),
            most=MOST_SESSIONS,
        ),
        entities=frozenset({"LoginSession"}),
    ),
}
