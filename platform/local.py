"""What a developer's machine lacks, made in `.local/`: Postgres, Valkey, passwords and keys. Never used in production."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import make_url

from lead_orchestrator.embedded import start_embedded
from lead_orchestrator.errors import ConfigurationError
from lead_orchestrator.log import get_logger
from lead_orchestrator.settings import Settings
from lead_orchestrator.tenancy.roles import DatabaseUrls, bootstrap, upgrade
from lead_orchestrator.tenancy.secrets import generate_key
from lead_orchestrator.tenancy.tokens import generate_private_key

__all__ = ["LOCAL", "NOTHING_GIVEN", "database_urls", "local_services"]

_log = get_logger(__name__)

LOCAL = Path(".local")
DATABASE = "lead_orchestrator"
_URLS = ("database_url", "database_visitor_url", "database_platform_url", "database_owner_url")
NOTHING_GIVEN: dict[str, None] = {
    "database_url": None,
    "database_visitor_url": None,
    "database_platform_url": None,
    "redis_url": None,
}
"""An update of settings that makes `local_services` start servers of its own."""

_ROLES = {
    "database_owner_url": "lead_owner",
    "database_url": "lead_app",
    "database_visitor_url": "lead_visitor",
    "database_platform_url": "lead_platform",
}


@asynccontextmanager
async def local_services(
    settings: Settings, *, folder: Path = LOCAL, ephemeral: bool = False, durable: bool | None = None
) -> AsyncIterator[Settings]:
    """The settings with everything that was missing: an embedded Postgres and Valkey, migrated, and keys.

    What is set is used as it is. In production nothing is made. Unless told, what is ephemeral is not durable either.

    Raises:
        ConfigurationError: some of the database addresses are set and others are not.
    """
    if settings.production:
        yield settings
        return
    settings = _with_keys(settings, folder)
    given = [name for name in (*_URLS[:3], "redis_url") if getattr(settings, name)]
    if given:
        missing = [name.upper() for name in (*_URLS[:3], "redis_url") if name not in given]
        if missing:
            raise ConfigurationError(f"{', '.join(missing)} must be set as well: either all of them are or none is")
        yield settings
        return
    with start_embedded(folder, ephemeral=ephemeral, durable=not ephemeral if durable is None else durable) as embedded:
        local = _with_embedded(settings, folder, embedded.admin_url, embedded.redis_url)
        if embedded.owned:
            await bootstrap(embedded.admin_url, database_urls(local))
            revision = await upgrade(local.database_owner_url or "")
            _log.info("database_ready", revision=revision)
        yield local


def database_urls(settings: Settings) -> DatabaseUrls:
    """All four addresses, as `migrate` needs them.

    Raises:
        ConfigurationError: one is missing.
    """
    missing = [name.upper() for name in _URLS if not getattr(settings, name)]
    if missing:
        raise ConfigurationError(f"{', '.join(missing)} must be set to migrate")
    return DatabaseUrls(
        owner=settings.database_owner_url or "",
        app=settings.database_url or "",
        visitor=settings.database_visitor_url or "",
        platform=settings.database_platform_url or "",
    )


def _with_embedded(settings: Settings, folder: Path, admin_url: str, redis_url: str) -> Settings:
    passwords = _kept(folder / "passwords.json", {name: lambda: secrets.token_urlsafe(24) for name in _ROLES.values()})
    admin = make_url(admin_url)
    urls = {
        name: admin.set(username=role, password=passwords[role], database=DATABASE).render_as_string(
            hide_password=False
        )
        for name, role in _ROLES.items()
    }
    return settings.model_copy(update={**urls, "database_admin_url": admin_url, "redis_url": redis_url})


def _with_keys(settings: Settings, folder: Path) -> Settings:
    if settings.secrets_key is not None and settings.jwt_private_key is not None:
        return settings
    keys = _kept(folder / "keys.json", {"secrets_key": generate_key, "jwt_private_key": generate_private_key})
    made = {name: keys[name] for name in keys if getattr(settings, name) is None}
    return Settings(**{**settings.model_dump(), **made})


def _kept(path: Path, makers: Mapping[str, Callable[[], str]]) -> dict[str, str]:
    """The values in `path`; those it lacks are made and kept for the next start, readable by this user alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kept: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    lacking = [name for name in makers if name not in kept]
    if lacking:
        kept.update({name: makers[name]() for name in lacking})
        scratch = path.with_suffix(".new")
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(kept, file)
        scratch.replace(path)
    return kept
