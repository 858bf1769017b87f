"""The process between the caller and the servers: starts them, restarts one that dies, and ends them after the caller.

Run by `start_embedded` as `python -m lead_orchestrator.embedded.guardian`: the request comes as a line on standard
input, which stays open as long as the caller lives; the answer is one line of JSON. It never has a second thread, and
on Linux the kernel tells the servers when it dies, so that not even `kill -9` leaves them behind.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path

from lead_orchestrator.embedded.cluster import Cluster, open_cluster, remove
from lead_orchestrator.embedded.files import FileLock, write_private
from lead_orchestrator.embedded.lifeline import Abandoned, Lifeline
from lead_orchestrator.embedded.ports import LOOPBACK, RememberedPorts
from lead_orchestrator.embedded.postgres import Postgres
from lead_orchestrator.embedded.request import StartRequest
from lead_orchestrator.embedded.server import Running, Server, start, stop_all
from lead_orchestrator.embedded.valkey import Valkey
from lead_orchestrator.errors import ConfigurationError

__all__ = ["main"]

LOOK_SECONDS = 0.5
ATTACH_SECONDS = 60.0

Addresses = dict[str, str]


def main() -> int:
    os.umask(0o077)
    lifeline = Lifeline(sys.stdin.fileno())
    try:
        request = StartRequest.from_line(lifeline.read_line())
        lifeline.expect_parent(request.parent_pid)
        serve(request, lifeline)
    except Abandoned:
        return 0
    except ConfigurationError as error:
        _answer({"error": str(error)})
        return 1
    except Exception as error:  # noqa: BLE001  # the caller must learn of it: this process has no one else
        traceback.print_exc()
        reason = f"{type(error).__name__}: {error}"
        _answer({"error": f"the embedded services failed ({reason}): set DATABASE_URL and REDIS_URL to do without"})
        return 1
    return 0


def serve(request: StartRequest, lifeline: Lifeline) -> None:
    """Own the data folder until the line breaks, or tell the addresses of the process that does."""
    lock = FileLock(request.data_dir / "lock")
    attached: list[Addresses] = []

    def settled() -> bool:
        if lock.take():
            return True
        attached.extend(_running_services(request.data_dir, lock))
        return bool(attached)

    if not lifeline.until(settled, ATTACH_SECONDS):
        raise ConfigurationError(
            f"{request.data_dir} is in use by process {lock.holder()}, which does not answer:"
            " stop it, or choose another folder"
        )
    if attached:
        _check_ports(request, attached[0])
        _answer(attached[0] | {"owned": False})
        return
    with _opened(request) as cluster, contextlib.ExitStack() as running:
        _run(request, cluster, running, lifeline)


@contextlib.contextmanager
def _opened(request: StartRequest) -> Iterator[Cluster]:
    (request.data_dir / "services.json").unlink(missing_ok=True)
    cluster = open_cluster(request.data_dir, ephemeral=request.ephemeral)
    try:
        yield cluster
    finally:
        if request.ephemeral:
            remove(cluster, request.data_dir)


def _run(request: StartRequest, cluster: Cluster, stack: contextlib.ExitStack, lifeline: Lifeline) -> None:
    ports = RememberedPorts(request.data_dir / "ports.json")
    asked: list[tuple[Server, int]] = [
        (Valkey(cluster), request.redis_port),
        (Postgres(cluster, request.durable), request.postgres_port),
    ]
    running: list[Running] = []
    stack.callback(lambda: stop_all(running))
    for server, port in asked:
        ports.check(server.name, port)
    for server, port in asked:
        server.prepare(lifeline)
        running.append(start(server, port, ports, lifeline))
    addresses = _addresses(cluster, redis_port=running[0].port, postgres_port=running[1].port)
    services = request.data_dir / "services.json"
    write_private(services, json.dumps(addresses | {"guardian": os.getpid()}))
    stack.callback(lambda: services.unlink(missing_ok=True))
    _answer(addresses | {"owned": True})
    while not lifeline.broken_within(LOOK_SECONDS):
        _restart_dead(running, ports, lifeline)


def _restart_dead(running: list[Running], ports: RememberedPorts, lifeline: Lifeline) -> None:
    for index, each in enumerate(running):
        if each.process.poll() is not None:
            sys.stderr.write(f"{each.server.name} ended with {each.process.returncode}: starting it again\n")
            sys.stderr.flush()
            running[index] = start(each.server, each.port, ports, lifeline)


def _addresses(cluster: Cluster, *, postgres_port: int, redis_port: int) -> Addresses:
    passwords = cluster.passwords
    return {
        "admin_url": f"postgresql://postgres:{passwords.postgres}@{LOOPBACK}:{postgres_port}/postgres",
        "redis_url": f"redis://:{passwords.valkey}@{LOOPBACK}:{redis_port}/0",
    }


def _running_services(data_dir: Path, lock: FileLock) -> list[Addresses]:
    """The addresses the lock's holder has written down; none while it starts or stops."""
    try:
        found = json.loads((data_dir / "services.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    if found.pop("guardian") != lock.holder():
        return []
    return [found]


def _check_ports(request: StartRequest, addresses: Addresses) -> None:
    for name, asked, address in (
        ("PostgreSQL", request.postgres_port, addresses["admin_url"]),
        ("Valkey", request.redis_port, addresses["redis_url"]),
    ):
        port = address.rpartition(":")[2].partition("/")[0]
        if asked and str(asked) != port:
            raise ConfigurationError(
                f"port {asked} was asked for the embedded {name}, but another process runs it on port {port}"
                f" for {request.data_dir}: stop that process, or ask for port {port} or 0"
            )


def _answer(answer: Mapping[str, object]) -> None:
    with contextlib.suppress(BrokenPipeError):
        os.write(sys.stdout.fileno(), json.dumps(answer).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main())
