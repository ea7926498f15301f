"""The envelopes of the Wavix face."""

import msgspec
import pytest
from msgspec import Struct

from bridge.api.faces.wavix import words as wavix_words
from bridge.errors import (
    CallNotFound,
    Forbidden,
    InvalidRequest,
    InvalidState,
    RateLimited,
    Unauthorized,
)


def said(response):
    return msgspec.json.decode(response.body)


class Begun(Struct):
    stream_id: str


def test_success_stands_beside_the_payload():
    wrapped = wavix_words.WAVIX.envelope.wrap(Begun("x"))
    assert wrapped == {"success": True, "stream_id": "x"}


def test_a_wrong_field_is_named_in_errors():
    response = wavix_words.failure(InvalidRequest("to: no number", field="to"))
    assert response.status == 400
    assert said(response) == {
        "success": False,
        "message": "to: no number",
        "errors": {"to": "to: no number"},
    }


def test_a_malformed_body_has_no_errors():
    assert said(wavix_words.failure(InvalidRequest("no JSON"))) == {
        "success": False,
        "message": "no JSON",
    }


@pytest.mark.parametrize("kind", [Unauthorized, Forbidden, CallNotFound])
def test_what_is_not_for_the_key_says_error_true(kind):
    answer = said(wavix_words.failure(kind("no")))
    assert answer == {"success": False, "error": True, "message": "no"}


def test_other_refusals_say_only_what_is_wrong():
    assert said(wavix_words.failure(InvalidState("no"))) == {"success": False, "message": "no"}


def test_a_limit_says_when_to_try_again():
    response = wavix_words.failure(RateLimited("slow down", retry_after=7))
    assert response.headers["Retry-After"] == "7"
