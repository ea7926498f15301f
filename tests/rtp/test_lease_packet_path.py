"""The compiled packet path changes nothing but time: the same steps on both paths, drawn at random."""

from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support.examples import examples
from tests.support.packets.odd_packets import EXTENSIONS, VOICES
from tests.support.packets.packet_peer import Peer
from tests.support.packets.packet_steps import AUDIOS, START, Driver, check, numbers, steps, worlds
from tests.support.packets.two_paths import PARTIES, TwoPaths

pytestmark = pytest.mark.compiled


USUAL = {
    "audio": "plain",
    "secured": False,
    "steady": False,
    "relays": PARTIES,
    "limit": 500,
    "start": START,
}
AFTER_A_LATE_PACKET = [
    (("swap", 0, 1), 0, "celt"),
    (("converse", 23, "celt", "celt", 0.02), 0, "celt"),
]
RELAY_REFUSED_WITHIN_A_RUN = [
    (("talk", 0, 1, "celt", "none", 0.02), 0, "celt"),
    (("renegotiate", 1, "little bandwidth"), 1, "celt"),
]

# Video beside the audio, a source that comes back, and another format, from one peer to another.
OTHERS_THAN_THE_AUDIO = [
    (("other_line", 0, 96, 30), 12, "celt"),
    (("successor", 0, 15, False), 30, "celt"),
    (("successor", 0, 15, True), 30, "celt"),
    (("g711", 0, 30), 30, "celt"),
    (("wait", 8.0), 30, "silence"),
    (("g711", 0, 5), 12, "celt"),
]


@settings(max_examples=examples(100), deadline=None, suppress_health_check=list(HealthCheck))
@given(worlds, st.lists(steps, max_size=15), numbers)
@example({**USUAL, "audio": "levels"}, AFTER_A_LATE_PACKET, (100, 0))
@example(USUAL, RELAY_REFUSED_WITHIN_A_RUN, (100, 0))
@example({**USUAL, "audio": "two formats"}, OTHERS_THAN_THE_AUDIO, (100, 0))
def test_both_paths_do_the_same(settings_of_worlds, taken, first):
    check(settings_of_worlds, taken, first)


@pytest.mark.parametrize(
    "route",
    [
        "pair", "pair with a tap", "tap alone", "clock alone", "itself",
        "pair recorded", "pair recorded beside a tap", "recorder alone",
    ],
)  # fmt: skip
@pytest.mark.parametrize("steady", [False, True])
def test_both_paths_do_the_same_with_payloads_of_every_kind(route, steady):
    taken: list[Any] = [(("route", route), 30, "celt")]
    for voice in VOICES:
        taken.append((("talk", 0, 3, voice, "none", 0.02), 4, "celt"))
        taken.append((("wait", 8.0), 4, "silence"))
    check({**USUAL, "steady": steady}, taken, (100, 0))


@pytest.mark.parametrize("extension", sorted(EXTENSIONS))
def test_both_paths_do_the_same_with_extensions_of_every_kind(extension):
    taken: list[Any] = [(("talk", 0, 120, "celt", extension, 0.02), 4, "celt")]
    taken += [
        (("attach", 0, "push"), 4, "celt"),
        (("talk", 0, 30, "celt", extension, 0.02), 0, "celt"),
    ]
    check({**USUAL, "audio": "levels"}, taken, (100, 0))


@pytest.mark.parametrize("relays", [1, PARTIES])
@pytest.mark.parametrize("voice", ["celt", "1275 bytes", "60 ms of silk"])
def test_both_paths_record_the_same_however_much_comes_before_it_is_settled(voice, relays):
    taken: list[Any] = [
        (("route", "pair recorded"), 4, "celt"),
        (("talk", 0, 300, voice, "none", 0.02), 0, "celt"),
    ]
    check({**USUAL, "relays": relays}, taken, (65_500, 2**32 - 9600))


def test_a_recorder_takes_packets_once_they_are_settled_with_the_times_at_which_they_came():
    with TwoPaths(audio=AUDIOS["plain"], start=START) as paths:
        driver = Driver(paths, [Peer(number, 100, 0) for number in range(PARTIES)])
        driver.route("pair recorded")
        driver.talk(0, 4, "celt", "none", 0.02)
        driver.flush()
        driver.talk(0, 20, "celt", "none", 0.02)
        assert [len(world.recorder.taken) for world in paths.worlds] == [0, 20]
        driver.flush()


@pytest.mark.parametrize("secured", [False, True])
def test_both_paths_take_no_more_packets_a_second_than_allowed(secured):
    taken = [(("talk", 0, 100, "celt", "none", 0.001), 0, "celt"), (("wait", 1.1), 40, "celt")]
    check({**USUAL, "limit": 60, "secured": secured}, taken, (100, 0))


@pytest.mark.long
@pytest.mark.parametrize("part", range(6))
@settings(max_examples=examples(300), deadline=None, suppress_health_check=list(HealthCheck))
@given(settings_of_worlds=worlds, taken=st.lists(steps, max_size=40), first=numbers)
def test_both_paths_do_the_same_in_many_long_examples(part, settings_of_worlds, taken, first):
    check(settings_of_worlds, taken, first)
