"""Who may call whom."""

import pytest

from bridge.api.faces.chirp.parties import NewCall, encoded_metadata, parties_of
from bridge.api.server.fields import read
from bridge.call.model import Parties
from bridge.call.policy import LinePolicy
from bridge.errors import Forbidden, InvalidRequest, Unsupported

NUMBER, PEER = "+15550109000", "+15550100001"
LINE = LinePolicy((NUMBER,), official=False)
SIMULATED = LinePolicy((NUMBER,), simulated=True)
OFFICIAL = LinePolicy((NUMBER,), official=True)
CHANNELS = ["pstn", "webrtc", "whatsapp"]


def asked(from_channel: str | None, to_channel: str | None) -> NewCall:
    own = "user-1" if from_channel == "webrtc" else NUMBER
    other = "user-2" if to_channel == "webrtc" else PEER
    return read(
        NewCall, {"from": own, "to": other, "fromChannel": from_channel, "toChannel": to_channel}
    )


@pytest.mark.parametrize("policy", [LINE, OFFICIAL])
@pytest.mark.parametrize("to_channel", ["webrtc", "whatsapp"])
@pytest.mark.parametrize("from_channel", ["webrtc", "whatsapp"])
def test_browsers_and_whatsapp_users_are_paired_in_every_way(policy, from_channel, to_channel):
    own = "user-1" if from_channel == "webrtc" else NUMBER
    other = "user-2" if to_channel == "webrtc" else PEER
    expected = Parties(own, other, from_channel, to_channel)
    assert parties_of(asked(from_channel, to_channel), policy) == expected


@pytest.mark.parametrize("to_channel", CHANNELS)
@pytest.mark.parametrize("from_channel", CHANNELS)
def test_where_contacts_are_simulated_all_channels_are_paired_as_asked(from_channel, to_channel):
    found = parties_of(asked(from_channel, to_channel), SIMULATED)
    assert (found.from_channel, found.to_channel) == (from_channel, to_channel)


@pytest.mark.parametrize("channel", [None, *CHANNELS])
def test_without_trunk_and_simulator_the_telephone_network_is_not_to_be_had(channel):
    for body in (asked("pstn", channel), asked(channel, "pstn")):
        with pytest.raises(Unsupported, match="SIP"):
            parties_of(body, LINE)


def test_an_official_whatsapp_call_is_never_joined_to_the_telephone_network():
    for body in (asked("pstn", "whatsapp"), asked("whatsapp", "pstn")):
        with pytest.raises(Forbidden, match="Meta forbids"):
            parties_of(body, OFFICIAL)


def test_a_line_without_numbers_calls_from_browsers_only():
    none = LinePolicy((), official=False)
    assert parties_of(asked("webrtc", "whatsapp"), none).from_ == "user-1"
    with pytest.raises(InvalidRequest) as caught:
        parties_of(asked("whatsapp", "whatsapp"), none)
    assert caught.value.field == "from"


def test_a_number_that_is_not_the_lines_is_answered_with_those_that_are():
    body = read(
        NewCall, {"from": PEER, "to": PEER, "fromChannel": "whatsapp", "toChannel": "whatsapp"}
    )

    with pytest.raises(InvalidRequest, match=rf"expected one of \{NUMBER}"):
        parties_of(body, LINE)


@pytest.mark.parametrize(
    ("number", "error"),
    [("+0123", InvalidRequest), ("+49116117", Forbidden), ("000", Forbidden)],
)
def test_an_invalid_number_is_told_before_any_policy_and_an_emergency_number_as_such(number, error):
    body = read(NewCall, {"from": "+15550100999", "to": number, "toChannel": "pstn"})
    with pytest.raises(error) as caught:
        parties_of(body, OFFICIAL)  # which has neither the number nor a trunk
    if error is InvalidRequest:
        assert caught.value.field == "to"


def test_metadata_may_be_left_out():
    assert encoded_metadata(NewCall(NUMBER, PEER)) == b""
    assert encoded_metadata(NewCall(NUMBER, PEER, metadata={"a": 1})) == b'{"a":1}'
