"""What only shows between processes: the cookie behind TLS, limits that all apis share, keys that are turned over meanwhile."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.cookies import SimpleCookie
from ipaddress import ip_address
from pathlib import Path
from uuid import uuid4

import asyncpg
import httpx
import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import SecretStr

from lead_orchestrator.administration.rotation import SEALED
from lead_orchestrator.rest.accounts import COOKIE, SECURE_COOKIE
from lead_orchestrator.sandbox.seed import SUN_SHADE
from lead_orchestrator.sandbox.signatures import sign_twilio_request
from lead_orchestrator.tenancy.secrets import SecretBox, generate_key
from lead_orchestrator.tenancy.tokens import Role
from tests.database import Cluster
from tests.http import open_http
from tests.messaging.inbound.line import text_form
from tests.processes import api_process, command
from tests.serving import serving
from tests.stack import Stack, open_stack
from tests.tenancy.accounts.office import PASSWORD, Office
from tests.webhooks.server import signed_headers

PER_MINUTE = 5
WRONG = "no-such-password-canary"
PATIENCE = 120.0
AWAITED = """SELECT EXISTS (SELECT FROM pg_locks
  WHERE locktype = 'transactionid' AND transactionid = pg_current_xact_id()::xid AND NOT granted)"""
"""Whether somebody waits for this very transaction."""


@dataclass(frozen=True)
class Apis:
    """Two processes of one product, this one and one of its own, whose keys are a `new` one and the old; `public` is the address of
    the one that is `behind` TLS."""

    office: Office
    behind: httpx.AsyncClient
    here: httpx.AsyncClient
    public: str
    trust: ssl.SSLContext
    keys: str
    folder: Path

    @property
    def stack(self) -> Stack:
        return self.office.stack

    @property
    def new(self) -> SecretBox:
        return SecretBox([self.keys.partition(",")[0]])

    def browser(self) -> httpx.AsyncClient:
        """It has a jar for cookies and keeps to their rules."""
        return httpx.AsyncClient(base_url=self.public, verify=self.trust, trust_env=False, timeout=PATIENCE)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


@pytest_asyncio.fixture(scope="module")
async def apis(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Apis]:
    folder, port = tmp_path_factory.mktemp("apis"), free_port()
    redis_url = cluster.redis_url.removesuffix("/0") + "/10"  # limits of its own
    trusted, own = certificate(folder)
    async with (
        tls(own, port) as public,
        cluster.clone("apis") as database,
        open_stack(database, redis_url, public_url=public, sign_in_attempts_per_minute=PER_MINUTE) as stack,
    ):
        assert stack.settings.secrets_key is not None
        keys = f"{generate_key()},{stack.settings.secrets_key.get_secret_value()}"
        turning = stack.settings.model_copy(update={"secrets_key": SecretStr(keys), "port": port})
        async with (
            api_process(turning, folder / "api.log"),
            serving(turning) as here,
            open_http(f"http://127.0.0.1:{port}", timeout=PATIENCE) as behind,
        ):
            yield Apis(Office(stack, behind), behind, here, public, trusted, keys, folder)


def certificate(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """What a client trusts and a server shows on loopback."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file = folder / "certificate.pem"
    file.write_bytes(private + made.public_bytes(Encoding.PEM))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    return ssl.create_default_context(cadata=made.public_bytes(Encoding.PEM).decode()), server


@asynccontextmanager
async def tls(own: ssl.SSLContext, port: int) -> AsyncIterator[str]:
    """A balancer that ends TLS and hands all on to `port`."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind_reader, behind_writer = await asyncio.open_connection("127.0.0.1", port)
        async with asyncio.TaskGroup() as both:
            both.create_task(relay(reader, behind_writer))
            both.create_task(relay(behind_reader, writer))

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while part := await reader.read(65_536):
                writer.write(part)
                await writer.drain()
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=own)
    async with server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        server.close()


def given(answer: httpx.Response) -> dict[str, dict[str, str]]:
    """The attributes of each cookie that are set, by its name."""
    read = SimpleCookie(answer.headers["set-cookie"])
    return {name: {key: value for key, value in one.items() if value != ""} for name, one in read.items()}


async def test_by_https_the_cookie_is_this_hosts_alone_and_browsers_keep_it(apis: Apis) -> None:
    person = await apis.office.member()
    asked = {"email": person.email, "password": PASSWORD}
    async with apis.browser() as browser:
        signed = await browser.post("/auth/sign-in", json=asked, headers={"Origin": apis.public})
        first = browser.cookies[SECURE_COOKIE]
        refreshed = await browser.post("/auth/refresh")
        second = browser.cookies[SECURE_COOKIE]
        elsewhere = await browser.post("/auth/sign-in", json=asked, headers={"Origin": apis.public.replace("s:", ":")})
        left = await browser.post("/auth/sign-out")

        assert (signed.status_code, refreshed.status_code, left.status_code) == (200, 200, 204)
        assert first != second
        assert SECURE_COOKIE.startswith("__Host-")
        kept = {"path": "/", "samesite": "strict", "secure": True, "httponly": True}
        for answer, age in ((signed, "7776000"), (refreshed, "7776000"), (left, "0")):
            assert given(answer) == {SECURE_COOKIE: {**kept, "max-age": age}}
        assert elsewhere.status_code == 403
        assert not browser.cookies
        assert (await browser.post("/auth/refresh")).status_code == 401


async def test_what_looks_like_the_cookie_of_http_is_none_by_https(apis: Apis) -> None:
    person = await apis.office.member()
    asked = {"email": person.email, "password": PASSWORD}
    async with apis.browser() as browser, open_http(str(apis.behind.base_url)) as plain:
        await browser.post("/auth/sign-in", json=asked)
        token = browser.cookies[SECURE_COOKIE]
        planted = await browser.post("/auth/refresh", headers={"Cookie": f"{COOKIE}={token}"})
        signed = await plain.post("/auth/sign-in", json=asked)
        unsafe = await plain.post("/auth/refresh")

    assert planted.status_code == 401
    assert (signed.status_code, unsafe.status_code) == (200, 401), "it is secure, and no client sends it by http"


async def test_all_processes_count_the_same_attempts(apis: Apis) -> None:
    began = time.monotonic()

    async def attempts(names: list[str], address: str) -> list[tuple[httpx.AsyncClient, httpx.Response]]:
        header = {"X-Forwarded-For": address}
        asked = [(api, {"email": name, "password": "wrong"}) for name in names for api in (apis.behind, apis.here)]
        return [(api, await api.post("/auth/sign-in", json=body, headers=header)) for api, body in asked]

    def most(rate: int) -> float:
        return rate + rate * (time.monotonic() - began) / 60 + 1

    account = await attempts(["nobody@example.com"] * 2 * PER_MINUTE, "203.0.113.7")
    address = await attempts([f"nobody{n}@example.com" for n in range(6 * PER_MINUTE)], "203.0.113.8")

    for answers, rate in ((account, PER_MINUTE), (address, 6 * PER_MINUTE)):
        counted = Counter(answer.status_code for _, answer in answers)
        assert set(counted) <= {401, 429}
        assert counted[401] <= most(rate)
        assert counted[401] + counted[429] == len(answers) > rate
        told = [(api, answer) for api, answer in answers if answer.status_code == 429]
        assert {api for api, _ in told} <= {apis.behind, apis.here}
        assert all(int(answer.headers["retry-after"]) > 0 for _, answer in told)


async def works(apis: Apis) -> list[int]:
    """What opens secrets, in each process: ShopMonkey's webhook and a text from Twilio."""
    return [status for api in (apis.behind, apis.here) for status in (await ordered(api), await texted(apis, api))]


async def ordered(api: httpx.AsyncClient) -> int:
    order = {"id": uuid4().hex, "locationId": SUN_SHADE.locations[0].id}
    body = json.dumps({"table": "order", "data": order}).encode()
    headers = signed_headers(body, SUN_SHADE.shopmonkey_webhook_secret)
    return (await api.post("/webhooks/shopmonkey/order", content=body, headers=headers)).status_code


async def texted(apis: Apis, api: httpx.AsyncClient) -> int:
    path, fields = "/webhooks/twilio/sms", text_form("+12135550188", "Hello", sid=f"SM{uuid4().hex}")
    signature = sign_twilio_request(SUN_SHADE.twilio_auth_token, apis.public + path, fields.items())
    return (await api.post(path, data=fields, headers={"X-Twilio-Signature": signature})).status_code


@asynccontextmanager
async def held(stack: Stack) -> AsyncIterator[Callable[[], Awaitable[bool]]]:
    """Nobody seals secrets of messaging meanwhile; what is yielded tells whether somebody waits to."""
    admin = await asyncpg.connect(stack.database.admin_url)

    async def waiting() -> bool:
        await admin.execute("SELECT pg_sleep(0.01)")
        return bool(await admin.fetchval(AWAITED))

    try:
        async with admin.transaction():
            await admin.execute("SELECT 1 FROM tenant_messaging_configs FOR UPDATE")
            yield waiting
    finally:
        await admin.close()


async def sealed_anew(apis: Apis) -> set[str]:
    """The columns of secrets that the new key opens alone."""
    return {f"{table}.{column}" for table, column, is_new in await stored(apis) if is_new}


async def stored(apis: Apis) -> list[tuple[str, str, bool]]:
    """Every secret there is, and whether the new key has sealed it."""
    return [
        (table, column, apis.new.is_newest(row[column]))
        for table, columns in SEALED.items()
        for row in await apis.stack.rows(f"SELECT {', '.join(columns)} FROM {table}")  # noqa: S608 - the product's names
        for column in columns
        if row[column] is not None
    ]


async def test_keys_are_turned_over_by_a_command_while_all_goes_on_and_nobody_tells_one(apis: Apis) -> None:
    stack, log = apis.stack, apis.folder / "rotate.log"
    owner = await apis.office.member(Role.OWNER)
    wrong = {"email": owner.email, "password": WRONG}
    assert (await apis.behind.post("/auth/sign-in", json=wrong)).status_code == 401
    rotate = command("secrets", "rotate", "--json", settings=stack.settings, log=log, SECRETS_KEY=apis.keys)
    async with asyncio.timeout(PATIENCE), rotate as rotating:
        async with held(stack) as waiting:
            while not await waiting():
                assert rotating.returncode is None, log.read_text()
            half, seen = await sealed_anew(apis), await works(apis)
        while rotating.returncode is None:
            seen += await works(apis)

    assert "tenant_crm_configs.api_key" in half
    assert not any(name.startswith("tenant_messaging_configs") for name in half)
    assert set(seen) == {200, 202}
    assert rotating.returncode == 0, log.read_text()
    assert all(is_new for *_, is_new in await stored(apis))
    assert await works(apis) == [202, 200] * 2
    assert (await apis.office.signed_in(owner)).access
    told = json.loads(log.read_text().splitlines()[-1])
    assert (told["tenants"], told["unreadable"]) == (1, [])
    assert told["secrets"] >= told["sealed"] >= 4
    [line] = await stack.rows(
        "SELECT detail FROM audit_log WHERE action = 'secrets.sealed_again' AND detail::text LIKE '%twilio%'"
    )
    assert line["detail"] == {"fields": ["sendgrid_api_key", "twilio_auth_token"]}
    said = "".join(file.read_text() for file in apis.folder.glob("*.log"))
    assert "sign_in_refused" in said
    trail = str(await stack.rows("SELECT actor, action, target, detail FROM audit_log"))
    kept = [*apis.keys.split(","), PASSWORD, WRONG, owner.email, "+1213555", str(owner.secret)]
    kept += [SUN_SHADE.shopmonkey_api_key, SUN_SHADE.shopmonkey_webhook_secret]
    kept += [SUN_SHADE.twilio_auth_token, SUN_SHADE.sendgrid_api_key]
    assert [secret for secret in kept if secret in said + trail] == []
