"""Starts everything, onboards two franchises, fires one website quote and tells what happened."""

from __future__ import annotations

import asyncio
import json
import secrets
import signal
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import httpx
import uvicorn
import yaml
from pydantic import SecretStr
from rich.console import Console

from lead_orchestrator.app import open_app, server_config
from lead_orchestrator.demo import staff
from lead_orchestrator.demo.chat import book_by_chat
from lead_orchestrator.demo.clock import WindingClock
from lead_orchestrator.demo.franchises import SHOP_TIME, SHOP_ZONE, describe, sendgrid_route_key, slug
from lead_orchestrator.demo.survey import SURVEY, book_by_survey
from lead_orchestrator.errors import AppError, ConfigurationError
from lead_orchestrator.jobs.worker import create_worker
from lead_orchestrator.leads.surveys.service import set_survey
from lead_orchestrator.local import LOCAL, local_services
from lead_orchestrator.log import get_logger
from lead_orchestrator.sandbox.openai_world import MODEL
from lead_orchestrator.sandbox.seed import (
    DEMO_FRANCHISES,
    PLATFORM_FROM_EMAIL,
    PLATFORM_SENDGRID_KEY,
    SUN_SHADE,
    demo_world,
)
from lead_orchestrator.sandbox.server import SandboxServer
from lead_orchestrator.services import Services, open_services, token_issuer
from lead_orchestrator.settings import Settings
from lead_orchestrator.tenancy.franchise import read_franchise
from lead_orchestrator.tenancy.sessions import Scope
from lead_orchestrator.tenancy.tokens import Role

_log = get_logger(__name__)

__all__ = ["check", "listen", "run", "run_api", "run_worker"]

TOKENS_LIVE = timedelta(hours=24)
FIRST_TEXT_SECONDS = 30.0
SANDBOX_PORT = 4000
FIRST_SHOP, ANOTHER_SHOP = (slug(f"{SUN_SHADE.name} {shop.name}") for shop in SUN_SHADE.locations[:2])
VERIFY_TOKEN = "demo-whatsapp-verify-token"  # noqa: S105  # a sample
AREA_CODES = ("213", "310", "323", "424", "562", "626", "747", "818")
FIRST_NAMES = ("Maya", "Omar", "Grace", "Diego", "Ines", "Theo", "Nadia", "Luca")


@dataclass(frozen=True)
class Demo:
    """The running demo; `begun` is when its first franchise's file was about to be read."""

    api: str
    sandbox: SandboxServer
    services: Services
    tenants: Mapping[str, UUID]
    begun: float


async def run(
    settings: Settings, console: Console, *, port: int | None = None, sandbox_port: int = SANDBOX_PORT
) -> None:
    """Run until Ctrl-C or SIGTERM."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with _demo(settings, LOCAL, port if port is not None else settings.port, sandbox_port) as demo:
        milliseconds, text = await first_text(demo)
        await _tell(console, demo, milliseconds, text)
        await stop.wait()
        console.print("\nStopping …")


async def check(settings: Settings) -> dict[str, object]:
    """Run in a throw-away folder on free ports until the first text arrived; what `--check` prints."""
    with tempfile.TemporaryDirectory(prefix="lead-demo-") as folder:
        async with _demo(settings, Path(folder), 0, 0, ephemeral=True) as demo:
            milliseconds, text = await first_text(demo)
            since_file = time.monotonic() - demo.begun
            token = tokens(demo)["OWNER"]
            booked, seen = await asyncio.gather(book_by_chat(text, token), _look_around(demo, token))
            return {
                "ok": True,
                "quoteToFirstTextMs": milliseconds,
                "fileToFirstTextMs": round(since_file * 1000),
                **seen,
                "chatBookedMs": booked,
                "api": demo.api,
                "sandbox": demo.sandbox.url,
            }


@asynccontextmanager
async def _demo(
    settings: Settings, folder: Path, port: int, sandbox_port: int, *, ephemeral: bool = False
) -> AsyncIterator[Demo]:
    if settings.production:
        raise ConfigurationError("the demo does not run in production: unset ENVIRONMENT")
    listener = listen(settings.host, port)
    api = f"http://{settings.host}:{listener.getsockname()[1]}"
    async with AsyncExitStack() as stack:
        stack.callback(listener.close)
        local = await stack.enter_async_context(local_services(settings, folder=folder, ephemeral=ephemeral))
        world = demo_world(product_url=api)
        sandbox = await stack.enter_async_context(SandboxServer(world, host=settings.host, port=sandbox_port))
        local = local.model_copy(
            update={
                "public_url": api,
                "shopmonkey_base_url": sandbox.shopmonkey_url,
                "twilio_base_url": sandbox.twilio_url,
                "sendgrid_base_url": sandbox.sendgrid_url,
                "whatsapp_base_url": sandbox.whatsapp_url,
                "google_base_url": sandbox.google_url,
                "openai_base_url": sandbox.openai_url,
                "openai_api_key": SecretStr("sk-demo"),
                "openai_model": MODEL,
                "platform_sendgrid_api_key": SecretStr(PLATFORM_SENDGRID_KEY),
                "platform_from_email": PLATFORM_FROM_EMAIL,
                "google_client_id": sandbox.world.google.client_id,
                "google_client_secret": SecretStr(sandbox.world.google.client_secret),
                "whatsapp_app_secret": SecretStr(world.whatsapp_app.secret),
                "whatsapp_verify_token": SecretStr(VERIFY_TOKEN),
            }
        )
        services = await stack.enter_async_context(open_services(local))
        clock = WindingClock(services, local.database_owner_url or "")
        stack.push_async_callback(clock.close)
        sandbox.sandbox.clock = clock
        await clock.start_at(SHOP_TIME, SHOP_ZONE)
        files = _write_files(folder / "franchises", await _event_keys(sandbox))
        begun = time.monotonic()
        tenants = {name: await _onboard(services, file) for name, file in files.items()}
        await staff.hire(services, tenants[SUN_SHADE.name])
        await stack.enter_async_context(run_worker(local))
        await stack.enter_async_context(run_api(local, listener))
        await _register(sandbox, api)
        yield Demo(api, sandbox, services, tenants, begun)


def listen(host: str, port: int) -> socket.socket:
    """A bound socket; 0 takes a free port.

    Raises:
        ConfigurationError: the port is taken.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        message = (
            f"port {port} of {host} cannot be used ({error.strerror}): stop what uses it, or set PORT to another one"
        )
        raise ConfigurationError(message) from None
    return listener


async def _event_keys(sandbox: SandboxServer) -> dict[str, str]:
    """What SendGrid's console shows: the key that verifies each franchise's events."""
    async with httpx.AsyncClient(base_url=sandbox.url) as http:
        shown = (await http.get("/callbacks")).raise_for_status().json()
    return {account["company"]: account["verificationKey"] for account in shown["mails"]}


async def _register(sandbox: SandboxServer, api: str) -> None:
    """Tell the services where to post, as somebody would in each one's console."""
    whatsapp = {"whatsappUrl": f"{api}/webhooks/whatsapp", "whatsappVerifyToken": VERIFY_TOKEN}
    async with httpx.AsyncClient(base_url=sandbox.url, timeout=20) as http:
        for franchise in DEMO_FRANCHISES:
            key = sendgrid_route_key(franchise)
            mail = {
                "company": franchise.name,
                "smsUrl": f"{api}/webhooks/twilio/sms",
                "mailEventsUrl": f"{api}/webhooks/sendgrid/events/{key}",
                "inboundMailHost": franchise.sender_domain,
                "inboundMailUrl": f"{api}/webhooks/sendgrid/inbound/{key}",
            }
            (await http.post("/callbacks", json=mail)).raise_for_status()
        (await http.post("/callbacks", json=whatsapp)).raise_for_status()


def _write_files(folder: Path, event_keys: Mapping[str, str]) -> dict[str, Path]:
    """The two franchises' onboarding files, by name: what `tenant onboard` takes."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {one.name: folder / f"{slug(one.name)}.yaml" for one in DEMO_FRANCHISES}
    for one in DEMO_FRANCHISES:
        described = describe(one, event_key=event_keys[one.name])
        files[one.name].write_text(yaml.safe_dump(described, sort_keys=False), encoding="utf-8")
    return files


async def _onboard(services: Services, file: Path) -> UUID:
    """As `tenant onboard FILE` does, and the survey."""
    made = await services.saga.onboard(read_franchise(file), actor="demo")
    async with services.tenancy.write(Scope.service(made.tenant_id, "demo")) as session:
        for location_id in made.location_ids.values():
            await set_survey(session, location_id, SURVEY)
    return made.tenant_id


@asynccontextmanager
async def run_worker(settings: Settings) -> AsyncIterator[None]:
    """A worker in this process while the block lasts."""
    worker = create_worker(settings, handle_signals=False)
    running = asyncio.create_task(worker.async_run())
    try:
        async with asyncio.timeout(60):
            while "ticker" not in worker.ctx and not running.done():  # noqa: ASYNC110 - arq rings no bell
                await asyncio.sleep(0.01)
        yield
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await worker.close()


@asynccontextmanager
async def run_api(settings: Settings, listener: socket.socket) -> AsyncIterator[None]:
    """The api on `listener`, in this process, while the block lasts."""
    async with open_app(settings) as app:
        server = uvicorn.Server(server_config(app, settings))
        serving = asyncio.create_task(server._serve(sockets=[listener]))  # noqa: SLF001 - serve() would take the signals
        try:
            async with asyncio.timeout(30):
                while not server.started:  # noqa: ASYNC110 - uvicorn rings no bell
                    await asyncio.sleep(0.01)
            yield
        finally:
            server.should_exit = True
            await serving


def customer() -> dict[str, object]:
    """Somebody new each time, since a customer who is known already gets no first text again."""
    name = secrets.choice(FIRST_NAMES)
    phone = f"+1{secrets.choice(AREA_CODES)}55501{secrets.randbelow(100):02d}"
    return {
        "locationId": SUN_SHADE.locations[0].id,
        "firstName": name,
        "lastName": "Rivera",
        "phone": phone,
        "email": f"{name.lower()}.{phone[2:]}@example.com",
        "vehicle": {"year": 2022, "make": "Tesla", "model": "Model 3"},
        "services": ["Ultimate Full Vehicle Ceramic Tint"],
    }


async def first_text(demo: Demo) -> tuple[float, str]:
    """Fire one website quote; returns the milliseconds until Twilio had taken the text, and the text.

    Raises:
        AppError: no text within 30 seconds.
    """
    quote = customer()
    async with httpx.AsyncClient(base_url=demo.sandbox.url, timeout=10) as http:
        placed = (await http.post("/quotes", json=quote)).raise_for_status().json()
        _log.info("website_quote", location_id=quote["locationId"], order_id=placed["orderId"])
        try:
            async with asyncio.timeout(FIRST_TEXT_SECONDS):
                while True:
                    for message in reversed(demo.sandbox.world.messages):
                        if message.to == quote["phone"] and message.accepted_at >= placed["at"]:
                            return message.accepted_at - placed["at"], message.body
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AppError(f"no text within {FIRST_TEXT_SECONDS:.0f} seconds of the quote: see the log above") from None


async def _look_around(demo: Demo, token: str) -> dict[str, object]:
    """What somebody does who tries the demo, but for the chat; at another shop, so that the two take no time from each other."""
    seen = await _answers(demo, token)
    await staff.sign_in(demo.api)
    await book_by_survey(demo.api, demo.sandbox, ANOTHER_SHOP)
    return seen


async def _answers(demo: Demo, token: str) -> dict[str, object]:
    """The api is ready; it shows its tenant the locations that were onboarded, and the lead and how it came."""
    query = {"query": "{ locations(first: 100) { totalCount } leads(first: 1) { edges { node { source } } } }"}
    async with httpx.AsyncClient(base_url=demo.api, timeout=10) as http:
        ready = await http.get("/ready")
        answer = (await http.post("/graphql", json=query, headers={"Authorization": f"Bearer {token}"})).json()
    if ready.status_code != httpx.codes.OK:
        raise AppError(f"the api is not ready: {json.dumps(ready.json()['checks'])}")
    if "errors" in answer or not answer["data"]["leads"]["edges"]:
        raise AppError(f"GraphQL did not show the lead: {json.dumps(answer)}")
    seen = answer["data"]
    return {"locations": seen["locations"]["totalCount"], "leadSource": seen["leads"]["edges"][0]["node"]["source"]}


def tokens(demo: Demo) -> dict[str, str]:
    """One token a role, good for 24 hours, of Sun Shade Tint."""
    issuer = token_issuer(demo.services.settings.model_copy(update={"public_url": demo.api}))
    tenant = demo.tenants[SUN_SHADE.name]
    staff = {
        role.value: issuer.issue(
            subject=f"demo:{role.value.lower()}", role=role, tenant_id=tenant, location_ids=None, lifetime=TOKENS_LIVE
        )
        for role in (Role.OWNER, Role.MANAGER, Role.AGENT)
    }
    admin = issuer.issue(
        subject="demo:platform_admin", role=Role.PLATFORM_ADMIN, tenant_id=None, location_ids=None, lifetime=TOKENS_LIVE
    )
    return {**staff, Role.PLATFORM_ADMIN.value: admin}


async def _tell(console: Console, demo: Demo, milliseconds: float, text: str) -> None:
    console.rule("Lead Orchestrator")
    console.print(f"Quote to first text: {milliseconds:.0f} ms. The customer's phone shows:", highlight=False)
    console.print(f"  “{text}”\n", highlight=False, markup=False)
    for name, url in (
        ("GraphQL", f"{demo.api}/graphql"),
        ("Health", f"{demo.api}/ready"),
        ("Ask for a quote", f"{demo.sandbox.url}/quote"),
        ("Answer the survey", f"{demo.api}/survey/{FIRST_SHOP}"),
        ("Book a time", f"{demo.api}/book/{FIRST_SHOP}"),
        ("REST, described", f"{demo.api}/api/openapi.json"),
        ("Customers' phones", f"{demo.sandbox.url}/phone"),
        ("Wind the clock", f"{demo.sandbox.url}/clock"),
        ("Break things", f"{demo.sandbox.url}/faults"),
    ):
        console.print(f"  {name:<18} {url}", highlight=False)
    console.print(f"\nStaff of Sun Shade Tint sign in at POST {demo.api}/auth/sign-in with", highlight=False)
    for held, email in staff.STAFF.items():
        console.print(f"  {held.value:<18} {email} and {staff.PASSWORD}", highlight=False, markup=False)
    console.print("\nTokens of Sun Shade Tint (24 h); send one as `Authorization: Bearer …`:", highlight=False)
    for role, token in tokens(demo).items():
        console.print(f"  {role}\n  {token}", highlight=False, soft_wrap=True, markup=False)
    console.print(
        "\nThe shop's clock shows 10:00. Ctrl-C stops everything; what was stored stays in .local/.", highlight=False
    )
