"""The header of requests between machines."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.wire.node_signature import NodeSignature, Request, parse

SECRET = "s" * 32
BOOT = "0123456789abcdef"
MADE = NodeSignature(1, 2, 1030, "ab" * 16)
REQUEST = Request("POST", "/call/hangup?a=%2F", b'{"callId": "x"}')


def signed() -> NodeSignature:
    found = parse(MADE.signed(REQUEST, boot=BOOT, secret=SECRET))
    assert found is not None
    return found


def test_what_is_signed_is_read_again():
    assert signed().signs(REQUEST, boot=BOOT, secret=SECRET)
    assert (signed().sender, signed().target, signed().expires) == (1, 2, 1030)


@pytest.mark.parametrize(
    "other",
    [
        Request("GET", REQUEST.target, REQUEST.body),
        Request("POST", "/call/hangup?a=/", REQUEST.body),
        Request("POST", REQUEST.target, b""),
        Request("POST", REQUEST.target + "\n", REQUEST.body),
    ],
)
def test_it_signs_no_other_request(other):
    assert not signed().signs(other, boot=BOOT, secret=SECRET)


def test_it_is_for_one_process_and_one_secret():
    assert not signed().signs(REQUEST, boot=BOOT[::-1], secret=SECRET)
    assert not signed().signs(REQUEST, boot=BOOT, secret=SECRET + "s")


@pytest.mark.parametrize("field", [1, 2, 3, 4])
def test_no_field_of_it_can_be_changed(field):
    words = MADE.signed(REQUEST, boot=BOOT, secret=SECRET).split(" ")
    words[field] = words[field].replace(words[field][-1], "7" if words[field][-1] != "7" else "8")
    changed = parse(" ".join(words))
    assert changed is not None
    assert not changed.signs(REQUEST, boot=BOOT, secret=SECRET)


@pytest.mark.parametrize(("now", "fresh"), [(994, False), (996, True), (1034, True), (1036, False)])
def test_it_is_fresh_for_thirty_seconds_and_five_of_tolerance(now, fresh):
    assert MADE.fresh(now) is fresh


@pytest.mark.parametrize(
    "text", ["", "v1", "v2 1 2 3", MADE.signed(REQUEST, boot="", secret="").upper()]
)
def test_other_text_is_no_header(text):
    assert parse(text) is None


@given(st.text(alphabet="v1 " + string.hexdigits, max_size=200))
def test_no_text_breaks_the_reader(text):
    parse(text)
