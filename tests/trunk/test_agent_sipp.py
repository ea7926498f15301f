"""Calls with sipp, an independent SIP program: scenarios of both sides, over UDP and TCP."""

import asyncio

import pytest

from bridge.settings.model import Line, LineSip, Rtc
from bridge.sip.events import (
    Answered,
    DigitSignalled,
    Ended,
    OfferAnswered,
    Offered,
    Refused,
    Ringing,
    TransferRequested,
)
from tests.support.inprocess import free_udp_ports, running, settings
from tests.support.sip.sip_agents import GUARDED, SDP, TRUSTED, sip_agent, trunk_to
from tests.support.waiting import until_answer
from tests.trunk.sipp import sipp

pytestmark = pytest.mark.sipp

NUMBER = "4930123"


# sipp is called


@pytest.mark.parametrize(("transport", "option"), [("udp", "u1"), ("tcp", "t1")])
async def test_sipp_answers_and_is_hung_up(tmp_path, transport, option):
    async with sipp(tmp_path, "uas_answer", transport=option) as peer, sip_agent(None) as ours:
        call = ours.call(trunk_to(peer.port, transport=transport))
        assert (await call.event(Ringing)).code == 180
        assert "PCMU/8000" in (await call.event(Answered)).sdp
        call.dialog.hang_up()
        await call.dialog.wait_closed()
        await peer.finish()


async def test_sipp_is_busy_and_says_why(tmp_path):
    async with sipp(tmp_path, "uas_busy") as peer, sip_agent(None) as ours:
        refused = await ours.call(trunk_to(peer.port)).event(Refused)
        assert (refused.code, refused.cause) == (486, 17)
        await peer.finish()


async def test_sipp_has_no_room_and_says_for_how_long(tmp_path):
    async with sipp(tmp_path, "uas_unavailable") as peer, sip_agent(None) as ours:
        refused = await ours.call(trunk_to(peer.port)).event(Refused)
        assert (refused.code, refused.retry_after) == (503, 7)
        await peer.finish()


async def test_a_call_that_sipp_does_not_answer_is_canceled(tmp_path):
    async with sipp(tmp_path, "uas_no_answer") as peer, sip_agent(None) as ours:
        call = ours.call(trunk_to(peer.port))
        await call.event(Ringing)
        call.dialog.hang_up()
        await call.dialog.wait_closed()
        await peer.finish()


async def test_sipp_plays_something_before_it_answers(tmp_path):
    async with sipp(tmp_path, "uas_early_media") as peer, sip_agent(None) as ours:
        call = ours.call(trunk_to(peer.port))
        early = await call.event(Ringing)
        assert (early.code, "PCMU" in early.sdp) == (183, True)
        await call.event(Answered)
        call.dialog.hang_up()
        await peer.finish()


async def test_sipp_holds_the_call_resumes_it_and_ends_it_with_a_reason(tmp_path):
    async with sipp(tmp_path, "uas_hold") as peer, sip_agent(None) as ours:
        call = ours.call(trunk_to(peer.port))
        await call.event(Answered)
        for number, direction in ((1, "sendonly"), (2, "sendrecv")):
            offered = await call.event(Offered, number)
            assert f"a={direction}" in offered.sdp
            call.dialog.answer(SDP)
        assert (await call.event(Ended)).cause == 16
        await peer.finish()


async def test_sipp_sends_digits_by_info(tmp_path):
    async with sipp(tmp_path, "uas_info") as peer, sip_agent(None) as ours:
        call = ours.call(trunk_to(peer.port))
        first, second = await call.event(DigitSignalled), await call.event(DigitSignalled, 2)
        assert (first.digit, first.seconds, second.digit) == ("5", pytest.approx(0.16), "#")
        call.dialog.hang_up()
        await peer.finish()


async def test_sipp_asks_for_a_transfer_and_hears_of_it(tmp_path):
    async with sipp(tmp_path, "uas_refer") as peer, sip_agent(None) as ours:
        call = ours.call(trunk_to(peer.port))
        assert (await call.event(TransferRequested)).target == "+4930999"
        call.dialog.notify_transfer(200)
        await asyncio.sleep(0.2)
        call.dialog.hang_up()
        await peer.finish()


# sipp calls


@pytest.mark.parametrize(("transport", "option"), [("udp", "u1"), ("tcp", "t1")])
async def test_sipp_calls_and_hangs_up(tmp_path, transport, option):
    async with sip_agent(transport, inbound=[TRUSTED]) as ours:
        to = f"127.0.0.1:{ours.port}"
        options = ("-s", NUMBER, "-d", "100")
        async with sipp(tmp_path, "uac_answer", *options, to=to, transport=option) as peer:
            call = await ours.invited()
            assert call.invite is not None
            assert (call.invite.to_number, call.invite.from_number) == (NUMBER, "+491701")
            call.dialog.ring()
            call.dialog.answer(SDP)
            assert (await call.event(Ended)).cause == 16
            await peer.finish()


async def test_sipp_gives_up_while_it_rings(tmp_path):
    async with sip_agent(inbound=[TRUSTED]) as ours:
        to = f"127.0.0.1:{ours.port}"
        async with sipp(tmp_path, "uac_called_off", "-s", NUMBER, to=to) as peer:
            call = await ours.invited()
            call.dialog.ring()
            assert (await call.event(Ended)).canceled
            await peer.finish()


async def test_sipp_is_refused(tmp_path):
    async with sip_agent(inbound=[TRUSTED]) as ours:
        to = f"127.0.0.1:{ours.port}"
        async with sipp(tmp_path, "uac_refused", "-s", NUMBER, to=to) as peer:
            call = await ours.invited()
            call.dialog.ring()
            call.dialog.refuse(486)
            await peer.finish()


async def test_sipp_logs_in_and_calls(tmp_path):
    async with sip_agent(inbound=[GUARDED], algorithms=["MD5"]) as ours:
        to = f"127.0.0.1:{ours.port}"
        login = ("-s", NUMBER, "-au", "carrier", "-ap", "a secret", "-auth_uri", f"{NUMBER}@{to}")
        async with sipp(tmp_path, "uac_challenged", *login, "-d", "50", to=to) as peer:
            call = await ours.invited()
            assert call.invite is not None
            assert call.invite.trunks == {"trunk"}
            call.dialog.answer(SDP)
            await peer.finish()


async def test_sipp_with_a_wrong_password_reaches_nobody(tmp_path):
    async with sip_agent(inbound=[GUARDED], algorithms=["MD5"]) as ours:
        to = f"127.0.0.1:{ours.port}"
        login = ("-s", NUMBER, "-au", "carrier", "-ap", "wrong", "-auth_uri", f"{NUMBER}@{to}")
        async with sipp(tmp_path, "uac_wrong_password", *login, to=to) as peer:
            await peer.finish()
        assert ours.incoming == []


@pytest.mark.parametrize(
    "calls", [40, pytest.param(200, marks=pytest.mark.long)], ids=["40", "200"]
)
async def test_no_call_of_many_is_lost_or_stuck(tmp_path, calls):
    async with sip_agent(inbound=[TRUSTED]) as ours:

        def answer(invite):
            invite.dialog.ring()
            invite.dialog.answer(SDP)

        ours.agent.on_invite = answer
        rate = 10 if calls > 100 else 40
        to = f"127.0.0.1:{ours.port}"
        options = ("-s", NUMBER, "-r", str(rate), "-d", "500")
        async with sipp(tmp_path, "uac_answer", *options, to=to, calls=calls) as peer:
            await peer.finish(timeout=60)
        assert ours.counted.messages["in", "BYE", 0] == calls
        assert ours.agent.core.sizes["calls"] == 0
        assert not ours.counted.drops


async def test_a_reoffer_of_ours_is_answered_by_sipp(tmp_path):
    async with sipp(tmp_path, "uas_reinvited") as peer, sip_agent(None) as ours:
        call = ours.call(trunk_to(peer.port))
        await call.event(Answered)
        call.dialog.reoffer(SDP + "a=sendonly\r\n")
        await call.event(OfferAnswered)
        call.dialog.hang_up()
        await peer.finish()


@pytest.mark.call
async def test_forty_whole_calls_at_once_are_answered_and_leave_nothing_behind(tmp_path):
    async with sipp(tmp_path, "uas_answer", "-rtp_echo", calls=10_000) as peer:
        trunk = LineSip(
            trunk=f"sip:127.0.0.1:{peer.port}",
            allow_prefixes=["+1"],
            codecs=["pcmu"],
            calls_per_minute=100,
        )
        lines = {"main": Line(keys=["demo"], numbers=["15550109000"], sip=trunk)}
        first = free_udp_ports(100)
        rtc = Rtc(bind=["127.0.0.1"], ports=f"{first}-{first + 99}")
        async with running(settings(lines=lines, rtc=rtc)) as client:
            made = await asyncio.gather(*(dial(client) for _ in range(40)))
            for call_id in made:
                await client.until_state(call_id, "active")
            assert len(await client.calls()) == 40
            for call_id in made:
                await client.data("/call/hangup", {"callId": call_id})
            await until_answer(lambda: no_calls(client))
            assert client.ports.used == 0
            assert (
                await client.total(
                    'bridge_sip_messages_total{code="2xx",direction="in",method="BYE"'
                )
                == 40
            )


async def dial(client):
    body = {"phone": "15550300001", "channel": "pstn"}
    return (await client.data("/call/dial", body))["callId"]


async def no_calls(client):
    return not await client.calls()
