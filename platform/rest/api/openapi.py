"""The OpenAPI 3.1 document, made of the declarations that validate the requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from lead_orchestrator.rest.api.edge import Operation
from lead_orchestrator.rest.api.models import ErrorOut

__all__ = ["document"]

_REFERENCE = "#/components/schemas/{model}"
_SAID: Mapping[int, str] = {
    400: "Something in the request is wrong: `field` leads to it",
    401: "The token is missing, wrong, expired or used",
    403: "The token's role may not, or a browser calls from a site that the shop does not list",
    404: "There is no such shop, or nothing of that kind that the caller sees",
    413: "The body is too large",
    415: "The body is not application/json",
    429: "Too many calls: `Retry-After` says when to come back",
    500: "Something went wrong on our side",
    503: "The database is away for the moment: `Retry-After` says when to come back",
}
_ALWAYS = (429, 500, 503)


def document(operations: Sequence[Operation], *, version: str, server: str | None = None) -> dict[str, Any]:
    """`server` is the address it is served at."""
    models = {model for operation in operations for model in (operation.body, operation.answer, ErrorOut) if model}
    ordered = sorted(models, key=lambda model: model.__name__)
    modes = [(model, "serialization" if model.__name__.endswith("Out") else "validation") for model in ordered]
    _, schemas = models_json_schema(modes, ref_template=_REFERENCE)  # type: ignore[arg-type]  # both are its modes
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Lead Orchestrator: survey and booking",
            "version": version,
            "description": "What partner sites, the survey page and the booking page call.",
        },
        **({"servers": [{"url": server}]} if server else {}),
        "paths": paths,
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {
                "staff": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "An access token"},
                "lead": {"type": "http", "scheme": "bearer", "description": "The token that POST /api/leads answered"},
            },
        },
    }


def _operation(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "parameters": [*_query(operation), *_headers(operation)],
        "responses": _responses(operation),
    }
    if operation.body is not None:
        schema = {"$ref": _REFERENCE.format(model=operation.body.__name__)}
        described["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    if operation.bearers:
        described["security"] = [{scheme: []} for scheme in operation.bearers]
    return described


def _query(operation: Operation) -> list[dict[str, Any]]:
    """One parameter for each field of the query's model."""
    if operation.query is None:
        return []
    schema = operation.query.model_json_schema(ref_template=_REFERENCE)
    needed = set(schema.get("required", ()))
    return [
        _parameter(name, "query", _without_null(given), required=name in needed)
        for name, given in schema["properties"].items()
    ]


def _headers(operation: Operation) -> list[dict[str, Any]]:
    said = "Another one for each request: the same request with the same key again is answered with what was made"
    schema = {"type": "string", "maxLength": 100, "description": said}
    return [_parameter(name, "header", schema, required=False) for name in operation.headers]


def _parameter(name: str, where: str, schema: dict[str, Any], *, required: bool) -> dict[str, Any]:
    schema = dict(schema)
    said = schema.pop("description", None)
    schema.pop("title", None)
    return {
        "name": name,
        "in": where,
        "required": required,
        "schema": schema,
        **({"description": said} if said else {}),
    }


def _without_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A parameter that is left out is no null."""
    ways = [way for way in schema.get("anyOf", ()) if way != {"type": "null"}]
    rest = {name: value for name, value in schema.items() if name not in {"anyOf", "default"}}
    return {**rest, **ways[0]} if len(ways) == 1 else rest


def _responses(operation: Operation) -> dict[str, Any]:
    refusals = {*_ALWAYS, 400, *operation.refusals}
    if operation.body is not None:
        refusals |= {413, 415}
    if operation.about_a_shop:
        refusals |= {403, 404}
    if operation.bearers:
        refusals |= {401, 403, 404}
    answered = {str(operation.status): _response(HTTPStatus(operation.status).phrase, operation.answer)}
    return answered | {str(status): _response(_SAID[status], ErrorOut) for status in sorted(refusals)}


def _response(said: str, model: type[BaseModel]) -> dict[str, Any]:
    schema = {"$ref": _REFERENCE.format(model=model.__name__)}
    return {"description": said, "content": {"application/json": {"schema": schema}}}
