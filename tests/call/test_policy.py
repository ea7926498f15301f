"""What a line may call from, and over which channels."""

import pytest

from bridge.call.policy import LinePolicy
from bridge.errors import Forbidden, InvalidRequest, Unsupported

NUMBER, OTHER = "+15550109000", "+15550109001"
PLAIN = LinePolicy((NUMBER, OTHER), official=False)
OFFICIAL = LinePolicy((), official=True)


def test_the_first_number_stands_for_our_side():
    assert (PLAIN.number, OFFICIAL.number) == (NUMBER, "")


def test_a_number_of_another_line_is_answered_with_the_lines_own():
    PLAIN.check_number(OTHER, "from")
    with pytest.raises(InvalidRequest, match=rf"expected one of \{NUMBER}, ") as refused:
        PLAIN.check_number("+15550100001", "from")
    assert refused.value.field == "from"
    with pytest.raises(InvalidRequest, match="it has none"):
        OFFICIAL.check_number(NUMBER, "to")


def test_browsers_and_whatsapp_users_may_be_joined():
    for policy in (PLAIN, OFFICIAL):
        policy.check_route("webrtc", "whatsapp")


def test_an_official_whatsapp_call_is_never_joined_to_the_telephone_network():
    with pytest.raises(Forbidden, match="Meta forbids"):
        OFFICIAL.check_route("whatsapp", "pstn")
    for policy, channel in ((PLAIN, "whatsapp"), (OFFICIAL, "webrtc")):
        with pytest.raises(Unsupported, match="SIP"):
            policy.check_route("pstn", channel)
