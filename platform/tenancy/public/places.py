"""A shop as the public names it: by its slug, or by its id."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import UUID

from lead_orchestrator.db import is_away
from lead_orchestrator.errors import BadInputError, ForbiddenError, NotFoundError, UnavailableError
from lead_orchestrator.ids import Kind, decode
from lead_orchestrator.tenancy import repository
from lead_orchestrator.tenancy.lookups import Lookups
from lead_orchestrator.tenancy.models import Location
from lead_orchestrator.tenancy.sessions import Scope, Tenancy

__all__ = ["OriginRefusedError", "Place", "Places"]

LONGEST_NAME = 63
LATELY = 60.0
A_WHILE = 10.0
MOST_REMEMBERED = 10_000
SUBJECT = "public"
_SHOWN = 60


class OriginRefusedError(ForbiddenError):
    """A browser on a site that the shop does not list."""

    def __init__(self, origin: str) -> None:
        message = f"{origin[:_SHOWN]!r} may not call this shop's forms: add it to the location's allowedOrigins"
        super().__init__(message, code="ORIGIN_NOT_ALLOWED")


@dataclass(frozen=True)
class Place:
    """A shop of an active franchise; `own_origin` is ours, whose pages may call everything."""

    tenant_id: UUID
    location: Location
    own_origin: str

    @property
    def location_id(self) -> UUID:
        return self.location.id

    @property
    def origins(self) -> Sequence[str]:
        """The sites that may call its public endpoints and show its pages in a frame."""
        return self.location.allowed_origins

    @property
    def scope(self) -> Scope:
        """Of what the public starts here: a service's, of this one shop."""
        return Scope(self.tenant_id, frozenset({self.location_id}), SUBJECT)

    def allows(self, origin: str | None) -> bool:
        """Whether a browser on `origin` may call: its Origin header, None where there is none."""
        return origin is None or origin == self.own_origin or origin in self.origins

    def check_origin(self, origin: str | None) -> None:
        """Raises OriginRefusedError: the shop does not list it."""
        if not self.allows(origin):
            raise OriginRefusedError(origin or "")


class Places:
    """Finds shops before their franchise is known. `public_url` is our own address."""

    def __init__(
        self, tenancy: Tenancy, lookups: Lookups, public_url: str, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._tenancy = tenancy
        self._lookups = lookups
        parts = urlsplit(public_url)
        self._clock = clock
        self._lately: dict[str, float] = {}
        self._at_shops: dict[tuple[UUID, str], float] = {}
        self._own_origin = f"{parts.scheme}://{parts.netloc}".lower()

    async def find(self, name: str, *, field: str = "realtorId") -> Place:
        """The shop with this slug, or with this id (`loc_…`, or the UUID alone).

        Raises:
            BadInputError: it is empty, or too long for either.
            NotFoundError: there is none; one of a suspended franchise is none.
        """
        name = name.strip()
        if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
            message = f"{field} has {len(name)} characters: send the shop's slug, or its id (loc_…)"
            raise BadInputError(message, code="INVALID_ID", field=(field,))
        missing = NotFoundError(f"there is no shop {name!r}: see its slug or id in the dashboard", field=(field,))
        key = _location_id(name)
        route = await (self._lookups.place(key) if key else self._lookups.route("slug", name.lower()))
        if route is None or route.location_id is None or not route.active:
            raise missing
        async with self._tenancy.read(Scope.service(route.tenant_id, SUBJECT)) as session:
            location = await repository.location(session, route.location_id)
        if location is None:
            raise missing
        return Place(route.tenant_id, location, self._own_origin)

    async def allows_anywhere(self, origin: str | None) -> bool:
        """Whether any shop lists `origin`, for a preflight, which does not say which shop it is about."""
        if origin is None:
            return False
        allowed = origin == self._own_origin or await self._lookups.origin(origin)
        if allowed:
            self.remember(origin)
        return allowed

    async def known(self, origin: str | None) -> bool:
        """Whether any shop lists it, or did lately while the database is away."""
        try:
            return await self.allows_anywhere(origin)
        except Exception as error:
            if not is_away(error):
                raise
            return self.allowed_lately(origin)

    async def shop_allows(self, location_id: UUID, origin: str) -> bool:
        """Whether this shop, if there is one, lists `origin`; what it took off its list may call for `A_WHILE` yet.

        Raises:
            UnavailableError: the database is away.
        """
        if origin == self._own_origin or self._clock() - self._at_shops.get((location_id, origin), -A_WHILE) < A_WHILE:
            return True
        try:
            allowed = (await self.find(str(location_id))).allows(origin)
        except NotFoundError:
            return False
        except Exception as error:
            if not is_away(error):
                raise
            raise UnavailableError("we cannot answer at this moment: try again in a few seconds") from None
        if allowed:
            if len(self._at_shops) >= MOST_REMEMBERED:
                self._at_shops.clear()
            self._at_shops[location_id, origin] = self._clock()
        return allowed

    def allowed_lately(self, origin: str | None) -> bool:
        """Whether any shop listed `origin` within the last minute, as far as this process was asked: for answers that are to cost
        nothing, or cannot be looked up."""
        return origin is not None and self._clock() - self._lately.get(origin, -LATELY) < LATELY

    def remember(self, origin: str | None) -> None:
        """Some shop allows it."""
        if origin is None:
            return
        if len(self._lately) >= MOST_REMEMBERED:
            self._lately.clear()
        self._lately[origin] = self._clock()


def _location_id(name: str) -> UUID | None:
    prefixed = name if name.startswith(f"{Kind.LOCATION.value}_") else f"{Kind.LOCATION.value}_{name}"
    try:
        return decode(Kind.LOCATION, prefixed.lower())
    except BadInputError:
        return None
