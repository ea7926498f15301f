"""Reading bodies, and the call that a path names."""

import asyncio
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp.web import HTTPRequestEntityTooLarge, RequestPayloadError
from hypothesis import given
from hypothesis import strategies as st

from bridge.api.server import body as module
from bridge.api.server.body import call_in_path, read_fields
from bridge.errors import InvalidRequest, PayloadTooLarge, RequestTimeout
from bridge.wire.call_id import chirp, wavix


def upload(content: bytes | Exception) -> Any:
    """What `read_fields` uses of a request."""

    async def read() -> bytes:
        if isinstance(content, Exception):
            raise content
        return content

    return SimpleNamespace(read=read, path="/call/dial", content_length=None)


# The body


@pytest.mark.parametrize("content", [b"", b"  \r\n", b"{}"])
async def test_nothing_at_all_is_an_empty_object(content):
    assert await read_fields(upload(content)) == {}


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
        await read_fields(upload(content))


async def test_a_body_that_never_comes_is_given_up(monkeypatch):
    monkeypatch.setattr(module, "BODY_SECONDS", 0.0)

    with pytest.raises(RequestTimeout):
        await read_fields(
            cast("Any", SimpleNamespace(read=asyncio.Event().wait, path="/", content_length=None))
        )


async def test_a_body_over_the_limit_is_too_large():
    with pytest.raises(PayloadTooLarge):
        await read_fields(upload(HTTPRequestEntityTooLarge(max_size=1, actual_size=2)))


async def test_a_body_that_is_not_encoded_as_it_says_is_refused():
    with pytest.raises(InvalidRequest):
        await read_fields(upload(RequestPayloadError("Can not decode content-encoding: gzip")))


@given(st.binary(max_size=200))
async def test_no_bytes_raise_anything_else(content):
    with suppress(InvalidRequest):
        await read_fields(upload(content))


# The call in the path


NATIVE = "01A1B2C3D4E5F60718293A4B5C6D7E8F"
FORMS = [NATIVE, chirp(NATIVE), chirp(NATIVE, test=True), wavix(NATIVE)]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["callId", "call_id", "uuid"])
def test_a_call_id_in_a_path_is_read_in_every_form(form, name):
    assert call_in_path(cast("Any", SimpleNamespace(match_info={name: form}))) == NATIVE


def test_a_path_that_names_no_call_names_one_that_nobody_has():
    assert call_in_path(cast("Any", SimpleNamespace(match_info={}))) == ""
