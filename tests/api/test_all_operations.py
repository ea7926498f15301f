"""The error envelope of each path."""

import pytest

from bridge.api.all_operations import error_format, error_response
from bridge.api.calls import render
from bridge.api.faces.wavix import words as wavix_words
from bridge.errors import BridgeError, InvalidState, LimitExceeded

NATIVE = ["/call/dial", "/healthz", "/", "/x/v1/call"]
WAVIX = ["/v1/call", "/v1/call/", "/v1/call/1/streams", "/v1/calls/1/streams/2"]


@pytest.mark.parametrize("path", NATIVE)
def test_a_path_that_no_face_claims_has_the_native_envelope(path):
    assert error_format(path).render is render.failure


@pytest.mark.parametrize("path", WAVIX)
def test_the_paths_of_wavix_have_its_envelope(path):
    assert error_format(path).render is wavix_words.failure


def test_an_error_keeps_its_status_in_every_envelope():
    error = BridgeError("no")
    error.status = 418
    assert {error_response(path, error).status for path in (*NATIVE, *WAVIX)} == {418}


@pytest.mark.parametrize("path", [*NATIVE, *WAVIX])
def test_an_error_that_will_pass_says_when_to_retry(path):
    assert error_response(path, LimitExceeded("full")).headers["Retry-After"] == "5"
    assert "Retry-After" not in error_response(path, InvalidState("ended")).headers


async def test_an_unknown_path_of_a_face_is_a_404_in_its_envelope(client):
    response = await client.get("/v1/call/1/nothing")
    assert response.status == 404
    assert set(await response.json()) == {"success", "error", "message"}
