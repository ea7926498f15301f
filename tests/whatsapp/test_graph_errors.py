"""Meta's codes: which answer of ours each becomes."""

import pytest

from bridge.call.diagnosis.incidents import MENDS
from bridge.errors import PermissionRequired, WhatsAppError, WhatsAppRefused
from bridge.whatsapp.graph_errors import ended_by, error_of


@pytest.mark.parametrize(
    ("status", "code", "ours"),
    [
        (401, 138006, 403), (401, 138000, 409), (401, 190, 409), (400, 100, 400), (400, 131030, 400),
        (429, 138002, 429), (400, 138012, 429), (400, 138013, 409), (400, 130497, 409),
        (400, 999999, 400), (401, 999999, 409), (500, 138004, 502), (500, 138007, 502),
        (400, 131026, 400), (400, 138011, 409), (400, 138021, 400), (400, 138025, 409),
        (400, 2, 502), (503, 0, 502), (302, 0, 502), (200, 0, 502),
    ],
)  # fmt: skip
def test_each_code_has_its_status(status, code, ours):
    error = error_of(status, {"error": {"code": code, "message": "m"}})
    assert error.status == ours
    assert error.meta_code == code
    assert (f"Meta code {code}" in str(error)) == bool(code)


def test_a_refusal_and_a_failure_are_told_apart():
    assert type(error_of(400, {"error": {"code": 138006}})) is PermissionRequired
    assert type(error_of(400, {"error": {"code": 131044}})) is WhatsAppRefused
    assert type(error_of(500, None)) is WhatsAppError


@pytest.mark.parametrize("answer", [None, [], "text", {"error": "x"}, {"error": {"code": "1"}}])
def test_an_answer_of_any_shape_is_an_error(answer):
    assert error_of(400, answer).status == 400


def test_a_limit_says_when_to_try_again():
    assert error_of(429, {"error": {"code": 613}}, retry_after=7).retry_after == 7
    assert error_of(429, {"error": {"code": 613}}).retry_after == 60


@pytest.mark.parametrize("code", [131026, 138011, *range(138019, 138026)])
def test_a_call_that_meta_ends_says_why_and_what_to_do(code):
    error = ended_by(code)
    assert type(error) is WhatsAppRefused
    assert error.meta_code == code
    assert "Meta has ended the call" not in str(error)
    assert code in MENDS
