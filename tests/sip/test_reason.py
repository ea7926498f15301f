"""Why something ended."""

import pytest

from bridge.sip.message.message import Response
from bridge.sip.reason import reasons, refused
from tests.support.sip.sip_text import read, request


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ('Q.850;cause=16;text="Normal; clearing"', {"q.850": 16}),
        ('q.850 ; cause = 17, SIP ;cause=486 ;text="Busy, here"', {"q.850": 17, "sip": 486}),
        (["SIP;cause=480", "Q.850;cause=19"], {"sip": 480, "q.850": 19}),
        ("Q.850", {}),
        ("Q.850;cause=x", {}),
        ("Q.850;cause=99999", {}),
        ('Q.850;text="', {}),
        ("Q.850;;;", {}),
    ],
)
def test_reason_fields(values, expected):
    assert reasons(read(request("BYE", Reason=values)).headers) == expected


def test_a_phrase_is_kept_short_and_readable():
    event = refused(Response(486, "Busy\udce4\x07" + "x" * 500))
    assert event.phrase.startswith("Busy\u00e4\ufffdxx")
    assert len(event.phrase) == 200


def test_retry_after_is_bounded():
    response = read(request(start="SIP/2.0 503 x", Retry_After="9999999999"))
    assert refused(response).retry_after == 86_400
