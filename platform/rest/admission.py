"""Who may call a route: each one is looked up in the one table, and those that take an access token are wrapped by it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from lead_orchestrator.tenancy.access import Access
from lead_orchestrator.tenancy.permissions import Who, admit, route_rule
from lead_orchestrator.tenancy.tokens import Claims

__all__ = ["admitted", "caller", "route_names"]

Endpoint = Callable[[Request], Awaitable[Response]]


def admitted(routes: Sequence[BaseRoute], access: Access) -> Sequence[BaseRoute]:
    """The routes, those that take an access token open to the roles of their row alone.

    Raises:
        ConfigurationError: nobody has said who may call one of them.
    """
    return [_admitted(route, access) for route in routes]


def caller(request: Request) -> Claims:
    """Who calls a route that takes an access token."""
    claims: Claims = request.state.claims
    return claims


def route_names(route: BaseRoute) -> Sequence[tuple[str, str]]:
    """The methods and the path of a route, as the table names them; one that takes them all has a star. OPTIONS does nothing,
    and tells a browser only whether it may ask."""
    methods = set(getattr(route, "methods", None) or {"*"}) - {"HEAD", "OPTIONS"}
    return [(method, getattr(route, "path", "")) for method in sorted(methods)]


def _admitted(route: BaseRoute, access: Access) -> BaseRoute:
    who = {method: route_rule(method, path).who for method, path in route_names(route)}
    if not isinstance(route, Route) or all(None in roles for roles in who.values()):
        return route
    return Route(route.path, _checked(route.endpoint, who, access), methods=[*(route.methods or who)])


def _checked(endpoint: Endpoint, who: dict[str, Who], access: Access) -> Endpoint:
    async def checked(request: Request) -> Response:
        roles = who.get("GET" if request.method == "HEAD" else request.method)
        if roles is not None and None not in roles:
            header = request.headers.get("authorization")
            await access.prepare(header)
            request.state.claims = access.claims(header)
            admit(request.state.claims, roles)
        return await endpoint(request)

    return checked
