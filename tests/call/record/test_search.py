"""The conditions of a search, and parties as it compares them."""

from dataclasses import replace
from datetime import timedelta

import pytest

from bridge.call.model import CallDetails, EndReason, Parties, State
from bridge.call.record.ended_call import CallReport
from bridge.call.record.search import CallSearch, entry_of, party_key
from bridge.wire.call_id import chirp, wavix
from tests.call.record.test_ended_call import LEG, RECORD

BEGAN = RECORD.facts.started_at
ENTRY = entry_of(CallReport(RECORD))


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


def test_an_entry_has_the_parties_as_the_call_has_them():
    details = CallDetails(Parties("+15550109000", "", "", ""), tag="Sales")
    record = replace(
        RECORD,
        facts=replace(RECORD.facts, details=details),
        legs=(replace(LEG, identity="alice"), replace(LEG, identity="alice"), LEG),
    )
    entry = entry_of(CallReport(record))
    assert (entry.from_, entry.to) == ("+15550109000", "+15550100001")
    assert entry.identities == ("alice",)
    assert all(CallSearch(text=text).matches(entry) for text in ("SALES", "0109", "alic"))


@pytest.mark.parametrize("form", [str, chirp, wavix])
def test_an_id_is_found_in_every_form(form):
    assert CallSearch(text=form(ENTRY.call_id)).matches(ENTRY)


def test_ringing_and_talking_are_told_apart():
    answered = replace(RECORD, answered_at=BEGAN + timedelta(seconds=10))
    entry = entry_of(CallReport(answered))
    assert (entry.ring_seconds, entry.talk_seconds) == (10.0, 50.0)
    assert (ENTRY.ring_seconds, ENTRY.talk_seconds) == (60.0, 0.0)


def test_a_moment_bounds_the_beginning():
    at = BEGAN.timestamp()
    assert CallSearch(since=at, until=at + 1).matches(ENTRY)
    assert not CallSearch(since=at + 1).matches(ENTRY)
    assert not CallSearch(until=at).matches(ENTRY)


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
    assert not search.matches(ENTRY)
