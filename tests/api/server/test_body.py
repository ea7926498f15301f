"""Reading bodies."""

import asyncio
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp.web import HTTPRequestEntityTooLarge, RequestPayloadError
from hypothesis import given
from hypothesis import strategies as st

from bridge.api.server.body import read_fields
from bridge.errors import InvalidRequest, PayloadTooLarge, RequestTimeout


def upload(content: bytes | Exception) -> Any:
    """What `read_fields` uses of a request."""

    async def read() -> bytes:
        if isinstance(content, Exception):
            raise content
        return content

    return SimpleNamespace(read=read, path="/call/dial", content_length=None)


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


@pytest.mark.virtual_time
async def test_a_body_that_never_comes_is_given_up():
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
