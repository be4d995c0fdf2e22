"""The OpenAPI 3.1 description of the service, made from the same models that it validates with."""

from importlib.metadata import version
from typing import Any

from pydantic.json_schema import models_json_schema

from sandbox.job import Job, Result

_NDJSON = "application/x-ndjson"


def describe(token_required: bool) -> dict[str, Any]:
    """The description as plain data."""
    _, schema = models_json_schema(
        [(Job, "validation"), (Result, "serialization")], ref_template="#/components/schemas/{model}"
    )
    schemas: dict[str, Any] = schema["$defs"]
    bare_list = {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/JudgeCase"}}
    schemas["Job"]["properties"]["tests"]["anyOf"].insert(0, bare_list)
    schemas["Error"] = {
        "type": "object",
        "required": ["error"],
        "properties": {"error": {"type": "string", "description": "One sentence that names the thing and the place."}},
    }
    components: dict[str, Any] = {"schemas": schemas}
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "ringlite sandbox",
            "version": version("ringlite"),
            "description": "Runs and judges untrusted Python, C++ and Java in isolation. A program that fails is an "
            "answer (200 with its verdict), never an HTTP error.",
        },
        "paths": {
            "/v1/execute": {"post": _execute()},
            "/v1/batch": {"post": _batch()},
            "/health": {"get": _health()},
            "/metrics": {"get": _plain("metrics", "Prometheus metrics.", "text/plain", {"type": "string"})},
            "/openapi.json": {"get": _plain("openapi", "This description.", "application/json", {"type": "object"})},
        },
        "components": components,
    }
    if token_required:
        components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"token": []}]
        document["paths"]["/health"]["get"]["security"] = []
        for path, operations in document["paths"].items():
            for operation in operations.values():
                if path != "/health":
                    operation["responses"]["401"] = _error("The bearer token is missing or wrong.")
    return document


def _execute() -> dict[str, Any]:
    return {
        "operationId": "execute",
        "summary": "Run one job and answer with its verdict.",
        "requestBody": {"required": True, "content": {"application/json": {"schema": _ref("Job")}}},
        "responses": {
            "200": _content("The verdict with its evidence.", "application/json", _ref("Result")),
            **_refusals(),
        },
    }


def _batch() -> dict[str, Any]:
    return {
        "operationId": "batch",
        "summary": "Run a job per line; results stream back a line each, in the order of the request.",
        "requestBody": {"required": True, "content": {_NDJSON: {"schema": {"type": "string"}}}},
        "responses": {
            "200": _content(
                "One Result per line; a malformed line gets the verdict refused.", _NDJSON, {"type": "string"}
            ),
            **_refusals(),
        },
    }


def _health() -> dict[str, Any]:
    schema = {
        "type": "object",
        "required": ["status", "workers", "running", "waiting", "capacity", "isolation"],
        "properties": {
            "status": {"const": "ok"},
            "workers": {"type": "integer"},
            "running": {"type": "integer"},
            "waiting": {"type": "integer"},
            "capacity": {"type": "integer"},
            "isolation": {"type": "string"},
        },
    }
    return _plain("health", "Whether the service answers, and its load. Needs no token.", "application/json", schema)


def _plain(name: str, summary: str, media_type: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"operationId": name, "summary": summary, "responses": {"200": _content(summary, media_type, schema)}}


def _refusals() -> dict[str, Any]:
    busy = _error("Above capacity; try again after Retry-After seconds.")
    busy["headers"] = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}}}
    return {
        "408": _error("The body took too long to arrive."),
        "413": _error("The body is larger than the service accepts."),
        "422": _error("The job is malformed."),
        "429": busy,
        "503": _error("The host cannot give the isolation that was asked for."),
    }


def _error(description: str) -> dict[str, Any]:
    return _content(description, "application/json", _ref("Error"))


def _content(description: str, media_type: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {media_type: {"schema": schema}}}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}
