"""No sequence number of a stream is protected for two payloads by the compiled packet path, nor by both paths."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.audio.codec.encoder_level import EncoderBudget
from bridge.audio.frame import Frame
from bridge.rtp.offload import SinkMode
from bridge.wire.rtp.packet import parse_packet
from tests.support.examples import examples
from tests.support.packets.packet_sockets import Sockets
from tests.support.packets.packet_steps import START, actions, drive, numbers, pairs_after
from tests.support.packets.rtp_party import AUDIO, OPUS, VOICE
from tests.support.packets.socket_party import SocketParty
from tests.support.packets.two_paths import PARTIES, TwoPaths

pytestmark = pytest.mark.compiled


def indexed(packets):
    """Yield SSRC, SRTP's packet index (RFC 3711 §3.3.1) and payload of each packet."""
    highest: dict[int, int] = {}
    for data in packets:
        packet = parse_packet(data)
        before = highest.get(packet.ssrc, packet.sequence)
        index = before + ((packet.sequence - before + 0x8000) & 0xFFFF) - 0x8000
        highest[packet.ssrc] = max(before, index)
        yield packet.ssrc, index, data


@settings(max_examples=examples(25), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.tuples(actions, pairs_after, st.just("celt")), max_size=15),
    numbers,
    st.sampled_from([30_000, 65_500]),
)
def test_no_index_is_protected_twice(taken, first, sequence):
    start = START._replace(sequence=sequence)
    with TwoPaths(audio=[AUDIO] * PARTIES, start=start, secured=True) as paths:
        drive(paths, taken, sequence=first[0], timestamp=first[1])
        for number in range(PARTIES):
            protected: dict[tuple[int, int], bytes] = {}
            for ssrc, index, data in indexed(paths.sent[number]):
                assert protected.setdefault((ssrc, index), data) == data
            assert len(protected) == len(paths.sent[number])


@pytest.fixture
def secured():
    """A session with keys whose sink is offloaded for frames, after three of them."""
    sockets = Sockets(OPUS, compiled=True)
    party = SocketParty(sockets, AUDIO, start=START, budget=EncoderBudget(), secured=True)
    for number in range(3):
        party.session.push(Frame(VOICE[number], 320 * number, "line"), 0.02 * number)
    assert party.offload.sink.mode is SinkMode.FRAMES
    party.sent()
    yield party
    party.close()
    sockets.close()


def encoder_of(party):
    return party.session._sender._tuning.encoding.handle


def test_a_number_that_was_used_is_refused_by_libsrtp_and_counted(secured):
    sink = secured.offload.sink
    sink.end()
    sink.state.sequence -= 1
    sink.begin(SinkMode.FRAMES, encoder_of(secured))
    assert sink.push(VOICE[5], 960, 0.06)
    assert secured.sent() == []
    assert secured.totals() == {"unsendable": 1}


def test_what_python_has_protected_is_refused_too(secured):
    secured.session.send_digits("1")
    secured.session.tick(0.08)
    assert len(secured.sent()) == 1
    sink = secured.offload.sink
    sink.begin(SinkMode.FRAMES, encoder_of(secured))
    state = sink.state
    assert sink.push(VOICE[5], (state.end - state.offset) // 3, 0.1)
    assert secured.sent() == []
    assert secured.totals() == {"unsendable": 1}
