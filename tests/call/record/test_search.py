"""The conditions of a search, and parties as it compares them."""

from dataclasses import replace

import pytest

from bridge.call.model import CallDetails, EndReason, Parties, State
from bridge.call.record.search import CallSearch, party_key
from bridge.call.view import view_of
from bridge.wire.call_id import chirp, wavix
from tests.call.record.test_ended_call import LEG, RECORD

BEGAN = RECORD.facts.started_at
CALL = view_of(RECORD)


@pytest.mark.parametrize(
    ("party", "key"),
    [
        ("+15550100001", "15550100001"),
        ("15550100001", "15550100001"),
        ("15550100001:3@s.whatsapp.net", "15550100001"),
        ("Alice", "alice"),
        ("+alice", "+alice"),
        ("77@lid", "77@lid"),
        ("", ""),
    ],
)
def test_a_party_is_compared_in_one_form(party, key):
    assert party_key(party) == key


def test_a_text_is_found_in_a_number_an_identity_and_the_tag():
    details = CallDetails(Parties("+15550109000", "", "", ""), tag="Sales")
    record = replace(
        RECORD,
        facts=replace(RECORD.facts, details=details),
        legs=(replace(LEG, identity="alice"),),
    )
    call = view_of(record)
    assert all(CallSearch(text=text).matches(call) for text in ("SALES", "0109", "alic"))


@pytest.mark.parametrize("form", [str, chirp, wavix])
def test_an_id_is_found_in_every_form(form):
    assert CallSearch(text=form(CALL.call_id)).matches(CALL)


def test_a_moment_bounds_the_beginning():
    at = BEGAN.timestamp()
    assert CallSearch(since=at, until=at + 1).matches(CALL)
    assert not CallSearch(since=at + 1).matches(CALL)
    assert not CallSearch(until=at).matches(CALL)


@pytest.mark.parametrize(
    "search",
    [
        CallSearch(from_="15550100002"),
        CallSearch(to="15550100002"),
        CallSearch(state=State.ACTIVE),
        CallSearch(reason=EndReason.BUSY),
        CallSearch(problem="muted"),
        CallSearch(max_mos=5.0),
        CallSearch(text="nowhere"),
    ],
)
def test_a_call_that_does_not_meet_a_condition_is_not_found(search):
    assert not search.matches(CALL)
