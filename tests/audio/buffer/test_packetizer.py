"""Packets of other lengths than a frame's."""

import pytest

from bridge.audio.buffer.packetizer import Packetizer, packet_milliseconds


@pytest.mark.parametrize(
    ("ptime", "maxptime", "milliseconds"),
    [
        (None, None, 20),
        (20, 150, 20),
        (None, 10, 10),
        (30, None, 30),
        (40, 30, 30),
        (60, None, 60),
        (200, None, 60),
        (5, None, 10),
        (25, None, 20),
    ],
)
def test_packets_are_as_long_as_the_peer_prefers_and_accepts(ptime, maxptime, milliseconds):
    assert packet_milliseconds(ptime, maxptime) == milliseconds


def frames(count):
    return [bytes([number]) * 160 for number in range(count)]


@pytest.mark.parametrize("milliseconds", [10, 20, 30, 40, 60])
def test_frames_are_cut_and_joined_without_loss(milliseconds):
    packetizer = Packetizer(milliseconds)
    packets = [
        packet
        for number, payload in enumerate(frames(12))
        for packet in packetizer.add(payload, 320 * number, "line")
    ]
    assert {len(payload) for payload, _ in packets} == {8 * milliseconds}
    assert b"".join(payload for payload, _ in packets) == b"".join(frames(12))
    assert [pts for _, pts in packets] == [16 * milliseconds * n for n in range(len(packets))]
    assert packetizer.frames == 12


@pytest.mark.parametrize(("pts", "epoch"), [(960, "line"), (320, "other")])
def test_an_incomplete_packet_is_dropped_where_the_audio_is_interrupted(pts, epoch):
    packetizer = Packetizer(30)
    first, second, third = frames(3)
    assert list(packetizer.add(first, 0, "line")) == []
    assert list(packetizer.add(second, pts, epoch)) == []
    assert list(packetizer.add(third, pts + 320, epoch)) == [((second + third)[:240], pts)]
