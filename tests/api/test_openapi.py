"""The OpenAPI document: what it says is what the bridge does."""

import json
import re
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from openapi_spec_validator import OpenAPIV31SpecValidator

from bridge import errors
from bridge.api.all_operations import error_format
from bridge.api.openapi import FACES, OPERATIONS, document
from bridge.api.routes import ROUTES
from bridge.api.server.operation import CONSOLE, NOBODY
from tests.support.inprocess import KEY

DOCUMENT = json.loads(json.dumps(document()))
OPEN = [key for key, operation in OPERATIONS.items() if operation.auth is NOBODY]
CLOSED = [key for key in OPERATIONS if key not in OPEN]
UNKNOWN = "0" * 32
LISTS = [
    key
    for key, operation in OPERATIONS.items()
    if key[0] == "GET"
    and "{" not in key[1]
    and operation.status == 200
    and operation.content == "application/json"
    and key[1] not in ("/call/permission", "/openapi.json", "/admin/lines", "/nodes")
]


def error_classes(found: type[errors.BridgeError]) -> set[type[errors.BridgeError]]:
    return {found}.union(*(error_classes(more) for more in found.__subclasses__()))


def check(value: object, schema: Any) -> None:
    Draft202012Validator({**schema, "components": DOCUMENT["components"]}).validate(value)


def filled(path: str) -> str:
    return re.sub(r"\{\w+\}", UNKNOWN, path.replace("{sessionId}", "demo"))


def test_every_route_is_described_and_nothing_else():
    routes = {(route.method, route.path) for route in ROUTES}
    assert {"missing": routes - set(OPERATIONS), "extra": set(OPERATIONS) - routes} == {
        "missing": set(),
        "extra": set(),
    }


def test_the_document_is_valid():
    assert [error.message for error in OpenAPIV31SpecValidator(DOCUMENT).iter_errors()] == []


def test_every_face_that_is_named_is_told_of():
    assert {operation.face for operation in OPERATIONS.values()} == set(FACES)


@pytest.mark.parametrize("path", sorted({path for _, path in OPERATIONS}))
def test_errors_are_described_in_the_words_of_the_paths_face(path):
    schema = DOCUMENT["components"]["schemas"][error_format(path).schema]
    plain, wrong = errors.BridgeError("wrong"), errors.InvalidRequest("wrong", field="to")
    for error in (plain, wrong, errors.Unauthorized("no key")):
        rendered = error_format(path).render(error)
        check(rendered, schema)
        assert isinstance(rendered, str) or set(rendered) <= set(schema["properties"]), path


def test_every_status_that_is_described_is_one_that_the_bridge_gives():
    given = {error.status for error in error_classes(errors.BridgeError)}
    described = {status for operation in OPERATIONS.values() for status in operation.statuses}
    assert described <= given


@pytest.mark.parametrize(("method", "path"), CLOSED)
async def test_without_a_key_nothing_is_told(client, method, path):
    response = await client.http.request(method, filled(path), json={"muted": True})
    assert response.status == 401
    schema = DOCUMENT["components"]["schemas"][error_format(path).schema]
    is_text = response.content_type == "text/plain"
    check(await (response.text() if is_text else response.json()), schema)


@pytest.mark.parametrize(("method", "path"), LISTS)
async def test_what_is_given_is_what_is_described(client, method, path):
    await client.dial("15550100003")
    console = OPERATIONS[method, path].auth is CONSOLE
    response = await client.http.request(method, path, headers=client.local if console else KEY)
    assert response.status == 200
    described = DOCUMENT["paths"][path]["get"]["responses"]["200"]
    check(await response.json(), described["content"]["application/json"]["schema"])


async def test_the_document_is_served(client):
    response = await client.get("/openapi.json", headers={})
    assert response.status == 200
    assert await response.json() == DOCUMENT


async def test_the_document_is_compressed_for_those_who_take_it(client):
    packed = await client.get("/openapi.json", headers={"Accept-Encoding": "gzip"})
    plain = await client.get("/openapi.json", headers={"Accept-Encoding": "identity"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert await packed.json() == await plain.json()
