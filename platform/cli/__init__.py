"""`lead-orchestrator`: every process and every tool of the product. Exit codes: 0 done, 1 a problem was found, 2 wrong use."""

from __future__ import annotations

import typer
from sqlalchemy.exc import SQLAlchemyError

from lead_orchestrator.cli.accounts import issuer, users
from lead_orchestrator.cli.console import fail
from lead_orchestrator.cli.exports import openapi, schema
from lead_orchestrator.cli.measurements import bench, chaos, evaluate
from lead_orchestrator.cli.processes import demo, migrate, sandbox, serve, worker
from lead_orchestrator.cli.proofs import audit, doctor, secrets
from lead_orchestrator.cli.tenants import tenant
from lead_orchestrator.cli.tokens import token
from lead_orchestrator.errors import AppError

__all__ = ["app", "main"]

app = typer.Typer(
    pretty_exceptions_enable=False,  # it would print local variables, secrets among them
    no_args_is_help=True,
    add_completion=False,
    help="Turns website quotes into booked appointments, for many franchises.",
)
for command in (serve, worker, migrate, demo, sandbox, token, bench, chaos):
    app.command()(command)
app.command("eval")(evaluate)
app.command()(doctor)
app.add_typer(tenant, name="tenant")
app.add_typer(users, name="users")
app.add_typer(issuer, name="issuer")
app.add_typer(audit, name="audit")
app.add_typer(secrets, name="secrets")
app.add_typer(schema, name="schema")
app.add_typer(openapi, name="openapi")


def main() -> None:
    """The console script; expected failures are one sentence on standard error."""
    try:
        app()
    except AppError as error:
        fail(error.message)
    except SQLAlchemyError as error:
        fail(f"the database did not do its part ({type(error).__name__}): is it running, and migrated?")
