"""The compiled packet path changes nothing but time: the same steps on both paths, drawn at random."""

from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support.examples import examples
from tests.support.packets.negotiated import AUDIOS
from tests.support.packets.odd_packets import EXTENSIONS, VOICES
from tests.support.packets.packet_fates import SEQUENCES, TIMESTAMPS, fates
from tests.support.packets.packet_peer import Peer
from tests.support.packets.packet_steps import START, Driver, check, numbers, steps, worlds
from tests.support.packets.socket_party import SocketParty
from tests.support.packets.two_paths import PARTIES, TwoPaths

pytestmark = pytest.mark.compiled


USUAL = {
    "audio": "plain",
    "telephones": {},
    "secured": False,
    "continuous": False,
    "passthrough": PARTIES,
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
        "pair recorded", "pair recorded beside a tap", "recorder alone", "pair with a mix recorded",
        "mix recorded alone", "pair with packets and a mix recorded",
    ],
)  # fmt: skip
@pytest.mark.parametrize("continuous", [False, True])
def test_both_paths_do_the_same_with_payloads_of_every_kind(route, continuous):
    taken: list[Any] = [(("route", route), 30, "celt")]
    for voice in VOICES:
        taken.append((("talk", 0, 3, voice, "none", 0.02), 4, "celt"))
        taken.append((("wait", 8.0), 4, "silence"))
    check({**USUAL, "continuous": continuous}, taken, (100, 0))


TELEPHONES: Any = {
    "a telephone and a browser": {0: "PCMU"},
    "a browser and a telephone": {1: "PCMA"},
    "two of one codec": {0: "PCMA", 1: "PCMA"},
    "two of different codecs": {0: "PCMU", 1: "PCMA"},
    "one with packets of another length": {0: "PCMU", 1: "PCMU in other packets"},
}


STRAYING = ["is lost", "arrives", "arrives twice", ("is late", 1), "arrives", "arrives"]


@pytest.mark.parametrize("telephones", TELEPHONES)
@pytest.mark.parametrize(
    "route", ["pair", "pair with a tap", "pair recorded", "pair with a mix recorded", "clock alone"]
)
@pytest.mark.parametrize("continuous", [False, True])
def test_both_paths_do_the_same_with_telephones(telephones, route, continuous):
    taken: list[Any] = [(("route", route), 100, "celt")]
    taken += [(("talk", 0, 3, voice, "none", 0.02), 7, "celt") for voice in VOICES]
    taken += [
        (("impaired", 0, STRAYING, "celt", 0.02), 7, "celt"),
        (("push", 1, 5, "prompt"), 7, "celt"),
        (("event", 0, "5"), 7, "celt"),
        (("renegotiate", 0, "PCMA"), 12, "celt"),
        (("digits", 1, "1"), 30, "loud"),
        (("renegotiate", 0, "plain"), 12, "celt"),
    ]
    settings_of_worlds = {**USUAL, "continuous": continuous, "telephones": TELEPHONES[telephones]}
    check(settings_of_worlds, taken, (65_500, 2**32 - 9600))


@pytest.mark.parametrize("telephones", [{0: "PCMU"}, {0: "PCMA", 1: "PCMA"}, {1: "PCMU"}])
@pytest.mark.parametrize("passthrough", [0, PARTIES])
def test_python_sees_no_packet_of_a_telephone_but_the_first_ones(telephones, passthrough):
    audio = [AUDIOS[telephones.get(number, "plain")] for number in range(PARTIES)]
    with TwoPaths(audio=audio, start=START, passthrough=passthrough) as paths:
        seen: list[bytes] = []

        def note(party: SocketParty) -> None:
            received = party.datagram_received

            def receive(data: bytes, _addr: Any) -> None:
                seen.append(data)
                received(data, _addr)

            party.datagram_received = receive  # type: ignore[method-assign]

        for party in paths.worlds[0].parties:
            note(party)
        driver = Driver(paths, [Peer(number, 100, 0) for number in range(PARTIES)])
        for peer, described in zip(driver.peers, audio, strict=True):
            peer.speak(described)
        driver.route("pair")
        driver.converse(50, "celt", "celt", 0.02)
        assert len(seen) <= 8


@pytest.mark.parametrize("extension", sorted(EXTENSIONS))
def test_both_paths_do_the_same_with_extensions_of_every_kind(extension):
    taken: list[Any] = [(("talk", 0, 120, "celt", extension, 0.02), 4, "celt")]
    taken += [
        (("attach", 0, "push"), 4, "celt"),
        (("talk", 0, 30, "celt", extension, 0.02), 0, "celt"),
    ]
    check({**USUAL, "audio": "levels"}, taken, (100, 0))


@pytest.mark.parametrize("passthrough", [1, PARTIES])
@pytest.mark.parametrize("voice", ["celt", "1275 bytes", "60 ms of silk"])
def test_both_paths_record_the_same_however_much_comes_before_it_is_synced(voice, passthrough):
    taken: list[Any] = [
        (("route", "pair recorded"), 4, "celt"),
        (("talk", 0, 300, voice, "none", 0.02), 0, "celt"),
    ]
    check({**USUAL, "passthrough": passthrough}, taken, (65_500, 2**32 - 9600))


def test_a_recorder_takes_packets_once_they_are_synced_with_the_times_at_which_they_came():
    with TwoPaths(audio=[AUDIOS["plain"]] * PARTIES, start=START) as paths:
        driver = Driver(paths, [Peer(number, 100, 0) for number in range(PARTIES)])
        driver.route("pair recorded")
        driver.talk(0, 4, "celt", "none", 0.02)
        driver.flush()
        driver.talk(0, 20, "celt", "none", 0.02)
        assert [len(world.recorder.taken) for world in paths.worlds] == [0, 20]
        driver.flush()


LOSSES = [
    "arrives", "is lost", ("is late", 1), "arrives", "arrives twice", ("after a pause", 9600, 0.2), "arrives",
    ("is late", 3), "is lost", "arrives", ("is late", 2), "is lost", "arrives", ("after a pause", 487, 0.01),
] * 4  # fmt: skip
ROUTES_OF_PACKETS = ["pair", "one way", "pair recorded", "recorder alone"]


@pytest.mark.parametrize("route", ROUTES_OF_PACKETS)
@pytest.mark.parametrize("secured", [False, True])
@pytest.mark.parametrize("continuous", [False, True])
def test_both_paths_forward_the_same_of_what_a_bad_network_leaves(route, secured, continuous):
    taken = [
        (("route", route), 30, "celt"),
        (("impaired", 0, LOSSES, "celt", 0.02), 0, "celt"),
        (("sync", 0, "report"), 0, "celt"),
        (("impaired", 0, LOSSES, "silk", 0.013), 12, "celt"),
        (("sync", 0, "report"), 0, "celt"),
    ]
    check(
        {**USUAL, "secured": secured, "continuous": continuous}, taken, (65_500, 2**32 - 9600 * 9)
    )


@pytest.mark.parametrize(
    ("passthrough", "distance"),
    [(0, 1), (0, 100), (0, 101), *((PARTIES, most) for most in (1, 2, 62, 63, 64, 65, 98, 99, 100, 101))],
)  # fmt: skip
def test_both_paths_do_the_same_with_a_packet_that_comes_late_by_any_number(passthrough, distance):
    taken = [(("swap", 0, distance), 12, "celt"), (("swap", 0, distance), 12, "celt")]
    check({**USUAL, "passthrough": passthrough}, taken, (65_500, 0))


@pytest.mark.parametrize("lost", [0, 1, 63, 64, 98, 99, 100, 101, 2997, 2998, 2999, 3000, 40_000])
@pytest.mark.parametrize("late", [-960, 0, 960, 97_000])
def test_both_paths_do_the_same_after_a_loss_of_any_length(lost, late):
    check_loss(lost, late, passthrough=PARTIES)


@pytest.mark.parametrize("lost", [4, 5, 6, 2999])
@pytest.mark.parametrize("late", [-487, -480, 0])
def test_both_paths_conceal_the_same_after_a_loss_of_any_length(lost, late):
    check_loss(lost, late, passthrough=0)


def check_loss(lost: int, late: int, *, passthrough: int) -> None:
    samples = 960 * lost + late
    taken = [
        (("converse", 12, "celt", "celt", 0.02), 0, "celt"),
        (("wait", 0.02 * lost), 0, "celt"),
        (("jump", 0, lost, samples), 12, "celt"),
        (("repeat", 0, 20), 80, "celt"),
    ]
    check({**USUAL, "passthrough": passthrough}, taken, (65_500, 0))


@pytest.mark.parametrize(
    ("passthrough", "sequence"),
    [*((PARTIES, ahead) for ahead in SEQUENCES), *((0, ahead) for ahead in (0, 1, 2999, -1, -100, -101))],
)  # fmt: skip
def test_both_paths_do_the_same_with_a_packet_of_any_numbers(passthrough, sequence):
    with_numbers: list[Any] = []
    for timestamp in TIMESTAMPS:
        with_numbers += [*["arrives"] * 4, ("has other numbers", sequence, timestamp)]
    taken = [
        (("converse", 12, "celt", "celt", 0.02), 0, "celt"),
        (("impaired", 0, with_numbers, "celt", 0.02), 12, "celt"),
    ]
    check({**USUAL, "passthrough": passthrough}, taken, (65_500, 0))


STRAYS: dict[str, list[Any]] = {
    "a jump of the timestamp after a stray number": [
        ("has other numbers", 1 << 15, 0), *["arrives"] * 4, ("after a pause", 960, 0.02),
    ],
    "late ones whose timestamps are far apart": [
        "is lost", "arrives", "arrives", ("has other numbers", -1, 1 << 30), ("has other numbers", -4, -(1 << 30) - 4000),
    ],
}  # fmt: skip


@pytest.mark.parametrize("stray", sorted(STRAYS))
def test_both_paths_do_the_same_with_packets_that_stray_together(stray):
    taken = [(("impaired", 0, ["arrives"] * 4 + STRAYS[stray], "celt", 0.02), 12, "celt")]
    check(USUAL, taken, (65_500, 0))


@pytest.mark.parametrize("route", ROUTES_OF_PACKETS)
def test_what_a_bad_network_leaves_of_a_forwarded_stream_needs_no_python(route):
    with TwoPaths(audio=[AUDIOS["plain"]] * PARTIES, start=START) as paths:
        driver = Driver(paths, [Peer(number, 100, 0) for number in range(PARTIES)])
        driver.route(route)
        driver.talk(0, 12, "celt", "none", 0.02)
        party: Any = paths.worlds[0].parties[0]
        left: list[bytes] = []
        party.datagram_received = lambda data, _: left.append(data)
        driver.impaired(0, LOSSES, "celt", 0.02)
        assert left == []


LOST = [
    "arrives", "is lost", "arrives", *["is lost"] * 3, "arrives", ("after a pause", 9600, 0.2), "arrives",
    *["is lost"] * 5, "arrives", *["is lost"] * 6, "arrives", ("after a pause", 487, 0.01), "is lost", "arrives",
]  # fmt: skip
REORDERED = ["is lost", "arrives", ("is late", 3), *["arrives"] * 4, "arrives twice", "is lost", ("is late", 1)]  # fmt: skip


@pytest.mark.parametrize(
    ("route", "voice", "continuous"),
    [
        ("pair", "celt", False), ("pair", "silk", True), ("pair", "two frames of silk", False),
        ("pair", "refused", False), ("pair", "dtx", True), ("pair with a tap", "silk", False),
        ("itself", "silk", False), ("pair recorded", "celt", True),
    ],
)  # fmt: skip
def test_both_paths_conceal_the_same_of_what_a_bad_network_leaves(route, voice, continuous):
    taken = [
        (("route", route), 30, "celt"),
        (("impaired", 0, 2 * LOST, voice, 0.02), 0, "celt"),
        (("sync", 0, "statistics"), 0, "celt"),
        (("impaired", 1, LOST, voice, 0.02), 4, "celt"),
        (("impaired", 0, REORDERED + LOST, voice, 0.02), 12, "celt"),
        (("wait", 8.0), 4, "celt"),
        (("wait", 8.0), 12, "celt"),
        (("impaired", 0, LOST, voice, 0.013), 12, "celt"),
    ]
    check({**USUAL, "continuous": continuous, "passthrough": 0}, taken, (65_500, 2**32 - 9600))


def left_to_python(taken: list[Any], *, telephones: bool = False) -> int:
    """Return how many packets of a stream through PCM with these fates Python gets."""
    audio = [AUDIOS["PCMU" if telephones else "plain"]] * PARTIES
    with TwoPaths(audio=audio, start=START, passthrough=0) as paths:
        driver = Driver(paths, [Peer(number, 100, 0) for number in range(PARTIES)])
        for peer in driver.peers:
            peer.speak(audio[0])
        driver.route("pair")
        driver.talk(0, 30, "celt", "none", 0.02)
        party: Any = paths.worlds[0].parties[0]
        received, left = party.datagram_received, 0

        def receive(data: bytes, address: Any) -> None:
            nonlocal left
            left += 1
            received(data, address)

        party.datagram_received = receive
        driver.impaired(0, taken, "silk", 0.02)
        paths.finish()
    return left


def test_losses_pauses_and_late_packets_of_a_stream_through_pcm_need_no_python():
    assert (
        left_to_python(
            [*LOST, *["arrives"] * 4, "is lost", "arrives", ("is late", 4), *["arrives"] * 9]
        )
        == 0
    )


def test_python_holds_a_packet_back_for_the_one_before_where_packets_overtake_each_other():
    assert left_to_python(["arrives", ("is late", 4), *["arrives"] * 9]) == 0
    assert (
        left_to_python(["arrives", ("is late", 4), *["arrives"] * 9, ("is late", 1), "arrives"]) > 0
    )


def test_python_conceals_the_losses_of_telephones_alone():
    late = ["arrives", ("after a pause", 1600, 0.2), "arrives", "arrives twice", "arrives"]
    assert left_to_python(late, telephones=True) == 0
    assert left_to_python(["arrives", "is lost", "arrives"], telephones=True) > 0


@settings(max_examples=examples(50), deadline=None)
@given(st.sampled_from(ROUTES_OF_PACKETS), st.booleans(), st.lists(fates, max_size=60))
@example("pair", False, ["is a digit", *LOSSES, *["arrives"] * 90])
@example("pair recorded", True, [*LOSSES, "is a digit", *LOSSES])
def test_while_python_stands_still_nothing_that_is_forwarded_passes_what_waits_for_it(
    route, secured, taken
):
    check_stopped(route, taken, secured=secured, passthrough=PARTIES)


@pytest.mark.parametrize("secured", [False, True])
@pytest.mark.parametrize("route", ["pair", "itself"])
def test_while_python_stands_still_losses_through_pcm_are_concealed(route, secured):
    check_stopped(route, [*LOST, *["arrives"] * 60, *LOST], secured=secured, passthrough=0)


def check_stopped(route: str, taken: list[Any], *, secured: bool, passthrough: int) -> None:
    steps = [
        (("route", route), 30, "celt"),
        (("stopped", 0, taken, "celt"), 12, "celt"),
        (("stopped", 0, taken, "celt"), 12, "celt"),
    ]
    check({**USUAL, "passthrough": passthrough, "secured": secured}, steps, (65_500, 0))


@pytest.mark.parametrize("secured", [False, True])
def test_both_paths_take_no_more_packets_a_second_than_allowed(secured):
    taken = [(("talk", 0, 100, "celt", "none", 0.001), 0, "celt"), (("wait", 1.1), 40, "celt")]
    check({**USUAL, "limit": 60, "secured": secured}, taken, (100, 0))


def test_frames_come_in_order_though_a_packet_has_overtaken_the_one_before():
    with TwoPaths(audio=[AUDIOS["plain"]] * PARTIES, start=START, passthrough=0) as paths:
        compiled, peer = paths.worlds[0], Peer(0, 100, 0)
        driver = Driver(paths, [peer, *(Peer(number, 100, 0) for number in range(1, PARTIES))])
        driver.route("tap alone")
        driver.talk(0, 8, "celt", "none", 0.02)
        datagrams = []
        for _ in range(4):
            payload = peer.next_payload("celt")
            datagrams.append(peer.packet(payload))
            peer.advance(payload)
        datagrams[:2] = reversed(datagrams[:2])
        compiled.sockets.now = paths.now
        compiled.parties[0].deliver(datagrams, paths.now)
        positions = [frame[2] for frame in compiled.given()["frames"]]
        assert len(positions) == 4
        assert positions == sorted(positions)


@pytest.mark.long
@pytest.mark.parametrize("part", range(6))
@settings(max_examples=examples(300), deadline=None, suppress_health_check=list(HealthCheck))
@given(settings_of_worlds=worlds, taken=st.lists(steps, max_size=40), first=numbers)
def test_both_paths_do_the_same_in_many_long_examples(part, settings_of_worlds, taken, first):
    check(settings_of_worlds, taken, first)
