"""Attacks on the routes beside GraphQL: the table of routes is what is called."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import random
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import httpx

from lead_orchestrator.ids import kind_of
from lead_orchestrator.tenancy.permissions import ROUTES
from tests.graphql.cross_tenant.arena import Arena, Caller
from tests.graphql.cross_tenant.canaries import Canaries, Fingerprint, texts_of
from tests.graphql.cross_tenant.forging import Forger, Pool
from tests.graphql.cross_tenant.fuzz import AT_ONCE, Watch, batched
from tests.graphql.cross_tenant.requests import REQUESTS, Request
from tests.graphql.cross_tenant.sides import Side
from tests.rest.api.shop import client
from tests.serving import serving

__all__ = ["Calls", "answered", "filled", "send", "shown_by", "unknown"]

ELSEWHERE = "* /graphql"
"""The one route with attacks of its own."""
REFUSED = 400
SHOWN = 800
ENDING = "POST /auth/"
"""Routes by which whoever has the secret ends somebody's tokens."""
PARTS = ("path", "query", "body", "form", "headers")
OF_SHOP = {
    *("locations.id", "locations.name", "locations.slug", "locations.address", "locations.phone", "locations.timezone"),
    *("service_catalog.id", "service_catalog.name", "service_catalog.description", "service_catalog.category"),
    "tenants.name",
}
"""What a shop shows to everybody."""
OF_SHOP_BY_NAME = {"location_id", "service_id"}
"""The same ids where other tables name them."""


async def filled(request: Request, side: Side) -> Request:
    """The request with this side's own values."""
    return replace(request, **{part: await side.resolved(getattr(request, part)) for part in PARTS})


async def send(http: httpx.AsyncClient, name: str, request: Request, token: str | None) -> httpx.Response:
    """As a client at an address of its own sends it, who follows no redirect."""
    method, _, path = name.partition(" ")
    for key, value in request.path.items():
        path = path.replace(f"{{{key}}}", str(value))
    headers = {**client(None), **{key: str(value) for key, value in request.headers.items()}}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    given: dict[str, Any] = {"json": request.body} if request.body is not None else {}
    if request.form is not None:
        given = {"data": dict(request.form)}
    return await http.request(method, path, params=dict(request.query), headers=headers, **given)


def shown_by(response: httpx.Response) -> Any:
    """All that a response tells; what it refuses may quote what was sent."""
    try:
        said: Any = response.json()
    except ValueError:
        said = response.text
    whole = [said, {name: value for name, value in response.headers.items() if name in {"location", "set-cookie"}}]
    return {"errors": whole} if response.status_code >= REFUSED else whole


@dataclass(frozen=True)
class _Call:
    """`opened`: it holds a secret of the caller's own."""

    name: str
    caller: Caller
    request: Request
    led: bool
    opened: bool

    @property
    def must_be_refused(self) -> bool:
        """Whether it asks for what is not the caller's, and nothing else."""
        names = any(kind_of(text) for part in PARTS for text in texts_of(getattr(self.request, part)))
        closed = self.request.by is not None or self.request.secret
        return (
            self.led
            and not self.request.unmoved
            and bool(closed)
            and (names or bool(self.request.secret))
            and not self.opened
        )


@dataclass
class Calls:
    """`requests` are the routes' right ones of the victim; figures as `Fuzz` has them."""

    arena: Arena
    http: httpx.AsyncClient
    seed: int
    only: Collection[str] = tuple(REQUESTS)
    problems: list[str] = field(default_factory=list)
    figures: Counter[str] = field(default_factory=Counter)
    denied: int = 0

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)  # noqa: S311 - attacks are to be repeated

    @property
    def attempts(self) -> int:
        return self.figures.total()

    async def run(self, callers: Sequence[Caller], pools: Mapping[str, tuple[Pool, Pool]], attempts: int) -> None:
        """Every route as everybody with what is right but for its secret, then forged ones; what ends a caller's access last."""
        victim, watch = callers[0].victim, Watch(callers[0].victim, self.problems)
        right = {name: await filled(REQUESTS[name], victim) for name in self.only}
        own = {
            (side.key, name): await filled(request, side)
            for side in {caller.own.key: caller.own for caller in callers}.values()
            for name, request in REQUESTS.items()
            if request.secret and name in right
        }
        await watch.begin()
        last = [name for name, request in right.items() if request.ends_caller]
        names = [name for name in right if name not in last]

        def made(caller: Caller, name: str, *, led: bool) -> _Call:
            forger = Forger(self.arena.core, self.rng, *pools[caller.name])
            return self._forged(caller, name, right[name], own.get((caller.own.key, name)), forger, led=led)

        led = [made(caller, name, led=True) for caller in callers for name in names]
        for several in batched(led, AT_ONCE):
            await self._attack(several, watch)
        while self.attempts < attempts - len(callers) * len(last):
            await self._attack(
                [made(self.rng.choice(callers), self.rng.choice(names), led=False) for _ in range(AT_ONCE)], watch
            )
        for caller in callers:
            await self._still_somebody(caller)
        for several in batched([made(caller, name, led=True) for caller in callers for name in last], AT_ONCE):
            await self._attack(several, watch)

    async def _still_somebody(self, caller: Caller) -> None:
        """Or what was refused was refused to nobody."""
        token = caller.token()
        if token is None:
            return
        asked = {"query": "{ viewer { role } }"}
        answer = await self.http.post("/graphql", json=asked, headers={"Authorization": f"Bearer {token}"})
        if "UNAUTHENTICATED" in answer.text:
            self.problems.append(f"{caller.name} attacked with a token that is no good: {answer.text}")

    def _forged(
        self, caller: Caller, name: str, right: Request, own: Request | None, forger: Forger, *, led: bool
    ) -> _Call:
        """`right` with another secret, and unless it is `led` with other ids."""
        opened = own is not None and not name.startswith(ENDING) and self.rng.random() < 0.2

        def value(part: str, key: str, given: Any) -> Any:
            if key in right.secret and own is not None:
                mine = str(getattr(own, part)[key])
                return mine if opened else self._false(str(given), mine)
            return given if led else self._other(given, forger)

        parts: dict[str, Any] = {
            part: {key: value(part, key, given) for key, given in getattr(right, part).items()}
            for part in PARTS
            if getattr(right, part) is not None
        }
        return _Call(name, caller, replace(right, **parts), led, opened)

    def _other(self, given: Any, forger: Forger) -> Any:
        if isinstance(given, Mapping):
            return {key: self._other(value, forger) for key, value in given.items()}
        if isinstance(given, list):
            return [self._other(value, forger) for value in given]
        if isinstance(given, str) and kind_of(given):
            return forger.identity(given)
        return given

    def _false(self, theirs: str, mine: str) -> str:
        """The victim's secret as it can be forged from one's own."""
        at = self.rng.randrange(len(theirs))
        turned = "A" if theirs[at] != "A" else "B"
        return self.rng.choice(
            [
                f"{theirs[:at]}{turned}{theirs[at + 1 :]}" if at < len(theirs) - 4 else theirs[:-6],
                theirs[: len(theirs) // 2],
                f"{theirs[: len(theirs) // 2]}{mine[len(mine) // 2 :]}",
                _grafted(theirs, mine),
                "somebody",
            ]
        )

    async def _attack(self, calls: Sequence[_Call], watch: Watch) -> None:
        """As `Fuzz` does it."""
        others = [call for call in calls if not call.request.open_to_all]
        told = await asyncio.gather(*(self._asked(call) for call in others))
        if await watch.look("\n".join(told)):
            for call in others:
                await watch.look(await self._asked(call))
        open_to_all = [call for call in calls if call.request.open_to_all]
        for call in open_to_all:
            await self._asked(call)
        if open_to_all:
            await watch.begin()

    async def _asked(self, call: _Call) -> str:
        request, what = call.request, f"{call.name} as {call.caller.name}"
        response = await send(self.http, call.name, request, call.caller.token())
        self.figures[call.caller.name] += 1
        self.denied += response.status_code >= REFUSED
        said = {part: getattr(request, part) for part in PARTS}
        told = f"{what}\n{json.dumps(said)[:SHOWN]}\n{response.status_code} {response.text[:SHOWN]}"
        found = _seen(call, response)
        if found:
            self.problems.append(f"{what} was told: {'; '.join(sorted(set(found)))}\n{told}")
        if response.status_code >= 500 and call.name != "GET /ready":
            self.problems.append(f"{what} broke something\n{told}")
        if call.must_be_refused and response.status_code < REFUSED:
            self.problems.append(f"{what} was not refused\n{told}")
        return told


def _seen(call: _Call, response: httpx.Response) -> Sequence[str]:
    secrets = call.caller.secrets
    if call.request.shows_shop:
        secrets = Canaries({text: where for text, where in secrets.values.items() if not _of_shop(where)})
    sent = frozenset(text for part in PARTS for text in texts_of({"": getattr(call.request, part)}))
    return secrets.found(shown_by(response), sent)


def _of_shop(where: str) -> bool:
    return where in OF_SHOP or where.partition(".")[2] in OF_SHOP_BY_NAME


def _grafted(theirs: str, mine: str) -> str:
    """What the victim's token says, under the seal of one's own."""
    try:
        one, other = (
            base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True) for text in (theirs, mine)
        )
    except (ValueError, binascii.Error):
        return f"{theirs}{mine}"
    return base64.urlsafe_b64encode(one[:-16] + other[-16:]).rstrip(b"=").decode()


async def answered(arena: Arena) -> Mapping[str, str | None]:
    """Of every route why its right request is of no use to whom it belongs to; None where it is, or is shown to be elsewhere."""
    ours = arena.seed.ours
    side, hidden = arena.side(ours), arena.side(ours, ours.hidden)
    canaries, watch = await arena.secrets(side), Fingerprint(side)
    found: dict[str, str | None] = {}
    async with serving(arena.settings) as http:
        for name, request in REQUESTS.items():
            right = await filled(request, hidden)
            before = await watch.read()
            token = arena.token(ours, request.by) if request.by else None
            response = await send(http, name, right, token)
            told = canaries.found(shown_by(response)) or await watch.read() != before
            useful = response.status_code < REFUSED and (told or not request.names_anything)
            said = f"{name} has no positive twin: {right}\n{response.status_code} {response.text[:SHOWN]}"
            found[name] = None if useful or request.elsewhere else said
    return found


def unknown() -> Sequence[str]:
    """Routes that have no request, and requests that have no route."""
    return sorted((set(ROUTES) - {ELSEWHERE}) ^ set(REQUESTS))
