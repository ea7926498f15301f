"""What happens in a call with a telephone: hold, further offers, transfers and digits."""

import asyncio

import pytest

from bridge.call import events
from bridge.sip import events as sip
from tests.support.packets.packet_path import choose_path, parametrize_paths
from tests.support.sip.sip_call import ANSWERED, CONNECTED, DIALLED, HELD, LEG, UNHELD, call
from tests.support.waiting import until

pytestmark = pytest.mark.virtual_time

path = choose_path
pytest_generate_tests = parametrize_paths
"""Each test runs on every packet path."""


async def test_the_far_sides_hold_is_answered_and_shown() -> None:
    async with call() as one:
        await one.talk()
        one.say(sip.Offered(one.phone.describe("a=sendonly")))
        assert "a=recvonly" in one.dialog.last("answer")
        assert one.events[-1] == HELD
        state = one.leg.statistics().transport
        assert state is not None
        assert state.held
        one.say(sip.Offered(one.phone.describe("a=inactive")))
        assert "a=inactive" in one.dialog.last("answer")
        one.say(sip.Offered(one.phone.describe("a=sendrecv")))
        assert one.events[-2:] == [HELD, UNHELD]


async def test_each_offer_and_answer_makes_copies_of_the_leg_from_before_out_of_date() -> None:
    async with call() as one:
        await one.talk()
        before = one.renegotiated
        one.say(sip.Offered(one.phone.describe("a=sendrecv")))
        assert one.renegotiated == before + 1
        one.leg.hold(held=True)
        one.say(sip.OfferAnswered(one.phone.describe("a=recvonly")))
        assert one.renegotiated == before + 2


async def test_nothing_is_sent_to_a_telephone_that_holds() -> None:
    async with call() as one:
        await one.talk()
        await until(lambda: one.phone.audio)
        one.say(sip.Offered(one.phone.describe(address="0.0.0.0")))
        await asyncio.sleep(0.05)
        count = len(one.phone.audio)
        await asyncio.sleep(0.5)
        assert len(one.phone.audio) == count
        one.say(sip.Offered(one.phone.describe()))
        await until(lambda: len(one.phone.audio) > count)


async def test_our_hold_is_signalled_once_and_ended() -> None:
    async with call() as one:
        await one.talk()
        one.leg.hold(held=True)
        one.leg.hold(held=True)
        assert one.dialog.verbs.count("reoffer") == 1
        assert "a=sendonly" in one.dialog.last("reoffer")
        one.say(sip.OfferAnswered(one.phone.describe("a=recvonly")))
        one.leg.hold(held=False)
        assert "a=sendrecv" in one.dialog.last("reoffer")
        one.say(sip.OfferAnswered(one.phone.describe()))
        assert one.events == [DIALLED, ANSWERED, CONNECTED]


async def test_a_hold_that_ends_before_it_is_answered_is_ended_afterwards() -> None:
    async with call() as one:
        await one.talk()
        one.leg.hold(held=True)
        one.leg.hold(held=False)
        assert one.dialog.verbs.count("reoffer") == 1
        one.say(sip.OfferAnswered(one.phone.describe("a=recvonly")))
        assert one.dialog.verbs.count("reoffer") == 2
        assert "a=sendrecv" in one.dialog.last("reoffer")


async def test_a_refused_hold_changes_nothing() -> None:
    async with call() as one:
        await one.talk()
        one.leg.hold(held=True)
        one.say(sip.OfferRefused(488))
        one.leg.hold(held=False)
        assert "a=sendrecv" in one.dialog.last("reoffer")
        assert not one.ends


async def test_the_far_side_may_ask_for_our_offer_in_a_call() -> None:
    async with call() as one:
        await one.talk()
        one.say(sip.Offered(""))
        assert "m=audio" in one.dialog.last("answer")
        one.say(sip.OfferAnswered(one.phone.describe()))
        assert not one.ends


@pytest.mark.parametrize("formats", ["18", "0 x/y"])
async def test_a_further_offer_that_cannot_be_taken_is_refused_and_changes_nothing(
    formats: str,
) -> None:
    async with call() as one:
        await one.talk()
        one.say(sip.Offered(one.phone.describe(formats=formats)))
        assert one.dialog.asked[-1] == ("refuse", 488)
        count = len(one.phone.audio)
        await until(lambda: len(one.phone.audio) > count)


async def test_the_far_side_may_move_to_another_port() -> None:
    async with call() as one:
        await one.talk()
        await until(lambda: one.phone.audio)
        other = await type(one.phone)().open()
        try:
            one.say(sip.Offered(other.describe()))
            await until(lambda: other.audio)
        finally:
            other.close()


async def test_digits_are_sent_by_info_where_the_trunk_wants_that() -> None:
    async with call() as one:
        await one.talk(dtmf="info")
        one.leg.send_digits("1#x")
        await until(lambda: one.dialog.verbs.count("send_digit") == 2)
        sent = [said for verb, said in one.dialog.asked if verb == "send_digit"]
        assert sent == ["1", "#"]


async def test_digits_are_sent_by_info_to_a_telephone_that_takes_no_events() -> None:
    async with call() as one:
        await one.dial()
        one.say(sip.Answered(one.phone.describe(formats="0")))
        one.leg.send_digits("5")
        await until(lambda: "send_digit" in one.dialog.verbs)


async def test_digits_before_the_answer_and_too_many_of_them_are_dropped() -> None:
    async with call() as one:
        await one.dial(dtmf="info")
        one.leg.send_digits("1")
        one.say(sip.Answered(one.phone.describe()))
        one.leg.send_digits("2" * 65)
        one.leg.send_digits("3")
        await until(lambda: "send_digit" in one.dialog.verbs)
        assert one.dialog.asked[-1] == ("send_digit", "3")


async def test_a_digit_by_info_is_heard() -> None:
    async with call() as one:
        await one.talk()
        one.say(sip.DigitSignalled("7", 0.1))
        assert one.events[-1] == events.DigitReceived(LEG, "7")


async def test_transfers_pass_both_ways() -> None:
    async with call() as one:
        await one.talk()
        one.leg.transfer("+15550001")
        assert one.dialog.asked[-1] == ("refer", ("+15550001", None))
        one.leg.transfer("+15550001", one.leg)
        assert one.dialog.asked[-1] == ("refer", ("+15550001", one.dialog))
        one.say(sip.TransferProgressed(180, final=False))
        one.say(sip.TransferRequested("+15550002", "sip:+15550002@x", "a;b"))
        assert one.events[-2:] == [
            events.LegTransferProgressed(LEG, 180, final=False),
            events.LegTransferRequested(LEG, "+15550002", "sip:+15550002@x", "a;b"),
        ]
        one.leg.report_transfer(200)
        assert one.dialog.asked[-1] == ("notify_transfer", 200)
