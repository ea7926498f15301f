"""How a WhatsApp user's leg ends, who is told, and that silence is noticed."""

import asyncio

import pytest

from bridge.call import events
from bridge.call.model import EndReason
from bridge.legs.cloud import InboundCall
from bridge.rtc.config import Timeouts
from tests.support.waiting import until
from tests.support.whatsapp.cloud_call import DIALLED, LEG, WACID, call, ended

pytestmark = pytest.mark.virtual_time


async def test_hanging_up_while_it_rings_is_a_reject():
    async with call() as one:
        await one.ring_us()
        await until(lambda: one.meta.actions == ["pre_accept"])
        await one.hang_up()
        assert one.meta.asked[1:] == [("reject", WACID)]
        assert one.events == []


@pytest.mark.parametrize("inbound", [True, False])
async def test_hanging_up_terminates_and_says_goodbye(inbound):
    async with call() as one:
        await one.talk(inbound=inbound)
        await one.hang_up()
        await one.media.wait_ended()
        assert one.meta.asked[-1] == ("terminate", WACID)
        assert not any(isinstance(event, events.LegEnded) for event in one.events)


async def test_hanging_up_while_meta_takes_the_accept_terminates():
    async with call() as one:
        one.meta.slow.add("accept")
        await one.ring_us()
        one.leg.answer()
        await until(lambda: "accept" in one.meta.actions)
        await one.hang_up()
        assert one.meta.asked[-1] == ("terminate", WACID)


async def test_hanging_up_while_we_ring_the_user_terminates():
    async with call() as one:
        await one.ring_them()
        await one.hang_up()
        assert one.meta.asked == [("terminate", WACID)]


async def test_a_goodbye_that_meta_is_slow_to_take_holds_nothing_up():
    async with call() as one:
        one.meta.slow.add("reject")
        await one.ring_us()
        await until(lambda: one.meta.actions == ["pre_accept"])
        async with asyncio.timeout(5):
            await one.hang_up()
        assert one.meta.actions[-1] == "reject"


@pytest.mark.parametrize("inbound", [True, False])
async def test_a_user_who_hangs_up_is_not_terminated_once_more(inbound):
    async with call() as one:
        await one.talk(inbound=inbound)
        one.leg.terminated()
        one.leg.terminated(EndReason.FAILED)
        await one.over()
        assert one.events[-1] == ended(EndReason.REMOTE_HANGUP)
        assert not {"terminate", "reject"} & set(one.meta.actions)


async def test_a_user_who_refuses_has_rejected_the_call():
    async with call() as one:
        await one.ring_them()
        one.leg.ringing()
        one.leg.terminated(EndReason.REJECTED)
        one.leg.terminated()
        one.leg.accepted()
        await one.over()
        assert one.events == [DIALLED, events.LegRinging(LEG), ended(EndReason.REJECTED)]
        assert one.meta.actions == []


async def test_a_call_that_was_over_before_the_leg_ran_ends_at_once():
    async with call() as one:
        one.make(InboundCall(WACID, await one.media.offer()))
        one.leg.terminated()
        one.run()
        await one.over()
        assert one.events == [ended(EndReason.REMOTE_HANGUP)]


async def test_a_media_server_that_says_goodbye_is_still_terminated():
    async with call() as one:
        await one.talk()
        await one.media.aclose()
        await one.over()
        assert one.events[-1] == ended(EndReason.REMOTE_HANGUP)
        assert one.meta.actions[-1] == "terminate"


async def test_a_media_server_that_vanishes_ends_the_leg_for_want_of_media():
    async with call(timeouts=Timeouts(peer_timeout=0.4, consent=(0.05, 0.1))) as one:
        await one.talk()
        one.media.vanish()
        await one.over()
        assert one.events[-1] == ended(EndReason.MEDIA_TIMEOUT)
        assert one.observed.failures == [("ice", "consent_lost")]
        assert one.meta.actions[-1] == "terminate"


async def test_a_media_server_that_answers_no_check_fails_the_leg_and_the_call_is_rejected():
    async with call(timeouts=Timeouts(ice=0.3, dtls=0.3, setup=0.6)) as one:
        one.media.vanish()
        await one.ring_us()
        await one.over()
        assert one.events == [ended(EndReason.FAILED)]
        assert one.observed.setups == ["failed"]
        assert one.meta.actions == ["pre_accept", "reject"]


async def test_silence_of_the_user_is_noticed():
    async with call() as one:
        await one.talk()
        await until(lambda: one.leg.statistics().received.packets)
        one.media.mute()
        await until(one.has(events.LegSilent(LEG)))
        one.media.mute(muted=False)
        await until(one.has(events.LegResumed(LEG)))
