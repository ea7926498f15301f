"""Reading bodies: any spelling of a field, and refusals that name it."""

import asyncio
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp.web import HTTPRequestEntityTooLarge, RequestPayloadError
from hypothesis import given
from hypothesis import strategies as st

from bridge.api import body as module
from bridge.api.body import Body, call_in_path, read_body
from bridge.api.reads import RequestTimeout
from bridge.errors import InvalidRequest, PayloadTooLarge
from bridge.wire.call_id import chirp, wavix


def upload(content: bytes | Exception) -> Any:
    """What `read_body` uses of a request."""

    async def read() -> bytes:
        if isinstance(content, Exception):
            raise content
        return content

    return SimpleNamespace(read=read, path="/call/dial", content_length=None)


def refused(read, *arguments) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        read(*arguments)
    return caught.value


# The body


@pytest.mark.parametrize("content", [b"", b"  \r\n", b"{}"])
async def test_nothing_at_all_is_an_empty_object(content):
    body = await read_body(upload(content))
    assert body.optional_text("phone") is None


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"[" * 100_000,
        b'{"a":' * 40_000,
        b"[]",
        b'"a"',
        b"1",
        b"null",
        b"\xff",
        b'{"a":1}x',
        b'{"a":"\xff"}',
    ],
)
async def test_what_is_no_json_object_is_refused(content):
    with pytest.raises(InvalidRequest):
        await read_body(upload(content))


async def test_a_body_that_never_comes_is_given_up(monkeypatch):
    monkeypatch.setattr(module, "BODY_SECONDS", 0.0)

    with pytest.raises(RequestTimeout):
        await read_body(
            cast("Any", SimpleNamespace(read=asyncio.Event().wait, path="/", content_length=None))
        )


async def test_a_body_over_the_limit_is_too_large():
    with pytest.raises(PayloadTooLarge):
        await read_body(upload(HTTPRequestEntityTooLarge(max_size=1, actual_size=2)))


async def test_a_body_that_is_not_encoded_as_it_says_is_refused():
    with pytest.raises(InvalidRequest):
        await read_body(upload(RequestPayloadError("Can not decode content-encoding: gzip")))


@given(st.binary(max_size=200))
async def test_no_bytes_raise_anything_else(content):
    with suppress(InvalidRequest):
        await read_body(upload(content))


# Fields


@pytest.mark.parametrize("name", ["callId", "callID", "CallID", "call_id"])
def test_a_call_id_is_read_in_every_spelling(name):
    assert Body({name: "00AB"}).call_id() == "00AB"


def test_an_object_is_read_as_it_is():
    assert Body({"metadata": {"a": [1]}}).optional_object("metadata") == {"a": [1]}
    assert Body({"metadata": None}).optional_object("metadata") is None


@pytest.mark.parametrize("value", ["", "text", 1, True, []])
def test_what_is_no_object_is_refused(value):
    assert refused(Body({"metadata": value}).optional_object, "metadata").field == "metadata"


NATIVE = "01A1B2C3D4E5F60718293A4B5C6D7E8F"
FORMS = [NATIVE, chirp(NATIVE), chirp(NATIVE, test=True), wavix(NATIVE)]


@pytest.mark.parametrize("form", FORMS)
def test_a_call_id_is_read_in_every_form(form):
    assert Body({"callId": form}).call_id() == NATIVE


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["callId", "call_id", "uuid"])
def test_a_call_id_in_a_path_is_read_in_every_form(form, name):
    assert call_in_path(cast("Any", SimpleNamespace(match_info={name: form}))) == NATIVE


def test_a_path_that_names_no_call_names_one_that_nobody_has():
    assert call_in_path(cast("Any", SimpleNamespace(match_info={}))) == ""


@pytest.mark.parametrize("name", ["legID", "legId", "LegID", "leg_id"])
def test_a_leg_id_is_read_in_every_spelling(name):
    assert Body({name: "leg_1"}).leg_id() == "leg_1"


@pytest.mark.parametrize("value", [None, ""])
def test_an_empty_leg_id_is_none(value):
    assert Body({"legID": value}).leg_id() is None


def test_a_null_does_not_hide_another_spelling():
    assert Body({"callId": None, "call_id": "00AB"}).call_id() == "00AB"


@pytest.mark.parametrize("value", [1, True, [], {}, 1.5])
def test_a_field_that_is_no_string_is_named_as_it_was_sent(value):
    assert refused(Body({"CallID": value}).call_id).field == "CallID"


def test_a_missing_field_is_named_in_its_first_spelling():
    error = refused(Body({}).call_id)
    assert (error.field, str(error)) == ("callId", "missing callId in payload")


@pytest.mark.parametrize("value", ["true", 0, 1, "", []])
def test_a_flag_is_true_or_false(value):
    assert refused(Body({"muted": value}).flag, "muted").field == "muted"


@pytest.mark.parametrize("value", [True, False])
def test_a_flag_is_read(value):
    assert Body({"muted": value}).flag("muted") is value


def test_a_flag_that_must_be_there_is_missed():
    assert refused(Body({}).flag, "muted", "Muted").field == "muted"


@pytest.mark.parametrize(
    "phone",
    ["15550100001", "+15550100001", " 15550100001 ", "15550100001@s.whatsapp.net", 15550100001],
)
def test_a_number_is_read_in_the_forms_people_use(phone):
    assert Body({"phone": phone}).phone("phone") == "15550100001"


@pytest.mark.parametrize(
    "phone",
    [
        "",
        "abc",
        "012345678",
        "12345",
        "1234567890123456",
        "+",
        "1 555 010",
        "٣٣٣٣٣٣٣٣",
        -15550100001,
        True,
        1.5,
        [],
    ],
)
def test_what_is_no_number_is_refused(phone):
    assert refused(Body({"phone": phone}).phone, "phone").field == "phone"


def test_the_number_that_is_refused_is_not_repeated():
    error = refused(Body({"phone": "0015559999999999"}).phone, "phone")
    assert "9999" not in str(error)


@pytest.mark.parametrize(("digits", "read"), [("1", "1"), ("0123456789*#abcd", "0123456789*#ABCD")])
def test_digits_are_upper_case(digits, read):
    assert Body({"digits": digits}).dtmf() == read


@pytest.mark.parametrize("digits", ["", "x", "1 2", "1\n", "1" * 65, 5, None])
def test_what_are_no_digits_is_refused(digits):
    assert refused(Body({"digits": digits}).dtmf).field == "digits"


# Whole numbers, words, flags and peers


def number(**fields) -> int:
    return Body(fields).number("ttl", default=600, least=60, most=86400)


@pytest.mark.parametrize(
    ("fields", "value"),
    [({}, 600), ({"ttl": None}, 600), ({"ttl": 60}, 60), ({"ttl": 86400}, 86400)],
)
def test_a_whole_number_is_read_or_its_default(fields, value):
    assert number(**fields) == value


@pytest.mark.parametrize("ttl", [59, 86401, "60", 60.0, True, [60]])
def test_a_number_that_does_not_fit_is_refused(ttl):
    assert refused(lambda: number(ttl=ttl)).field == "ttl"


@pytest.mark.parametrize("value", [None, [], ["Call"], ["Call", "Message"]])
def test_a_list_of_words_is_read_as_it_is(value):
    assert Body({"Subscribe": value}).texts("Subscribe", most=4 + 3) == value


@pytest.mark.parametrize("value", ["Call", [None], [1], ["12345678"], ["a"] * 8, {}])
def test_what_is_no_list_of_words_is_refused(value):
    assert refused(lambda: Body({"Subscribe": value}).texts("Subscribe", most=7)).field


@pytest.mark.parametrize("value", [None, True, False])
def test_a_flag_may_be_missing(value):
    assert Body({"video": value}).optional_flag("video") is value


def test_a_field_is_there_under_its_very_name_only():
    body = Body({"call_id": "1", "callId": None})
    assert (body.has("call_id"), body.has("callId"), body.has("callID")) == (True, False, False)


@pytest.mark.parametrize(
    ("text", "peer"),
    [
        ("15550100001", "15550100001"),
        ("15550100001:7@s.whatsapp.net", "15550100001"),
        ("123456789012345@lid", "123456789012345@lid"),
        (15550100001, "15550100001"),
    ],
)
def test_a_peer_is_a_number_or_hides_it(text, peer):
    assert Body({"phone": text}).peer("phone", "Phone") == peer


@pytest.mark.parametrize("text", ["120363041@g.us", "abc@lid", "@lid", "", None])
def test_a_group_or_nonsense_is_no_peer(text):
    assert refused(lambda: Body({"phone": text}).peer("phone")).field == "phone"
