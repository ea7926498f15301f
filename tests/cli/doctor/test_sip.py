"""What the doctor says of SIP trunks."""

import pytest

from bridge.cli.doctor.sip import check_sip, evaluate, evaluate_health, evaluate_running
from bridge.settings.model import Line, LineSip, Rtc, Settings, Sip
from bridge.trunk.trunks import TrunkHealth
from tests.cli.doctor.surroundings import assert_fails, assert_ok, only, surroundings

NONE = Rtc(stun_urls=[])
PREFIXES = ["+49"]


def warned(sip: LineSip, shared: Sip | None = None) -> list[str]:
    return [one.setting for one in evaluate(Settings(sip=shared or Sip()), "office", sip)]


async def test_without_a_trunk_there_is_nothing_to_ask():
    async with surroundings(Settings(rtc=NONE)) as around:
        assert_ok(only(await check_sip(around)), "no line has a trunk")


@pytest.mark.parametrize(
    ("sip", "listens", "setting"),
    [
        (LineSip(trunk="sip:x", register=True), False, "lines.office.sip.allow_prefixes"),
        (LineSip(trunk="sip:x", allow_prefixes=PREFIXES), False, "sip.listen"),
        (LineSip(trunk="sip:x", allow_prefixes=PREFIXES), True, "sip.trusted"),
        (
            LineSip(trunk="sip:x", allow_prefixes=PREFIXES, register=True, srtp="optional"),
            False,
            "lines.office.sip.trunk",
        ),
    ],
)
def test_what_is_not_set_leaves_something_impossible(sip, listens, setting):
    assert warned(sip, Sip(listen=["udp:127.0.0.1"] if listens else [])) == [setting]


def test_a_trunk_that_is_set_up_in_full_has_no_warning():
    sip = LineSip(trunk="sips:x", allow_prefixes=PREFIXES, register=True, srtp="required")
    assert warned(sip) == []


def test_an_answer_a_refusal_and_silence_are_told_apart():
    assert_ok(evaluate_health("office", TrunkHealth(reachable=True)), "answers")
    registered = TrunkHealth(reachable=True, registered=True)
    assert_ok(evaluate_health("office", registered), "takes the registration")
    refused = TrunkHealth(reachable=True, registered=False, last_error="failed with 403")
    assert_fails(evaluate_health("office", refused), "403", setting="lines.office.sip.username")
    silent = TrunkHealth(reachable=False, last_error="no address responds")
    assert_fails(evaluate_health("office", silent), "no address", setting="lines.office.sip.trunk")
    assert_fails(evaluate_health("office", TrunkHealth()), "not answer", setting="lines.office.sip")


def test_a_registration_that_only_the_running_bridge_sees_refused_is_told():
    [found] = evaluate_running(1)
    assert_fails(found, "not registered", setting="lines.NAME.sip.username")
    assert list(evaluate_running(0)) == []
    assert list(evaluate_running(-1)) == []


async def test_a_port_that_is_taken_is_told_with_its_setting():
    sip = LineSip(trunk="sip:127.0.0.1:9", allow_prefixes=PREFIXES, trusted=["127.0.0.0/8"])
    lines = {"office": Line(keys=["k"], sip=sip)}
    shared = Sip(listen=["udp:192.0.2.1:5060"])
    async with surroundings(Settings(rtc=NONE, lines=lines, sip=shared)) as around:
        found = await check_sip(around)
    assert_fails(only(found), "192.0.2.1", setting="sip.listen")
