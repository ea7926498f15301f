"""Operations: what a handler's signature and docstring declare."""

from types import SimpleNamespace
from typing import Any

import pytest
from msgspec import Struct

from bridge.api.server.auth import Access
from bridge.api.server.operation import NATIVE, Context, Group
from bridge.call.model import LineName
from bridge.wire.call_id import chirp, wavix

CALL_ID = "01A1B2C3D4E5F60718293A4B5C6D7E8F"
FORMS = [CALL_ID, chirp(CALL_ID), chirp(CALL_ID, test=True), wavix(CALL_ID)]


class Asked(Struct):
    name: str


class Answered(Struct):
    name: str


class Either(Struct):
    name: str = ""


GROUP = Group(name="Native")


@GROUP.post("/a", "/b", errors=(404,))
async def greet(_context: Context, body: Asked) -> Answered:
    """Greet somebody.

    Nobody else hears it,
    ever.

    Raises:
        NotFound: nobody is there.
    """
    return Answered(body.name)


@GROUP.post("/c")
async def wave(_context: Context, body: Asked | Either) -> Answered:
    """Wave to somebody."""
    return Answered(body.name)


def test_a_body_may_be_missing_where_nothing_in_one_of_its_forms_is_required():
    assert greet.needs_body
    assert not wave.needs_body


def test_a_handlers_signature_names_its_types():
    assert (greet.body, greet.query, greet.payload) == (Asked, None, Answered)


def test_a_handlers_docstring_is_its_summary_and_description():
    assert greet.summary == "Greet somebody."
    assert greet.description == "Nobody else hears it, ever."


def test_the_statuses_of_errors_follow_from_key_and_body():
    assert greet.statuses == (400, 401, 403, 404, 408, 413, 429)


def test_an_operation_has_a_route_for_each_path():
    assert [(route.method, route.path) for route in greet.routes] == [
        ("POST", "/a"),
        ("POST", "/b"),
    ]


def test_the_native_envelope_wraps_and_describes_a_payload():
    assert NATIVE.wrap({"a": 1}) == {"code": 200, "data": {"a": 1}, "success": True}
    assert NATIVE.describe({"type": "object"})["properties"]["data"] == {"type": "object"}


def context_at(**path: str) -> Context:
    """The context of a request whose path has these parameters."""
    request: Any = SimpleNamespace(match_info=path)
    return Context(request, Access(LineName("")))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["callId", "call_id", "uuid"])
def test_a_call_id_in_a_path_is_read_in_every_form(form, name):
    assert context_at(**{name: form}).call_id == CALL_ID


def test_a_path_that_names_no_call_names_one_that_nobody_has():
    assert context_at().call_id == ""
