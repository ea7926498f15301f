"""Which dials of a line are allowed, over which channel, and how often."""

import pytest

from bridge.call.model import CallDetails, LegKind, LineName, Parties
from bridge.call.policy import LinePolicy, TrunkPolicy
from bridge.errors import Forbidden, TooManyTelephoneCalls, Unsupported
from bridge.node.dials import DialRules, Route, take_call

LINE, OTHER = LineName("office"), LineName("other")
NUMBER = "4930123456"
TRUNK = TrunkPolicy(prefixes=("49",), calls=2, calls_per_minute=2, caller_id="+493099")


def rules(policy=None):
    return DialRules({LINE: policy or LinePolicy((), trunk=TRUNK, simulated=True)})


async def test_a_call_over_the_trunk_shows_its_number_and_has_its_longest_duration():
    assert await rules().check(LINE, NUMBER, "pstn") == Route("pstn", "+493099", 7200.0)


async def test_a_line_of_which_nothing_is_known_calls_over_whatsapp():
    assert await rules().check(OTHER, NUMBER, "") == Route("whatsapp")
    with pytest.raises(Unsupported):
        await rules().check(OTHER, NUMBER, "pstn")


@pytest.mark.parametrize("channel", ["pstn", "whatsapp", ""])
@pytest.mark.parametrize("number", ["49116117", "49112", "112"])
async def test_an_emergency_number_is_called_over_no_channel(channel, number):
    for line in (LINE, OTHER):
        with pytest.raises(Forbidden, match="emergency"):
            await rules().check(line, number, channel)


async def test_more_calls_in_a_minute_than_the_trunk_may_begin_are_refused_with_when_to_retry():
    checked = rules()
    for _ in range(2):
        await checked.check(LINE, NUMBER, "pstn")
    with pytest.raises(TooManyTelephoneCalls, match="calls_per_minute") as refused:
        await checked.check(LINE, NUMBER, "pstn")
    assert (refused.value.status, refused.value.retry_after) == (429, 30)


async def test_more_calls_at_once_than_the_trunk_may_have_are_refused():
    with pytest.raises(TooManyTelephoneCalls, match=r"sip\.calls\b"):
        await rules().check(LINE, NUMBER, "pstn", telephone_calls=2)


async def test_what_is_refused_is_not_counted():
    checked = rules()
    for _ in range(3):
        with pytest.raises(Forbidden, match="allow_prefixes"):
            await checked.check(LINE, "33123456789", "pstn")
    await checked.check(LINE, NUMBER, "pstn")


@pytest.mark.parametrize(
    ("joined", "channel"), [(LegKind.WHATSAPP, "pstn"), (LegKind.SIP, "whatsapp")]
)
async def test_a_party_of_metas_api_and_a_telephone_never_share_a_call(joined, channel):
    official = LinePolicy((), official=True, trunk=TRUNK)
    with pytest.raises(Forbidden, match="Meta forbids"):
        await rules(official).check(LINE, NUMBER, channel, joined=[LegKind.WEBRTC, joined])
    await rules(official).check(LINE, NUMBER, channel, joined=[LegKind.WEBRTC])


async def test_a_simulated_telephone_and_a_simulated_contact_may_share_a_call():
    simulated = LinePolicy((), simulated=True)
    contact = await rules(simulated).check(LINE, "15550100001", "", joined=[LegKind.SIP])
    telephone = await rules(simulated).check(LINE, "15550200001", "", joined=[LegKind.SIMULATOR])
    assert (contact.channel, telephone.channel) == ("whatsapp", "pstn")


async def test_a_private_trunk_may_join_a_party_of_metas_api():
    private = TrunkPolicy(prefixes=("",), private=True)
    official = LinePolicy((), official=True, trunk=private)
    route = await rules(official).check(LINE, NUMBER, "pstn", joined=[LegKind.WHATSAPP])
    assert route.channel == "pstn"


def test_a_bucket_fills_with_time_and_never_over():
    assert take_call(None, 0.0, 30) == (29.0, 0.0)
    assert take_call((0.0, 0.0), 2.0, 30) == (0.0, 2.0)
    assert take_call((29.0, 0.0), 600.0, 30) == (29.0, 600.0)


def test_a_telephone_call_lasts_as_long_as_its_trunk_or_its_request_allows_whichever_is_less():
    route = Route("pstn", "+493099", 60.0)
    plain = route.apply(CallDetails())
    assert (plain.talk_seconds, plain.parties) == (60.0, Parties("+493099", "", "pstn", "pstn"))
    named = CallDetails(Parties(from_="+4977"), talk_seconds=30.0)
    assert (route.apply(named).talk_seconds, route.apply(named).parties.from_) == (30.0, "+4977")
    assert Route("whatsapp").apply(named) is named
