"""The OpenAPI description of a role's pages, served at `/openapi.json`."""

from __future__ import annotations

from typing import Any

from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST as CONTENT_TYPE
from pydantic import TypeAdapter

from pipeline import __version__
from pipeline.serve.answers import ARCHIVER_HEALTH, LIVE, WORKER_HEALTH

_REF = "#/components/schemas/{model}"


def document(role: str) -> dict[str, Any]:
    """The description for a `worker` or an `archiver`, OpenAPI 3.1."""
    schemas: dict[str, Any] = {}
    health = _schema(WORKER_HEALTH if role == "worker" else ARCHIVER_HEALTH, schemas)
    answer = {"description": "Ready.", "content": _json(health)}
    paths = {
        "/health": _get("Alive, and ready or why not", {"200": answer, "503": {**answer, "description": "Not ready."}}),
        "/metrics": _get(
            "Figures for Prometheus (OpenMetrics)",
            {"200": {"description": "All metrics.", "content": {CONTENT_TYPE: {"schema": {"type": "string"}}}}},
        ),
        "/openapi.json": _get("This description", {"200": {"description": "OpenAPI.", "content": _json({})}}),
    }
    if role == "worker":
        live = _schema(LIVE, schemas)
        paths["/live"] = _get("The current numbers", {"200": {"description": "Numbers.", "content": _json(live)}})
        stream = {
            "description": "Server-sent events, one a second: `event: live`, `data:` the same JSON as `/live`.",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        }
        busy = {"description": "Too many listeners: try again later."}
        paths["/live/stream"] = _get("The current numbers, again and again", {"200": stream, "503": busy})
    return {
        "openapi": "3.1.0",
        "info": {"title": f"Streamgauge {role}", "version": __version__},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _get(summary: str, responses: dict[str, Any]) -> dict[str, Any]:
    return {"get": {"summary": summary, "responses": responses}}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _schema(adapter: TypeAdapter[Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """Add a type and those it is made of to `schemas`; a reference to it."""
    made = adapter.json_schema(ref_template=_REF)
    schemas.update(made.pop("$defs", {}))
    schemas[made["title"]] = made
    return {"$ref": _REF.format(model=made["title"])}
