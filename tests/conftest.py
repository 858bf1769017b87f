"""Fixtures everybody needs: a real Postgres and Valkey, a migrated database, sessions of tenants."""

from __future__ import annotations

import gc
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings

from lead_orchestrator.db import Engines
from lead_orchestrator.embedded import start_embedded
from lead_orchestrator.tenancy.lookups import Lookups
from lead_orchestrator.tenancy.secrets import SecretBox, generate_key
from lead_orchestrator.tenancy.sessions import Tenancy
from tests.database import Cluster, TestDatabase, prepare_template

# How fast a machine is, which others may use as well, decides no test.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


def pytest_collection_finish() -> None:
    """What is imported by now stays until the end: the collector need not look through it for every test again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def embedded() -> Iterator[Cluster]:
    """Postgres and Valkey of this test process, thrown away at its end."""
    with (
        tempfile.TemporaryDirectory(prefix="lead-tests-") as folder,
        start_embedded(Path(folder), ephemeral=True, durable=False) as services,
    ):
        yield Cluster(services.admin_url, services.redis_url)


@pytest_asyncio.fixture(scope="session")
async def cluster(embedded: Cluster) -> Cluster:
    await prepare_template(embedded)
    return embedded


@pytest_asyncio.fixture(scope="session")
async def database(cluster: Cluster) -> AsyncIterator[TestDatabase]:
    """The database most tests share: each makes tenants of its own, and tenants do not see each other."""
    async with cluster.clone("shared") as database:
        yield database


@pytest_asyncio.fixture
async def fresh_database(cluster: Cluster) -> AsyncIterator[TestDatabase]:
    """A database of this test's own."""
    async with cluster.clone() as database:
        yield database


@pytest_asyncio.fixture(scope="session")
async def engines(database: TestDatabase) -> AsyncIterator[Engines]:
    urls = database.urls
    engines = Engines.open(urls.app, urls.visitor, urls.platform, size=5)
    yield engines
    await engines.dispose()


@pytest.fixture(scope="session")
def tenancy(engines: Engines) -> Tenancy:
    return Tenancy(engines)


@pytest.fixture(scope="session")
def lookups(engines: Engines) -> Lookups:
    return Lookups(engines.app)


@pytest.fixture(scope="session")
def secret_box() -> SecretBox:
    return SecretBox([generate_key()])
