"""Who rang whom."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bridge.call.model import (
    CallDetails,
    CallFacts,
    CallId,
    CallRecord,
    Direction,
    LineName,
    Parties,
    State,
)
from bridge.call.parties import parties_of, with_own_number

IN, OUT = Direction.INBOUND, Direction.OUTBOUND
USER, NUMBER = "15550100001", "+15550109000"
WHATSAPP = ("whatsapp", "whatsapp")
FACTS = CallFacts(CallId("0" * 32), LineName("sales"), USER, datetime(2030, 1, 2, tzinfo=UTC))


def record(direction: Direction, peer: str, said: Parties) -> CallRecord:
    details = with_own_number(CallDetails(said), direction, NUMBER)
    facts = replace(FACTS, peer=peer, details=details)
    return CallRecord(facts, direction, State.ACTIVE, None, 1.0, ())


@pytest.mark.parametrize(
    ("direction", "peer", "expected"),
    [
        (OUT, USER, Parties(NUMBER, f"+{USER}", *WHATSAPP)),
        (IN, USER, Parties(f"+{USER}", NUMBER, *WHATSAPP)),
        (OUT, "webrtc", Parties(NUMBER, "webrtc", "whatsapp", "webrtc")),
    ],
)
def test_whom_nobody_named_is_the_far_party_or_our_own_number(direction, peer, expected):
    assert parties_of(record(direction, peer, Parties())) == expected


def test_a_number_that_a_provider_named_stands_before_the_lines_first():
    said = Parties(USER, "15550109002", *WHATSAPP)
    assert parties_of(record(IN, USER, said)).to == "+15550109002"


def test_an_identifier_of_digits_is_no_number():
    said = Parties("4711", f"+{USER}", "webrtc", "whatsapp")
    assert parties_of(record(OUT, USER, said)).from_ == "4711"
