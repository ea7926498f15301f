"""What a line may call from, and over which channels."""

import pytest

from bridge.call.model import LegKind
from bridge.call.policy import (
    SIMULATED_TRUNK,
    LinePolicy,
    TrunkPolicy,
    channels_of,
    check_emergency,
)
from bridge.errors import Forbidden, InvalidRequest, Unsupported

NUMBER, OTHER = "+15550109000", "+15550109001"
PLAIN = LinePolicy((NUMBER, OTHER), simulated=True)
OFFICIAL = LinePolicy((), official=True)
TRUNK = TrunkPolicy(prefixes=("49", "4319"))
OFFICE = LinePolicy((NUMBER,), simulated=True, trunk=TRUNK)
SIMULATED = "15550200001"


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
    trunk = LinePolicy((), official=True, trunk=TRUNK)
    for policy in (OFFICIAL, trunk):
        with pytest.raises(Forbidden, match="Meta forbids"):
            policy.check_route("whatsapp", "pstn")
    trunk.check_route("webrtc", "pstn")
    for policy, channel in ((PLAIN, "whatsapp"), (OFFICIAL, "webrtc")):
        with pytest.raises(Unsupported, match="SIP"):
            policy.check_route("pstn", channel)


def test_only_a_trunk_that_leads_to_no_telephone_network_may_meet_an_official_whatsapp_call():
    private = TrunkPolicy(prefixes=("",), private=True)
    LinePolicy((), official=True, trunk=private).check_route("whatsapp", "pstn")


def test_without_a_channel_whatsapp_is_meant_also_on_a_line_with_a_trunk():
    assert OFFICE.channel_to("493012345") == "whatsapp"
    assert OFFICE.channel_to("493012345", "pstn") == "pstn"


def test_a_vendor_of_telephone_calls_means_the_trunk_of_a_line_that_has_nothing_else():
    assert OFFICE.telephone_channel == "pstn"
    assert LinePolicy((), official=True, trunk=TRUNK).telephone_channel == ""
    assert PLAIN.telephone_channel == ""


def test_simulated_telephones_are_called_whatever_the_channel_where_contacts_are_simulated():
    assert [PLAIN.channel_to(SIMULATED, named) for named in ("", "whatsapp")] == ["pstn", "pstn"]
    PLAIN.check_route("pstn", number=SIMULATED)
    PLAIN.check_telephone(SIMULATED)
    for policy in (OFFICE, OFFICIAL):
        assert policy.trunk_to(SIMULATED) is policy.trunk


@pytest.mark.parametrize("number", ["15550100001", NUMBER[1:]])
def test_the_simulated_network_rings_contacts_and_the_lines_own_telephone(number):
    assert PLAIN.channel_to(number) == "whatsapp"
    PLAIN.check_route("pstn", "whatsapp", number=number)
    assert PLAIN.check_telephone(number) is SIMULATED_TRUNK


def test_a_trunk_rings_the_lines_own_numbers_whatever_its_prefixes():
    assert OFFICE.check_telephone(NUMBER[1:]) is TRUNK


@pytest.mark.parametrize("number", ["4930123456", "43190000"])
def test_numbers_with_an_allowed_beginning_may_be_called(number):
    assert OFFICE.check_telephone(number) is TRUNK


@pytest.mark.parametrize("number", ["4311234", "15550100001", "4"])
def test_other_numbers_may_not_and_the_setting_is_named(number):
    with pytest.raises(Forbidden, match=r"lines\.NAME\.sip\.allow_prefixes"):
        OFFICE.check_telephone(number)


def test_a_trunk_without_prefixes_calls_nobody_and_one_with_an_empty_prefix_everybody():
    with pytest.raises(Forbidden):
        LinePolicy((), trunk=TrunkPolicy(prefixes=())).check_telephone("4930123456")
    LinePolicy((), trunk=TrunkPolicy(prefixes=("",))).check_telephone("4930123456")


@pytest.mark.parametrize(
    "number",
    [
        *("112", "911", "999", "110", "000", "08", "116117"),
        *("+1911", "49110", "353112", "+61000", "+49116117", "49116123", "353116000", "7116111"),
        *("+490112", "4900112", "+490116117"),
    ],
)
def test_emergency_numbers_and_helplines_are_known_also_with_a_country_code(number):
    with pytest.raises(Forbidden, match="emergency"):
        check_emergency(number)


@pytest.mark.parametrize(
    "number",
    ["1125550100", "4930112", "15550100911", "4720000112", "431116117", "0123", "+0123", ""],
)
def test_a_subscribers_number_with_the_same_digits_is_none_nor_is_an_invalid_one(number):
    check_emergency(number)


@pytest.mark.parametrize("number", ["", "0123", "anna", "+4930", "1" * 16, "٤٩٣٠", "49\n"])
def test_what_no_telephone_has_as_its_number_is_refused_before_the_lines_limits(number):
    with pytest.raises(InvalidRequest, match="15 digits"):
        OFFICE.check_telephone(number)


def test_of_a_calls_legs_those_count_that_terms_speak_of():
    assert channels_of([LegKind.WEBRTC, LegKind.SIP, LegKind.RECORDER]) == {"pstn"}
    assert channels_of([LegKind.GATEWAY, LegKind.WHATSAPP]) == {"whatsapp"}


def test_a_simulated_party_is_on_no_channel_that_terms_speak_of():
    assert channels_of([LegKind.SIMULATOR, LegKind.SIP]) == {"pstn"}
