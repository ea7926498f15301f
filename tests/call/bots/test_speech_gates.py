"""Who may be heard yet."""

from bridge.call.bots.speech_gates import MEDIA, SpeechGates
from bridge.call.model import LegId

BOT = LegId("bot")


def test_a_leg_is_heard_unless_there_is_a_reason_to_hold_it() -> None:
    gates = SpeechGates()
    assert gates.is_open(BOT)
    gates.hold(BOT, MEDIA)
    assert not gates.is_open(BOT)
    assert gates.is_open(LegId("another"))


def test_a_leg_is_heard_once_the_last_reason_is_released() -> None:
    gates = SpeechGates()
    gates.hold(BOT, MEDIA)
    gates.hold(BOT, "disclosure")
    gates.release(BOT, MEDIA)
    assert not gates.is_open(BOT)
    gates.release(BOT, "disclosure")
    assert gates.is_open(BOT)


def test_to_hold_or_release_twice_changes_nothing() -> None:
    seen: list[LegId] = []
    gates = SpeechGates(seen.append)
    gates.release(BOT, MEDIA)
    gates.hold(BOT, MEDIA)
    gates.hold(BOT, MEDIA)
    assert seen == [BOT]
    gates.release(BOT, MEDIA)
    gates.release(BOT, MEDIA)
    assert seen == [BOT, BOT]
    assert gates.is_open(BOT)


def test_a_leg_that_has_left_is_forgotten() -> None:
    gates = SpeechGates()
    gates.hold(BOT, MEDIA)
    gates.forget(BOT)
    assert gates.is_open(BOT)
