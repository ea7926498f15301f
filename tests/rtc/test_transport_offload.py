"""Offloads of a transport: routes, keys, and what is read back."""

import socket

import pytest

from bridge.audio.codec.opus import Application, Encoder, EncoderSettings
from bridge.audio.detect.echo import NO_PACKETS
from bridge.audio.frame import FRAME_BYTES, FRAME_SAMPLES
from bridge.log import about, call_id
from bridge.rtc.packet_path import PacketPath
from bridge.rtc.transport_offload import pack_address
from bridge.rtp.offload import Outputs, SinkMode
from tests.support.packets.packet_path import library
from tests.support.packets.packet_sockets import arrived, socket_pair
from tests.support.peers.bridge_peer import opus


@pytest.fixture
def offload():
    path = PacketPath(library(), opus())
    return path.transport(receive=lambda *_: None, discarded={"unsendable": 0}, limit=500)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_packed_address_is_one_that_the_kernel_sends_to(host):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.bind((host, 0))
        port = sock.getsockname()[1]
    packed = pack_address((host, port))
    assert len(packed) == (28 if ":" in host else 16)
    assert int.from_bytes(packed[2:4], "big") == port


FRAME = bytes(FRAME_BYTES)


class Sending:
    """An offloaded sink without SRTP, and whether what it is given gets anywhere."""

    def __init__(self, path, opus):
        self.ours, self.theirs = socket_pair()
        self.discarded = {"unsendable": 0}
        self.offload = path.transport(
            receive=lambda *_: None, discarded=self.discarded, limit=500, secured=False
        )
        self.encoder = Encoder(opus, EncoderSettings(Application.LOW_DELAY, 32_000, 0))
        self.offload.sink.begin(SinkMode.FRAMES, self.encoder.handle)
        self._pts = 0

    def sends(self):
        assert self.offload.sink.push(FRAME, self._pts, 0.0)
        self._pts += FRAME_SAMPLES
        return bool(list(arrived(self.theirs)))


@pytest.fixture
def sending():
    made = Sending(PacketPath(library(), opus()), opus())
    yield made
    made.offload.close()
    made.ours.close()
    made.theirs.close()


def test_a_route_is_left_when_its_socket_closes(sending):
    fileno = sending.ours.fileno()
    sending.offload.set_packed_route(fileno, b"")
    sending.offload.leave_socket(fileno + 1)
    assert sending.sends()
    sending.offload.leave_socket(fileno)
    assert not sending.sends()


def test_no_address_means_no_route(sending):
    sending.offload.set_packed_route(sending.ours.fileno(), b"")
    sending.offload.set_route(sending.ours.fileno(), None)
    assert not sending.sends()


def test_packets_that_could_not_be_sent_are_counted_once(sending):
    for _ in range(3):
        sending.sends()
    sending.offload.count_unsendable()
    sending.offload.count_unsendable()
    assert sending.discarded == {"unsendable": 3}


def test_every_lease_of_a_sink_has_a_generation_of_its_own(offload):
    seen = set()
    for mode in (SinkMode.FRAMES, SinkMode.PACKETS, SinkMode.FRAMES):
        offload.sink.begin(mode, None)
        seen.add(offload.sink.generation)
        offload.sink.end()
    assert len(seen) == 3
    assert offload.sink.mode is SinkMode.IDLE


@pytest.mark.parametrize("frames", [0, 3, 5, 7])
def test_the_newest_frames_are_kept_in_order(sending, frames):
    given = [bytes([number]) * FRAME_BYTES for number in range(frames)]
    for number, pcm in enumerate(given):
        assert sending.offload.sink.push(pcm, FRAME_SAMPLES * number, 0.02 * number)
    _, kept = sending.offload.sink.end()
    assert kept == given[-5:]


def test_what_was_recorded_is_returned_once(offload):
    offload.source.begin(Outputs(take_frame=lambda *_: None), decoder=1, epoch=object())
    assert offload.source.active
    assert offload.source.sync() == (NO_PACKETS, [])
    assert offload.source.end() == (NO_PACKETS, [], [])
    assert not offload.source.active


def test_a_frame_of_another_length_is_not_taken(offload):
    offload.sink.begin(SinkMode.FRAMES, None)
    assert not offload.sink.push(bytes(FRAME_BYTES - 2), 0, 0.0)


def test_what_takes_packets_runs_in_the_context_of_its_transport():
    path = PacketPath(library(), opus())
    made = []
    for call in ("first", "second"):
        with about(call, "leg"):
            made.append(path.transport(receive=lambda *_: None, discarded={}, limit=500))
    assert [offload.run(call_id.get) for offload in made] == ["first", "second"]
