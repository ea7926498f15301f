"""Which files a recording has, and whether they hold packets."""

from types import SimpleNamespace

import pytest

from bridge.audio.codec.codec import OPUS, PCMU
from bridge.call.model import CallId, LineName, Party
from bridge.call.recording import Recording
from bridge.call.routing import Subscription
from bridge.node.recording.tracks import passes_packets, sides


class Source:
    """A timed source with a codec."""

    def __init__(self, codec):
        self.passthrough_codec = codec

    def attach(self, push, relay=None):
        """Take nothing."""

    def flush(self):
        """Keep nothing."""


def call(*legs):
    running = [
        SimpleNamespace(leg_id=str(number), party=party, source=source)
        for number, (party, source) in enumerate(legs)
    ]
    return SimpleNamespace(figures=lambda: running, legs=lambda: running)


@pytest.mark.parametrize(
    ("source", "packets"),
    [(Source(OPUS), True), (Source(PCMU), False), (Source(None), False), (object(), False)],
)
def test_packets_are_recorded_of_a_far_party_whose_opus_can_be_relayed(source, packets):
    assert passes_packets(call((Party.FAR, source), (Party.NEAR, object()))) is packets


def test_a_far_party_that_has_not_joined_may_send_packets():
    assert passes_packets(call((Party.NEAR, object())))


def recordings(*kinds, suffix="ogg"):
    return [
        Recording(
            kind,
            CallId("call"),
            LineName("line"),
            kind,
            f"recordings/a.{kind}.{suffix}",
            "",
            "",
            None,
            0,
            0,
            "",
        )
        for kind in kinds
    ]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "recordings").mkdir()
    return tmp_path


def files(folder):
    return sorted(path.name for path in (folder / "recordings").iterdir())


def test_a_wav_of_each_kind_is_recorded_by_itself(folder):
    made = sides(recordings("inbound", "outbound", "mixed", suffix="wav"), folder)
    assert [side.subscription for side in made] == [
        Subscription.INBOUND,
        Subscription.OUTBOUND,
        Subscription.BOTH,
    ]
    assert files(folder) == []


def test_a_mix_of_packets_shares_the_files_of_both_sides(folder):
    made = sides(recordings("inbound", "outbound", "mixed"), folder)
    assert [(side.subscription, len(side.recordings)) for side in made] == [
        (Subscription.INBOUND, 2),
        (Subscription.OUTBOUND, 2),
    ]
    made[0].path.write_bytes(b"one side")
    assert (folder / "recordings/a.mixed.inbound.ogg").read_bytes() == b"one side"


def test_a_mix_alone_has_files_of_both_sides(folder):
    made = sides(recordings("mixed"), folder)
    assert [side.path.name for side in made] == ["a.mixed.inbound.ogg", "a.mixed.outbound.ogg"]


def test_where_files_cannot_have_two_names_sides_are_recorded_twice(folder, monkeypatch):
    def refused(source, target):
        raise PermissionError

    monkeypatch.setattr("os.link", refused)
    assert len(sides(recordings("inbound", "mixed"), folder)) == 3
