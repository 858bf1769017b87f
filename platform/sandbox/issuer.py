"""An identity provider in a process of its own: OpenID Connect discovery, published keys, and tokens that say what one likes.

    python -m lead_orchestrator.sandbox.issuer [--port 8085]

prints `listening on http://127.0.0.1:8085`, the issuer's name. `/.well-known/openid-configuration` and `/keys` are as a real one's;
what is below `/sandbox` is for whoever plays with it:

- `POST /sandbox/tokens {"claims": {…}, "kid": "…", "lifetime": 900}` answers with a signed token; `iss`, `iat` and `exp` are filled in.
- `POST /sandbox/keys {"kid": "…", "algorithm": "RS256" | "ES256" | "EdDSA"}` publishes a new key beside the others (or instead of the
  one of that name), and answers with its private half, so that a test can sign what no provider would; `DELETE /sandbox/keys/{kid}`
  withdraws one.
- `PUT /sandbox/answers/{path} {"status": 200, "headers": {…}, "body": "…", "then": "hold" | "stream"}` answers that path so from now
  on: "hold" says nothing more after the body and keeps the connection, "stream" repeats it without an end. `DELETE /sandbox/answers`
  is the end of that, and of what was counted.
- `GET /sandbox/asked` counts the requests by path.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import jwt
import uvicorn
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

__all__ = ["create_issuer", "main"]

FIRST_KEY = "one"
LIFETIME = 900
KINDS: dict[str, Callable[[], Any]] = {
    "RS256": lambda: rsa.generate_private_key(65537, 2048),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}


class _Issuer:
    """`keys` are by id the algorithm and the private key, `answers` what paths answer with instead of the truth."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.keys: dict[str, tuple[str, Any]] = {FIRST_KEY: ("RS256", KINDS["RS256"]())}
        self.answers: dict[str, dict[str, Any]] = {}
        self.asked: Counter[str] = Counter()

    async def publish(self, request: Request) -> Response:
        """Discovery and keys, or what somebody wants answered there."""
        path = request.url.path
        self.asked[path] += 1
        if path in self.answers:
            return _told(**self.answers[path])
        if path == "/keys":
            return JSONResponse({"keys": [self._jwk(kid) for kid in self.keys]})
        if path != "/.well-known/openid-configuration":
            return PlainTextResponse("there is nothing here", status_code=404)
        algorithms = sorted({algorithm for algorithm, _ in self.keys.values()})
        return JSONResponse(
            {
                "issuer": self.url,
                "jwks_uri": f"{self.url}/keys",
                "authorization_endpoint": f"{self.url}/authorize",
                "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": algorithms,
            }
        )

    async def token(self, request: Request) -> Response:
        asked = await request.json()
        kid = asked.get("kid") or next(iter(self.keys))
        algorithm, private = self.keys[kid]
        now = int(time.time())
        stated = {"iss": self.url, "iat": now, "exp": now + asked.get("lifetime", LIFETIME), **asked.get("claims", {})}
        return JSONResponse({"token": jwt.encode(stated, private, algorithm, headers={"kid": kid})})

    async def add_key(self, request: Request) -> Response:
        asked = await request.json()
        kid, algorithm = asked["kid"], asked.get("algorithm", "RS256")
        private = KINDS[algorithm]()
        self.keys[kid] = algorithm, private
        pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return JSONResponse({"kid": kid, "algorithm": algorithm, "privateKey": pem.decode()})

    async def withdraw_key(self, request: Request) -> Response:
        self.keys.pop(request.path_params["kid"], None)
        return Response(status_code=204)

    async def answer(self, request: Request) -> Response:
        self.answers[f"/{request.path_params['path']}"] = await request.json()
        return Response(status_code=204)

    async def forget(self, _request: Request) -> Response:
        self.answers.clear()
        self.asked.clear()
        return Response(status_code=204)

    async def counted(self, _request: Request) -> Response:
        return JSONResponse(self.asked)

    def _jwk(self, kid: str) -> dict[str, Any]:
        algorithm, private = self.keys[kid]
        made = jwt.get_algorithm_by_name(algorithm).to_jwk(private.public_key(), as_dict=True)
        return {**made, "kid": kid, "alg": algorithm, "use": "sig"}


def _told(
    status: int = 200, headers: dict[str, str] | None = None, body: str = "", then: str | None = None
) -> Response:
    async def parts() -> AsyncIterator[str]:
        yield body
        while then == "stream":
            await asyncio.sleep(0)  # whoever listens may have gone
            yield body
        await asyncio.Event().wait()

    given = {"content-type": "application/json", **(headers or {})}
    return StreamingResponse(parts(), status, given) if then else Response(body, status, given)


def create_issuer(url: str) -> Starlette:
    """The provider that says it is at `url`."""
    issuer = _Issuer(url)
    return Starlette(
        routes=[
            Route("/sandbox/tokens", issuer.token, methods=["POST"]),
            Route("/sandbox/keys", issuer.add_key, methods=["POST"]),
            Route("/sandbox/keys/{kid}", issuer.withdraw_key, methods=["DELETE"]),
            Route("/sandbox/answers/{path:path}", issuer.answer, methods=["PUT"]),
            Route("/sandbox/answers", issuer.forget, methods=["DELETE"]),
            Route("/sandbox/asked", issuer.counted),
            Route("/{path:path}", issuer.publish),
        ]
    )


def main() -> None:
    """Serve until somebody ends the process."""
    parser = argparse.ArgumentParser(prog="python -m lead_orchestrator.sandbox.issuer", description=__doc__)
    parser.add_argument("--port", type=int, default=8085, help="0 takes a free one")
    with socket.create_server(("127.0.0.1", parser.parse_args().port)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        sys.stdout.write(f"listening on {url}\n")
        sys.stdout.flush()
        config = uvicorn.Config(create_issuer(url), log_level="warning", timeout_graceful_shutdown=1)
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
