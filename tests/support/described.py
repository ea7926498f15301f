"""Holds every answer of a bridge in a test to what the OpenAPI document says of it.

Nothing may be in an answer that is not described: objects are closed, unless they are said to be
open. A test that runs a bridge fails at its end with all answers that were not as described.
"""

import gzip
import json
from functools import cache
from typing import Any

from aiohttp import web
from jsonschema_rs import Draft202012Validator

from bridge.api.openapi import OPERATIONS, document
from bridge.api.server.middleware import CLIENT_CLOSED_REQUEST, from_sibling
from bridge.wire.node_signature import HEADER

JSON = "application/json"
SHOWN = 600
"""Characters of a wrong answer that are shown."""


class Described:
    """What was wrong with the answers of one bridge."""

    def __init__(self, application: web.Application) -> None:
        """Look at all answers from now on; the application has not started yet."""
        self.wrong: list[str] = []
        application.on_response_prepare.append(self._look)

    def check(self) -> None:
        """Fail if an answer was not as described."""
        assert not self.wrong, "not as /openapi.json says:\n" + "\n".join(self.wrong)

    async def _look(self, request: web.Request, response: web.StreamResponse) -> None:
        resource = request.match_info.route.resource
        key = (request.method, resource.canonical if resource is not None else "")
        if (
            key not in OPERATIONS
            or from_sibling(request)
            or response.status in (304, CLIENT_CLOSED_REQUEST)
            or HEADER in response.headers
        ):
            return
        trouble = fault(*key, response)
        if trouble is not None:
            self.wrong.append(f"{request.method} {request.path_qs}: {trouble}")


def fault(method: str, path: str, response: web.StreamResponse) -> str | None:
    """Say what is not as described; None when all is well."""
    answers = _answers(method, path)
    if response.status not in answers:
        return f"answers {response.status}, which is not described: {_text(response)}"
    schema = answers[response.status]
    if schema is None or not isinstance(response, web.Response):
        return None
    if response.content_type != JSON:
        return f"{response.status} is {response.content_type}, not {JSON}"
    try:
        told = json.loads(_text(response))
    except ValueError:
        return f"{response.status} is no JSON: {_text(response)[:SHOWN]}"
    problems = [f"{e.instance_path}: {e.message}" for e in schema.iter_errors(told)]
    return f"{response.status}: {'; '.join(problems)[:SHOWN]}" if problems else None


def closed(schema: Any, *, outer: bool = True) -> Any:
    """Return a schema without references whose objects hold nothing that is not described."""
    if isinstance(schema, list):
        return [closed(part, outer=outer) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        named = document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return closed(named, outer=outer)
    inner = {
        name: {field: closed(part) for field, part in value.items()}
        if name == "properties"
        else value
        if name in ("const", "enum", "required", "examples", "default")
        else closed(value, outer=outer and name != "allOf")
        for name, value in schema.items()
    }
    is_object = "properties" in inner or "allOf" in inner
    if outer and is_object and "additionalProperties" not in inner:
        inner["unevaluatedProperties"] = False
    return inner


@cache
def _answers(method: str, path: str) -> dict[int, Any]:
    described = document()["paths"][path][method.lower()]["responses"]
    found: dict[int, Any] = {}
    for status, answer in described.items():
        content = answer.get("content", {})
        schema = content.get(JSON, {}).get("schema")
        found[int(status)] = None if schema is None else Draft202012Validator(closed(schema))
    return found


def _text(response: web.StreamResponse) -> str:
    body = response.body if isinstance(response, web.Response) else b""
    if not isinstance(body, bytes):
        return ""
    packed = response.headers.get("Content-Encoding") == "gzip"
    return (gzip.decompress(body) if packed else body).decode(errors="replace")
