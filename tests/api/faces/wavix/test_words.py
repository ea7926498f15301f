"""The envelopes of the Wavix face."""

import pytest
from msgspec import Struct

from bridge.api.faces.wavix import words as wavix_words
from bridge.errors import (
    CallNotFound,
    Forbidden,
    InvalidRequest,
    InvalidState,
    Unauthorized,
)


class Begun(Struct):
    stream_id: str


def test_success_stands_beside_the_payload():
    wrapped = wavix_words.WAVIX.envelope.wrap(Begun("x"))
    assert wrapped == {"success": True, "stream_id": "x"}


def test_a_wrong_field_is_named_in_errors():
    assert wavix_words.failure(InvalidRequest("to: no number", field="to")) == {
        "success": False,
        "message": "to: no number",
        "errors": {"to": "to: no number"},
    }


def test_a_malformed_body_has_no_errors():
    assert wavix_words.failure(InvalidRequest("no JSON")) == {
        "success": False,
        "message": "no JSON",
    }


@pytest.mark.parametrize("kind", [Unauthorized, Forbidden, CallNotFound])
def test_what_is_not_for_the_key_says_error_true(kind):
    answer = wavix_words.failure(kind("no"))
    assert answer == {"success": False, "error": True, "message": "no"}


def test_other_refusals_say_only_what_is_wrong():
    assert wavix_words.failure(InvalidState("no")) == {"success": False, "message": "no"}
