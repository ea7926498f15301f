"""Why a telephone call ended, in SIP's numbers and in ours."""

import pytest

from bridge.call.model import EndReason
from bridge.errors import TrunkRefused, TrunkUnreachable
from bridge.legs.sip_reasons import bye_reason, end_reason, refusal_code, refusal_error


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (404, EndReason.UNREACHABLE),
        (484, EndReason.UNREACHABLE),
        (486, EndReason.BUSY),
        (600, EndReason.BUSY),
        (487, EndReason.CANCELED),
        (603, EndReason.REJECTED),
        (607, EndReason.REJECTED),
        (403, EndReason.FAILED),
        (488, EndReason.FAILED),
        (503, EndReason.FAILED),
        (699, EndReason.FAILED),
    ],
)
def test_a_final_response_says_why(code, reason):
    assert end_reason(code) is reason


@pytest.mark.parametrize("code", [408, 480])
def test_a_party_that_is_away_was_out_of_reach_or_did_not_answer(code):
    assert end_reason(code) is EndReason.UNREACHABLE
    assert end_reason(code, rang=True) is EndReason.NO_ANSWER


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        (1, EndReason.UNREACHABLE),
        (17, EndReason.BUSY),
        (19, EndReason.NO_ANSWER),
        (21, EndReason.REJECTED),
        (34, EndReason.FAILED),
    ],
)
def test_a_cause_of_the_telephone_network_says_more_than_the_code(cause, reason):
    assert end_reason(480, cause) is reason


@pytest.mark.parametrize("cause", [None, 16, 31, 127])
def test_a_cause_that_says_nothing_leaves_it_to_the_code(cause):
    assert end_reason(486, cause) is EndReason.BUSY
    assert bye_reason(cause) is EndReason.REMOTE_HANGUP


def test_a_call_that_the_network_broke_off_has_failed():
    assert bye_reason(41) is EndReason.FAILED
    assert bye_reason(17) is EndReason.REMOTE_HANGUP


@pytest.mark.parametrize("reason", list(EndReason))
def test_every_end_is_a_final_error_for_who_rings_us(reason):
    assert 400 <= refusal_code(reason) < 700


def test_the_refusals_that_a_telephone_network_tells_apart_have_their_codes():
    asked = (EndReason.BUSY, EndReason.REJECTED, EndReason.NO_ANSWER, EndReason.DRAINED)
    assert [refusal_code(reason) for reason in asked] == [486, 603, 480, 503]


def test_an_error_names_the_number_and_its_meaning():
    refused = refusal_error(404, 1)
    assert isinstance(refused, TrunkRefused)
    assert str(refused).endswith("does not know the number (SIP 404, Q.850 cause 1)")
    assert refused.data == {"sipCode": 404, "q850Cause": 1}


@pytest.mark.parametrize("code", [408, 500, 503])
def test_a_trunk_that_is_down_is_out_of_reach(code):
    down = refusal_error(code, retry_after=30)
    assert isinstance(down, TrunkUnreachable)
    assert (down.status, down.retry_after) == (502, 30)
