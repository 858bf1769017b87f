"""`lead-orchestrator schema` and `openapi`: the contracts, as the code has them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from lead_orchestrator.cli.console import print_text
from lead_orchestrator.errors import BadInputError
from lead_orchestrator.graphql.documents import MANIFEST
from lead_orchestrator.graphql.schema import documents_manifest, schema_sdl
from lead_orchestrator.rest.routes import openapi as openapi_document

__all__ = ["openapi", "schema"]

schema = typer.Typer(no_args_is_help=True, help="The GraphQL schema.")
openapi = typer.Typer(no_args_is_help=True, help="The OpenAPI document of the REST API.")


@schema.command("export")
def schema_export(
    file: Annotated[Path | None, typer.Option("--output", help="Write it there instead of printing it.")] = None,
) -> None:
    """Print the GraphQL schema in SDL."""
    print_text(schema_sdl(), file)


@schema.command("documents")
def schema_documents(
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 if the manifest is not up to date.")
    ] = False,
) -> None:
    """Make the manifest of the trusted documents from their files."""
    made = documents_manifest()
    if not check:
        MANIFEST.write_text(made)
    elif not MANIFEST.exists() or MANIFEST.read_text() != made:
        raise BadInputError(f"{MANIFEST.name} is not what the documents say: run `lead-orchestrator schema documents`")


@openapi.command("export")
def openapi_export(
    file: Annotated[Path | None, typer.Option("--output", help="Write it there instead of printing it.")] = None,
    server: Annotated[str | None, typer.Option("--server", help="The address that it names, as in PUBLIC_URL.")] = None,
) -> None:
    """Print the OpenAPI 3.1 document as JSON."""
    print_text(json.dumps(openapi_document(server), indent=2, ensure_ascii=False) + "\n", file)
