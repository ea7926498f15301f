"""A WhatsApp user's leg: how it comes up, what is heard and which digits pass."""

import asyncio
import itertools

import numpy as np
import pytest

from bridge.call import events
from bridge.call.model import EndReason
from bridge.errors import SdpError, WhatsAppRefused
from bridge.legs.cloud import InboundCall
from tests.support.packets.offers import offer
from tests.support.peers.bridge_peer import value
from tests.support.peers.meta_peer import ANSWER_FORMS, OFFER_FORMS
from tests.support.sound.speech_compare import align, tone
from tests.support.sound.voices import words
from tests.support.waiting import until
from tests.support.whatsapp.cloud_call import (
    ANSWERED,
    CONNECTED,
    DIALLED,
    LEG,
    WACID,
    call,
    ended,
    say,
)

pytestmark = pytest.mark.virtual_time

# They ring us


@pytest.mark.parametrize("form", OFFER_FORMS)
async def test_a_user_who_rings_us_is_connected_whatever_form_the_offer_has(form):
    async with call(offer_form=form) as one:
        await one.talk()
        await until(lambda: len(one.media.rtp_packets) > 5)
        assert one.media.complaints == []
        assert one.events == [CONNECTED]
        assert one.observed.setups == ["connected"]


async def test_the_answer_is_the_same_in_pre_accept_and_accept():
    async with call() as one:
        await one.talk()
        (first, before), (second, after) = one.meta.asked
        assert (first, second) == ("pre_accept", "accept")
        assert before == after
        assert value(before, "mid") == "audio"
        assert value(before, "setup") == "active"


async def test_the_media_road_is_up_before_anybody_answers_and_nothing_is_sent_on_it():
    async with call() as one:
        await one.ring_us()
        await one.media.wait_connected()
        await asyncio.sleep(0.2)
        assert one.meta.actions == ["pre_accept"]
        assert one.media.rtp_packets == []
        assert one.events == []


async def test_no_packet_leaves_before_accept_was_granted():
    async with call() as one:
        one.meta.slow.add("accept")
        await one.ring_us()
        await one.media.wait_connected()
        one.leg.answer()
        await until(lambda: "accept" in one.meta.actions)
        await say(one.leg, tone(0.2))
        one.leg.send_digits("1")
        await asyncio.sleep(0.1)
        assert one.media.rtp_packets == []
        assert one.events == []


async def test_our_side_checks_first():
    async with call() as one:
        await one.talk()
        assert one.media.checked_first
        assert "out" not in one.media.stun


async def test_without_pre_accept_one_accept_is_enough():
    async with call() as one:
        await one.ring_us(pre_accept=False)
        one.leg.answer()
        await until(one.has(CONNECTED))
        assert one.meta.actions == ["accept"]


async def test_a_refused_pre_accept_does_not_end_the_call():
    async with call() as one:
        one.meta.refuses.add("pre_accept")
        await one.ring_us()
        one.leg.answer()
        await until(one.has(CONNECTED))
        assert one.meta.actions == ["pre_accept", "accept"]


@pytest.mark.parametrize(
    ("inbound", "steps"),
    [
        (True, ["offer", "pre_accepted", "ice", "dtls", "accepted", "first_sent"]),
        (False, ["offer", "dialled", "answer", "ice", "dtls", "first_sent"]),
    ],
)
async def test_the_steps_of_a_set_up_are_timed(inbound, steps):
    async with call() as one:
        await one.talk(inbound=inbound)
        await until(lambda: one.media.rtp_packets)
        setup = one.leg.statistics().setup
        assert setup is not None
        times = [getattr(setup, step) for step in steps]
        assert None not in times
        assert setup.first_received is not None


async def test_a_refused_accept_ends_the_leg_and_the_call_at_metas():
    async with call() as one:
        one.meta.refuses.add("accept")
        await one.ring_us()
        one.leg.answer()
        await one.over()
        assert one.events == [ended(EndReason.FAILED, one.meta.error)]
        assert one.meta.actions[-1] == "terminate"
        assert one.media.rtp_packets == []


async def test_an_offer_that_cannot_be_answered_makes_no_leg():
    async with call() as one:
        with pytest.raises(SdpError):
            one.make(InboundCall(WACID, offer("no_opus")))


# We ring them


@pytest.mark.parametrize("form", ANSWER_FORMS)
async def test_a_user_whom_we_ring_is_connected_whatever_form_the_answer_has(form):
    async with call(answer_form=form) as one:
        await one.ring_them()
        one.leg.ringing()
        one.pick_up()
        await until(one.has(CONNECTED), timeout=10)
        await until(lambda: len(one.media.rtp_packets) > 5)
        assert one.media.complaints == []
        assert one.events == [DIALLED, events.LegRinging(LEG), ANSWERED, CONNECTED]
        assert one.media.checked_first
        assert one.meta.actions == []


async def test_nothing_is_sent_before_the_user_picks_up():
    async with call() as one:
        await one.ring_them()
        one.leg.ringing()
        await one.media.wait_connected()
        await say(one.leg, tone(0.2))
        assert one.media.rtp_packets == []
        one.pick_up()
        await until(lambda: one.media.rtp_packets)
        assert one.media.early_packets == []


async def test_webhooks_may_come_twice_and_in_any_order():
    async with call() as one:
        leg = one.make()
        one.run()
        await until(lambda: one.offer)
        leg.accepted()
        leg.ringing()
        leg.accepted()
        leg.set_answer(await one.media.answer(one.offer))
        leg.set_answer("v=0")
        await until(one.has(CONNECTED), timeout=10)
        assert one.events == [DIALLED, ANSWERED, CONNECTED]


async def test_a_dial_that_meta_refuses_ends_the_leg_with_its_error():
    async with call() as one:
        one.refuses = WhatsAppRefused("no", meta_code=131030)
        one.make()
        one.run()
        await one.over()
        assert one.events == [events.LegEnded(LEG, EndReason.FAILED, one.refuses)]
        assert one.meta.actions == []


async def test_an_answer_that_cannot_be_used_ends_the_leg_and_the_call_at_metas():
    async with call() as one:
        leg = one.make()
        one.run()
        await until(one.has(DIALLED))
        leg.set_answer("v=0\r\n")
        await one.over()
        assert one.events[0] == DIALLED
        assert isinstance(one.events[1], events.LegEnded)
        assert isinstance(one.events[1].error, SdpError)
        assert one.meta.actions == ["terminate"]


async def test_a_leg_that_was_never_run_holds_nothing():
    async with call() as one:
        one.make()
        assert one.pool.used == 0
        await one.leg.aclose()
        assert one.meta.actions == []


# Sound


@pytest.mark.call
@pytest.mark.parametrize("inbound", [True, False])
async def test_both_hear_each_other(inbound):
    theirs, ours = words(0, 2.0), words(1, 2.0)
    async with call(theirs, repeat=True) as one:
        if inbound:
            await one.ring_us()
        else:
            await one.ring_them()
        heard: list[bytes] = []
        one.leg.source.attach(lambda frame, _now: heard.append(frame.pcm))
        if inbound:
            one.leg.answer()
        else:
            one.pick_up()
        await until(one.has(CONNECTED), timeout=10)
        await say(one.leg, ours)
        await until(lambda: len(heard) > 130, timeout=10)
        await one.media.wait_heard(2.5)
        assert len(one.media.ssrcs) == 1
        assert align(ours, one.media.heard).correlation > 0.5
        assert align(theirs, np.frombuffer(b"".join(heard), np.int16)).correlation > 0.5


async def test_a_silent_call_is_sent_fifty_packets_a_second_from_the_first_moment():
    async with call() as one:
        await one.talk()
        await until(lambda: len(one.media.rtp_packets) >= 100)
        packets = one.media.rtp_packets[:100]
        assert 1.5 < packets[-1].time - packets[0].time < 3.0
        first = packets[0]
        assert [(p.sequence - first.sequence) & 0xFFFF for p in packets] == list(range(100))
        assert {p.payload_type for p in packets} == {111}
        spacing = {(b.timestamp - a.timestamp) & 0xFFFFFFFF for a, b in itertools.pairwise(packets)}
        assert all(step % 960 == 0 for step in spacing)
        assert one.media.early_packets == []


# Digits


@pytest.mark.parametrize("inbound", [True, False])
async def test_digits_pass_both_ways(inbound):
    async with call() as one:
        await one.talk(inbound=inbound)
        await one.media.send_digit("5")
        await one.media.send_digit("#")
        await until(one.has(events.DigitReceived(LEG, "#")))
        one.leg.send_digits("42")
        await until(lambda: one.media.digits == "42")
        assert [e.digit for e in one.events if isinstance(e, events.DigitReceived)] == ["5", "#"]
        assert len(one.media.ssrcs) == 1
