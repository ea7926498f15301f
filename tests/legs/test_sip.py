"""A telephone's leg: how a call comes up, what is signalled, and how it ends."""

import asyncio
from typing import cast

import pytest

from bridge.call import events
from bridge.call.model import EndReason
from bridge.errors import NoCommonCodec, SdpError, TrunkRefused, TrunkUnreachable
from bridge.legs.base import Answerable, DigitSender, EndsWithReason, Holdable, Transferable
from bridge.legs.sip import SipLeg
from bridge.legs.sip_media import InboundInvite, PortableSip
from bridge.sip import events as sip
from bridge.sip.snapshot import SipCallSnapshot
from tests.support.packets.packet_path import choose_path, parametrize_paths
from tests.support.sip.sip_call import (
    ANSWERED,
    CONNECTED,
    DIALLED,
    EARLY,
    RINGING,
    Call,
    call,
)
from tests.support.waiting import until

pytestmark = pytest.mark.virtual_time

path = choose_path
pytest_generate_tests = parametrize_paths
"""Each test runs on every packet path."""

# We call


async def test_a_telephone_that_rings_and_answers_is_connected() -> None:
    async with call() as one:
        await one.dial()
        one.say(sip.Ringing(180))
        one.say(sip.Answered(one.phone.describe()))
        assert one.events == [DIALLED, RINGING, ANSWERED, CONNECTED]
        assert one.observed.setups == ["connected"]
        steps = one.leg.statistics().setup
        assert steps is not None
        assert {"dialled", "offer", "ringing", "answer", "accepted"} <= set(steps.done())


async def test_a_telephone_hears_packets_as_soon_as_it_has_answered() -> None:
    async with call() as one:
        await one.talk()
        await until(lambda: len(one.phone.audio) > 10)
        gaps = {
            (second.sequence - first.sequence) & 0xFFFF
            for first, second in zip(one.phone.audio, one.phone.audio[1:], strict=False)
        }
        assert gaps == {1}


async def test_a_trunk_that_is_slow_to_ring_has_accepted_the_dial_after_a_second() -> None:
    async with call() as one:
        await one.dial()
        await asyncio.sleep(0.9)
        assert one.events == []
        await asyncio.sleep(0.2)
        assert one.events == [DIALLED]


async def test_early_media_is_announced_and_needs_no_second_description() -> None:
    async with call() as one:
        await one.dial()
        one.say(sip.Ringing(183, one.phone.describe()))
        one.say(sip.Ringing(183, one.phone.describe()))
        assert one.events == [DIALLED, RINGING, EARLY]
        await until(lambda: one.phone.audio)
        one.say(sip.Answered(""))
        assert one.events[3:] == [ANSWERED, CONNECTED]


async def test_early_media_can_be_switched_off() -> None:
    async with call() as one:
        await one.dial(early_media=False)
        one.say(sip.Ringing(183, one.phone.describe()))
        assert one.events == [DIALLED, RINGING]


async def test_early_media_that_cannot_be_used_does_not_end_the_call() -> None:
    async with call() as one:
        await one.dial()
        one.say(sip.Ringing(183, one.phone.describe(formats="18")))
        assert one.events == [DIALLED, RINGING]
        one.say(sip.Answered(one.phone.describe()))
        assert one.events[2:] == [ANSWERED, CONNECTED]


async def test_a_bridge_without_a_free_port_asks_the_caller_to_try_again() -> None:
    async with call() as one:
        await one.ring_us()
        taken = [one.pool.open([]) for _ in range(one.pool.free)]
        one.leg.answer()
        await until(lambda: one.dialog.asked[-1] == ("hang_up", 503))
        for port, _ in taken:
            one.pool.release(port)
        assert one.ends == [EndReason.FAILED]


async def test_progress_without_audio_is_no_ringing() -> None:
    async with call() as one:
        await one.dial()
        one.say(sip.Ringing(183))
        one.say(sip.Ringing(182))
        assert one.events == [DIALLED]


@pytest.mark.parametrize(
    ("code", "cause", "reason"),
    [
        (486, None, EndReason.BUSY),
        (603, None, EndReason.REJECTED),
        (480, 17, EndReason.BUSY),
        (480, 19, EndReason.NO_ANSWER),
    ],
)
async def test_a_callee_who_refuses_was_dialled(
    code: int, cause: int | None, reason: EndReason
) -> None:
    async with call() as one:
        await one.dial()
        one.say(sip.Refused(code, cause=cause))
        await until(lambda: one.ends)
        assert one.events[0] == DIALLED
        assert one.ends == [reason]


@pytest.mark.parametrize(
    ("code", "reason", "error"),
    [
        (403, EndReason.FAILED, TrunkRefused),
        (404, EndReason.UNREACHABLE, TrunkRefused),
        (408, EndReason.UNREACHABLE, TrunkUnreachable),
        (503, EndReason.FAILED, TrunkUnreachable),
    ],
)
async def test_a_trunk_that_refuses_has_not_accepted_the_dial(
    code: int, reason: EndReason, error: type[Exception]
) -> None:
    async with call() as one:
        await one.dial()
        one.say(sip.Refused(code))
        await until(lambda: one.ends)
        (ended,) = one.events
        assert isinstance(ended, events.LegEnded)
        assert (ended.reason, type(ended.error)) == (reason, error)
        assert "hang_up" not in one.dialog.verbs


@pytest.mark.parametrize(
    ("lines", "formats", "error"),
    [([], "18", NoCommonCodec), (["a=ptime:x"], "0", SdpError)],
)
async def test_an_answer_that_cannot_be_used_ends_the_call(
    lines: list[str], formats: str, error: type[Exception]
) -> None:
    async with call() as one:
        await one.dial()
        one.say(sip.Answered(one.phone.describe(*lines, formats=formats)))
        await until(lambda: one.ends)
        ended = one.events[-1]
        assert isinstance(ended, events.LegEnded)
        assert (ended.reason, type(ended.error)) == (EndReason.FAILED, error)
        await until(lambda: "hang_up" in one.dialog.verbs)


async def test_a_call_that_is_given_up_before_the_answer_is_cancelled() -> None:
    async with call() as one:
        await one.dial()
        await one.hang_up()
        assert one.dialog.verbs == ["invite", "hang_up"]


# It calls us


async def test_a_telephone_that_calls_rings_and_is_answered() -> None:
    async with call() as one:
        await one.ring_us()
        assert one.dialog.verbs == ["ring"]
        await one.pick_up()
        assert one.events == [CONNECTED]
        await until(lambda: one.phone.audio)


async def test_a_call_without_an_offer_gets_ours() -> None:
    async with call() as one:
        one.make(InboundInvite(""))
        one.run()
        await until(lambda: one.dialog.asked)
        await one.pick_up()
        assert one.events == []
        one.say(sip.OfferAnswered(one.phone.describe()))
        assert one.events == [CONNECTED]


async def test_an_offer_that_cannot_be_answered_makes_no_leg() -> None:
    async with call() as one:
        with pytest.raises(NoCommonCodec):
            one.make(InboundInvite(one.phone.describe(formats="18")))
        with pytest.raises(SdpError):
            one.make(InboundInvite(one.phone.describe(protocol="UDP/TLS/RTP/SAVPF")))


async def test_a_caller_who_gives_up_ends_the_leg() -> None:
    async with call() as one:
        await one.ring_us()
        one.say(sip.Ended(canceled=True))
        await until(lambda: one.ends)
        assert one.ends == [EndReason.REMOTE_HANGUP]
        assert one.dialog.verbs == ["ring"]


async def test_a_call_that_has_ended_before_the_leg_runs_is_over_at_once() -> None:
    async with call() as one:
        one.make(InboundInvite(one.phone.describe()))
        one.say(sip.Ended(canceled=True))
        one.run()
        await until(lambda: one.ends)
        assert one.dialog.asked == []


@pytest.mark.parametrize(
    ("reason", "code"), [(EndReason.BUSY, 486), (EndReason.REJECTED, 603), (EndReason.DRAINED, 503)]
)
async def test_a_caller_is_told_why_nobody_answers(reason: EndReason, code: int) -> None:
    async with call() as one:
        await one.ring_us()
        one.leg.set_end_reason(reason)
        await one.hang_up()
        assert one.dialog.asked[-1] == ("hang_up", code)


async def test_a_leg_that_never_ran_ends_its_dialog() -> None:
    async with call() as one:
        one.make(InboundInvite(one.phone.describe()))
        await one.leg.aclose()
        assert one.dialog.verbs == ["hang_up"]


# The end


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (sip.Ended(), EndReason.REMOTE_HANGUP),
        (sip.Ended(cause=16), EndReason.REMOTE_HANGUP),
        (sip.Ended(cause=41), EndReason.FAILED),
        (sip.Ended(code=408), EndReason.MEDIA_TIMEOUT),
    ],
)
async def test_the_far_sides_end_is_the_legs(event: sip.Ended, reason: EndReason) -> None:
    async with call() as one:
        await one.talk()
        one.say(event)
        await until(lambda: one.ends)
        assert one.ends == [reason]
        assert "hang_up" not in one.dialog.verbs


async def test_our_end_says_goodbye_within_a_second() -> None:
    async with call() as one:
        await one.talk()
        await until(lambda: one.phone.audio)
        one.dialog.acknowledges = False
        loop = asyncio.get_running_loop()
        began = loop.time()
        await one.hang_up()
        assert loop.time() - began < 1.0
        assert one.dialog.asked[-1][0] == "hang_up"
        await until(lambda: any(b"\x81\xcb\x00\x01" in report for report in one.phone.reports))


async def test_what_happens_after_the_end_is_ignored() -> None:
    async with call() as one:
        await one.talk()
        await one.hang_up()
        count = len(one.events)
        one.say(sip.Offered(one.phone.describe()))
        one.say(sip.Answered(one.phone.describe()))
        assert len(one.events) == count
        assert one.dialog.verbs[-1] == "hang_up"


def test_a_telephone_does_all_that_the_bridge_asks_of_a_leg() -> None:
    for protocol in (Answerable, DigitSender, Holdable, Transferable, EndsWithReason):
        assert issubclass(SipLeg, protocol)


def portable() -> PortableSip:
    return PortableSip(cast("SipCallSnapshot", None), "sendrecv", session_id=77, session_version=3)


async def taken_over(one: Call) -> None:
    """Let the leg go on with a dead machine's call, and offer media of its own."""
    one.make().take_over(portable())
    one.run()
    await until(lambda: "reoffer" in one.dialog.verbs)


async def test_a_dead_machines_call_is_heard_again_once_the_far_side_has_agreed() -> None:
    async with call() as one:
        await taken_over(one)
        assert one.dialog.verbs == ["reach", "reoffer"]
        offer = one.dialog.last("reoffer")
        assert "o=- 77 4 " in offer
        assert one.leg.reconnecting
        one.phone.follow(offer)
        one.say(sip.OfferAnswered(one.phone.describe()))
        assert one.events == [CONNECTED]
        assert not one.leg.reconnecting
        await until(lambda: one.phone.audio)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (sip.OfferRefused(488), EndReason.NODE_LOST),
        (sip.Ended(code=408), EndReason.NODE_LOST),
        (sip.Ended(), EndReason.REMOTE_HANGUP),
    ],
    ids=["refused", "no answer", "hung up"],
)
async def test_a_dead_machines_call_ends_whose_far_side_does_not_agree(said, reason) -> None:
    async with call() as one:
        await taken_over(one)
        one.say(said)
        await until(lambda: one.ends)
        assert one.ends == [reason]
        assert ("hang_up" in one.dialog.verbs) is isinstance(said, sip.OfferRefused)
