"""The whole API as an OpenAPI 3.1 document, at `/openapi.json`.

Sockets stand in it as requests that answer 101; what goes over them is told at `/docs`.
https://spec.openapis.org/oas/v3.1.1.html
"""

import gzip
import json
import re
from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web

from bridge import __version__
from bridge.api import all_operations
from bridge.api.server.operation import BARE, FILE, JSON, NOBODY, Context, Group, Operation, Schema
from bridge.api.server.page_files import accepts_gzip
from bridge.api.server.schemas import REF, Schemas


def _error(*optional: str, about: str = "", **fields: Schema) -> Schema:
    """Return the schema of an error; the optional fields are strings, unless they are described."""
    more = {name: _TEXT for name in optional if name not in fields}
    required = [name for name in fields if name not in optional]
    schema = {"type": "object", "properties": fields | more, "required": required}
    return schema | ({"description": about} if about else {})


def _api_key(place: str, name: str = "token", **more: str) -> Schema:
    return {"type": "apiKey", "in": place, "name": name, **more}


_TEXT: Final = {"type": "string"}
ERRORS: Final = {
    "NativeError": _error(
        "field",
        "data",
        "callId",
        code={"type": "integer"},
        error=_TEXT,
        success={"const": False},
        field=_TEXT | {"description": "the part of the request that is wrong"},
        data={"type": "object"},
        callId=_TEXT | {"description": "of a refused dial: the call, which has ended"},
    ),
    "ChirpError": _error("field", "callId", error=_TEXT),
    "PlainError": _TEXT | {"description": "Plain text, as LiveKit's SDKs show it."},
    "WadialError": _error(
        error=_error("field", "callId", code=_TEXT, message=_TEXT),
        about="WADial documents no form; this one is ours.",
    ),
    "WavixError": _error(
        "errors",
        "error",
        "callId",
        success={"const": False},
        message=_TEXT,
        errors={"type": "object", "additionalProperties": _TEXT},
        error={"const": True},
        callId=_TEXT | {"description": "of a refused dial"},
        about="`errors` has each wrong field; `error` is there with 401, 403 and 404.",
    ),
}
SECURITY: Final[Mapping[str, Schema]] = {
    "token": _api_key("header"),
    "bearer": {"type": "http", "scheme": "bearer"},
    "admin": _api_key("header", description="admin.keys"),
    "adminBearer": {"type": "http", "scheme": "bearer", "description": "admin.keys"},
    "adminHeader": _api_key(
        "header",
        "Authorization",
        description="admin.keys, without `Bearer`, as ZuckZapGo's clients send it",
    ),
    "console": _api_key(
        "header", description="console.keys; in the demonstration the token of the start"
    ),
    "consoleBearer": {"type": "http", "scheme": "bearer", "description": "console.keys"},
    "query": _api_key("query"),
    "appid": _api_key("query", "appid"),
    "ticket": _api_key(
        "header",
        description="a ticket from POST /call/{callId}/ticket; good for one party of one call",
    ),
    "accessToken": _api_key(
        "query", "access_token", description="a ticket, as LiveKit's SDKs send it"
    ),
    "ticketQuery": _api_key("query", description="a ticket, on WebSockets and event streams"),
}
_PARAMETER: Final = re.compile(r"\{(\w+)\}")

SITE: Final = Group(name="Service", envelope=BARE, auth=NOBODY)
FACES: Final = {
    "Native": "Call control. Successes are `{code, data, success}`.",
    "WebRTC": "A browser's media, for the clients of every face. Successes are bare.",
    "Lines": "How a line takes calls, and whether it does.",
    "Admin": "Lines and their keys, changed while the bridge runs; opened by an admin key (`admin.keys`).",
    "Nodes": "The processes of the bridge; opened by an admin key (`admin.keys`).",
    "Console": "What an operator sees of all lines; opened by a console key (`console.keys`).",
    "Playback": "Sound into calls.",
    "Recording": "Sound out of calls, kept as WAV, and transcripts of it.",
    "Voicemail": "Messages that callers leave.",
    "Agents": "Programs that talk.",
    "Events and webhooks": "What happens, as it happens.",
    "WaGo": "Call control in WaGo's words; payloads stand beside `data` too.",
    "ZuckZapGo": "Its older signalling, and the PCM socket.",
    "WADial": "Sessions and calls, `{data}`; a line is one session.",
    "Chirp": "Calls between channels, bare bodies.",
    "Wavix": "Calls and streams to your WebSocket, `{success, …}`.",
    "LiveKit SDKs": "Where LiveKit's client SDKs join calls: audio, over one peer connection or two. No LiveKit server.",
    "WhatsApp and gateways": "What providers of WhatsApp calls report, and permissions.",
    "Service": "Pages, health, metrics, and the simulated contacts.",
}
STATUS_WORDS: Final = {
    400: "malformed; names the field",
    401: "no key, or a wrong one",
    403: "not allowed with this key, from this origin, or at this host name",
    404: "unknown, or another line's",
    408: "the body did not arrive in time",
    409: "not in this state, or the line is disabled",
    413: "too large",
    422: "the address guard refuses the URL",
    429: "too many requests with this key or without a right one, or too many streams",
    501: "known, and not to be had here",
    502: "the other side, or the call's node, cannot be reached",
    503: "a limit is reached, the database failed, or the call's node does not answer; see Retry-After",
}


@SITE.get("/openapi.json", gives={"type": "object"})
async def openapi(context: Context) -> web.Response:
    """Return this document."""
    headers = {"Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    if not accepts_gzip(context.http.headers.get("Accept-Encoding", "")):
        return web.Response(body=encoded(), content_type=JSON, headers=headers)
    headers["Content-Encoding"] = "gzip"
    return web.Response(body=packed(), content_type=JSON, headers=headers)


DECLARED: Final = (*all_operations.OPERATIONS, openapi)
OPERATIONS: Final[Mapping[tuple[str, str], Operation]] = {
    (operation.method, path): operation for operation in DECLARED for path in operation.paths
}


@cache
def encoded() -> bytes:
    """Encode the document once: those who ask for it at the same time are sent the same bytes."""
    return json.dumps(document()).encode()


@cache
def packed() -> bytes:
    """Compress the document once."""
    return gzip.compress(encoded(), mtime=0)


@cache
def document() -> dict[str, Any]:
    """Make the document."""
    paths: dict[str, dict[str, Any]] = {}
    schemas = Schemas(DECLARED)
    for (method, path), operation in OPERATIONS.items():
        paths.setdefault(path, {})[method.lower()] = _operation(path, operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "WebRTC media bridge",
            "version": __version__,
            "description": "Every vendor's face in one document; errors come in the words of the "
            "path's face. The key goes into the header `token` or `Authorization: Bearer`. An unknown "
            "field in the body of a native operation is a 400 that names it and the nearest known one; "
            "vendors' operations ignore it, and name one that is nearly known in the header `Bridge-Warning`.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": about} for name, about in FACES.items()],
        "paths": paths,
        "components": {
            "securitySchemes": SECURITY,
            "schemas": ERRORS | schemas.components,
        },
    }


def _operation(path: str, operation: Operation, schemas: Schemas) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": re.sub(r"\W+", "_", f"{operation.method.lower()}{path}".rstrip("}")),
        "tags": [operation.face],
        "summary": operation.summary,
        "security": [{scheme: []} for scheme in operation.auth.schemes],
        "responses": _answers(path, operation, schemas),
    }
    if operation.description:
        described["description"] = operation.description
    if parameters := [*_in_path(path), *schemas.parameters(operation)]:
        described["parameters"] = parameters
    if operation.has_body:
        described["requestBody"] = {
            "required": operation.needs_body,
            "content": {operation.takes_content: {"schema": schemas.body(operation)}},
        }
    return described


def _answers(path: str, operation: Operation, schemas: Schemas) -> dict[str, Any]:
    good: dict[str, Any] = {"description": "done"}
    if operation.status != HTTPStatus.SWITCHING_PROTOCOLS:
        good["content"] = {operation.content: {"schema": schemas.success(operation)}}
        if operation.other_content:
            good["content"][operation.other_content] = {"schema": FILE}
    else:
        good["description"] = "the connection becomes a WebSocket"
    schema = all_operations.error_format(path).schema
    errors = {"text/plain" if schema == "PlainError" else JSON: {"schema": {"$ref": REF + schema}}}
    answers = {
        str(status): {"description": STATUS_WORDS[status], "content": errors}
        for status in operation.statuses
    }
    for status, kind in operation.also.items():
        content = {} if kind is None else {"content": {JSON: {"schema": schemas.of(kind)}}}
        answers[str(status)] = {"description": "see the description", **content}
    return answers | {str(operation.status): good}


def _in_path(path: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PARAMETER.findall(path)
    ]
