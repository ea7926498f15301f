"""The envelopes of the Wavix face."""

import msgspec

from bridge.api.faces import wavix_words
from bridge.errors import CallNotFound, Forbidden, InvalidRequest, RateLimited, Unauthorized


def said(response):
    return msgspec.json.decode(response.body)


def test_success_stands_beside_what_is_told():
    assert said(wavix_words.success(stream_id="x")) == {"success": True, "stream_id": "x"}


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


def test_a_missing_key_says_error_true():
    response = wavix_words.failure(Unauthorized("no key"))
    assert response.status == 401
    assert said(response) == {"success": False, "error": True, "message": "no key"}


def test_other_refusals_say_only_what_is_wrong():
    for error in (Forbidden("no"), CallNotFound("no")):
        assert said(wavix_words.failure(error)) == {"success": False, "message": "no"}


def test_a_limit_says_when_to_try_again():
    response = wavix_words.failure(RateLimited("slow down", retry_after=7))
    assert response.headers["Retry-After"] == "7"
