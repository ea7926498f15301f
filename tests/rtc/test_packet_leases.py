"""Leases of a transport: routes, keys, and what is read back."""

import socket

import pytest

from bridge.audio.detect.echo import NO_PACKETS
from bridge.audio.frame import FRAME_BYTES
from bridge.log import about, call_id
from bridge.rtc.packet_leases import pack_address
from bridge.rtc.packet_path import PacketPath
from bridge.rtp.lease import Outputs, SinkMode
from tests.support.packets.packet_path import library
from tests.support.peers.bridge_peer import opus


@pytest.fixture
def leases():
    path = PacketPath(library(), opus())
    return path.transport(receive=lambda *_: None, discarded={"unsendable": 0}, limit=500)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_packed_address_is_one_that_the_kernel_sends_to(host):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.bind((host, 0))
        packed = pack_address((host, sock.getsockname()[1]))
    assert len(packed) == (28 if ":" in host else 16)
    assert int.from_bytes(packed[2:4], "big") > 0


def test_a_route_is_left_when_its_socket_closes(leases):
    leases.set_route(7, ("127.0.0.1", 4000))
    leases.leave_socket(8)
    assert leases.state.fd == 7
    leases.leave_socket(7)
    assert leases.state.fd == -1


def test_no_address_means_no_route(leases):
    leases.set_route(7, ("127.0.0.1", 4000))
    leases.set_route(7, None)
    assert leases.state.fd == -1


def test_every_lease_of_a_sink_has_a_generation_of_its_own(leases):
    seen = set()
    for mode in (SinkMode.FRAMES, SinkMode.PACKETS, SinkMode.FRAMES):
        leases.sink.begin(mode, None)
        seen.add(leases.sink.state.generation)
        leases.sink.end()
    assert len(seen) == 3
    assert leases.sink.state.mode == SinkMode.IDLE


@pytest.mark.parametrize("kept", [0, 3, 5, 7])
def test_the_newest_payloads_are_kept_in_order(leases, kept):
    state = leases.source.state
    for number in range(kept):
        state.payloads[number % 5][0] = number
        state.kept_sizes[number % 5] = 1
    state.kept = kept
    assert leases.source.kept() == [bytes([number]) for number in range(kept)][-5:]


def test_sizes_are_taken_once(leases):
    state = leases.source.state
    state.times[0], state.sizes[0] = 1.5, 60
    state.times[1], state.sizes[1] = 1.52, 61
    state.recorded = 2
    assert leases.source.take_sizes() == ([1.5, 1.52], [60, 61])
    assert leases.source.take_sizes() == NO_PACKETS


def test_a_leased_source_is_the_transports_until_its_lease_ends(leases):
    decoder = 1
    leases.source.begin(Outputs(take_frame=lambda *_: None), decoder=decoder, timeline=object())
    assert leases.state.source == leases.source.state
    leases.source.end()
    assert not leases.state.source
    assert not leases.source.active


def test_a_frame_of_another_length_is_not_taken(leases):
    leases.sink.begin(SinkMode.FRAMES, None)
    assert not leases.sink.push(bytes(FRAME_BYTES - 2), 0, 0.0)


def test_packets_that_could_not_be_sent_are_counted_once(leases):
    leases.state.unsendable = 3
    leases.count_unsendable()
    leases.count_unsendable()
    assert leases.discarded == {"unsendable": 3}


def test_what_takes_packets_runs_in_the_context_of_its_transport():
    path = PacketPath(library(), opus())
    made = []
    for call in ("first", "second"):
        with about(call, "leg"):
            made.append(path.transport(receive=lambda *_: None, discarded={}, limit=500))
    assert [leases.run(call_id.get) for leases in made] == ["first", "second"]
