"""Sound in every form a media socket carries, and the texts beside it."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.errors import RemoteProtocolError
from bridge.wire.media_socket import (
    FRAME_MILLISECONDS,
    SAMPLE_RATES,
    WADIAL,
    ZUCKZAPGO,
    Encoding,
    Incoming,
    MediaFormat,
    Outgoing,
    WadialMessages,
    decode,
    encode,
)

EVERY_SAMPLE = np.arange(-32768, 32768).astype("<i2")


def floats(*values: float) -> bytes:
    return np.array(values, "<f4").tobytes()


def shorts(pcm: bytes) -> list[int]:
    return [int(value) for value in np.frombuffer(pcm, "<i2")]


def test_the_documented_frames_have_the_documented_sizes():
    assert ZUCKZAPGO.frame_bytes == 1920
    assert WADIAL.frame_bytes == 320 * 4
    assert MediaFormat(Encoding.S16LE, 24_000, 20).frame_bytes == 960
    assert MediaFormat(Encoding.MULAW, 8_000, 20).frame_bytes == 160


def test_every_sample_survives_the_way_through_floats_within_one():
    there = encode(Encoding.F32LE, EVERY_SAMPLE.tobytes())
    values = np.frombuffer(there, "<f4")
    assert values[0] == -1.0
    assert values[-1] == 32767 / 32768
    back = np.frombuffer(decode(Encoding.F32LE, there), "<i2").astype(int)
    assert np.abs(back - EVERY_SAMPLE).max() <= 1


def test_floats_are_rounded_clamped_and_no_numbers_are_silence():
    came = floats(1.0, -1.0, 2.0, -3.0, float("nan"), float("inf"), float("-inf"), 0.25)
    assert shorts(decode(Encoding.F32LE, came)) == [32767, -32767, 32767, -32767, 0, 0, 0, 8192]


def test_a_signalling_nan_is_silence():
    assert shorts(decode(Encoding.F32LE, b"\1\0\x80\x7f\1\0\x80\xff")) == [0, 0]


@pytest.mark.parametrize("encoding", Encoding)
@pytest.mark.parametrize("rate", SAMPLE_RATES)
@pytest.mark.parametrize("milliseconds", FRAME_MILLISECONDS)
def test_the_clocks_frames_become_messages_of_the_routes_size_and_none_is_late(
    encoding, rate, milliseconds
):
    media = MediaFormat(encoding, rate, milliseconds)
    outgoing = Outgoing(media)
    made = [outgoing.write(bytes(640)) for _ in range(60)]
    step = milliseconds // 20
    assert [len(messages) for messages in made] == ([0] * (step - 1) + [1]) * (60 // step)
    assert {len(message) for messages in made for message in messages} == {media.frame_bytes}


@pytest.mark.parametrize("encoding", Encoding)
@pytest.mark.parametrize("rate", SAMPLE_RATES)
def test_a_sine_comes_through_both_ways_in_every_form(encoding, rate):
    media = MediaFormat(encoding, rate, 20)
    moments = np.arange(16_000) / 16_000
    said = np.rint(8000 * np.sin(2 * np.pi * 440 * moments)).astype("<i2")
    outgoing, incoming = Outgoing(media), Incoming(media)
    heard = b"".join(
        incoming.read(message)
        for begin in range(0, 16_000, 320)
        for message in outgoing.write(said[begin : begin + 320].tobytes())
    )
    late = 0 if rate == 16_000 else round(2 * 32 / min(rate, 16_000) * 16_000)
    got = np.frombuffer(heard, "<i2").astype(int)[late + 400 :]
    apart = np.abs(got - said[400 : 400 + len(got)])
    assert apart.max() <= (600 if encoding is Encoding.MULAW else 4)


def test_each_message_of_a_padded_route_is_filled_up_with_silence():
    incoming = Incoming(ZUCKZAPGO, pads=True)
    assert incoming.read(b"\1\2") == b"\1\2" + bytes(1918)
    assert incoming.read(b"\1" * 1920) == b"\1" * 1920
    assert incoming.read(b"\1" * 1921) == b"\1" * 1921 + bytes(1919)
    assert incoming.read(b"") == b""


def test_a_padded_mulaw_message_is_filled_with_mulaws_silence():
    incoming = Incoming(MediaFormat(Encoding.MULAW, 16_000, 20), pads=True)
    assert incoming.read(b"\xff") == bytes(640)


def test_a_message_that_is_not_whole_samples_is_refused_and_the_next_one_is_taken():
    incoming = Incoming(WADIAL)
    with pytest.raises(RemoteProtocolError, match="multiple of 4"):
        incoming.read(bytes(1281))
    assert incoming.read(bytes(8)) == bytes(4)


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.binary(max_size=5000), max_size=10),
    st.sampled_from(Encoding),
    st.sampled_from(SAMPLE_RATES),
    st.booleans(),
)
def test_whatever_comes_whole_samples_come_out(messages, encoding, rate, pads):
    incoming = Incoming(MediaFormat(encoding, rate, 60), pads=pads)
    for message in messages:
        try:
            pcm = incoming.read(message)
        except RemoteProtocolError:
            assert not pads
            assert len(message) % encoding.sample_bytes
        else:
            assert len(pcm) % 2 == 0


def test_ready_says_how_the_sound_is_written():
    assert json.loads(WadialMessages().opening()) == {
        "type": "ready",
        "media": {
            "direction": "bidirectional",
            "encoding": "Float32LE",
            "sampleRate": 16000,
            "channels": 1,
        },
    }


def test_the_queue_is_told_at_watermarks_every_200_ms_and_once_when_it_is_empty():
    messages = WadialMessages()
    told = [
        (now, level, messages.queue(level, now) is not None)
        for now, level in [
            (0.00, 0.0), (0.02, 0.1), (0.04, 0.2), (0.06, 0.6), (0.08, 0.6), (0.26, 0.4),
            (0.28, 0.25), (0.30, 0.2), (0.48, 0.1), (0.50, 0.0), (0.52, 0.0), (9.00, 0.0),
        ]
    ]  # fmt: skip
    assert [now for now, _, yes in told if yes] == [0.02, 0.06, 0.26, 0.28, 0.48, 0.50]


def test_a_queue_report_has_the_watermarks():
    report = WadialMessages().queue(0.24, 1.0)
    assert report is not None
    assert json.loads(report) == {
        "type": "buffer", "bufferedMs": 240, "pauseMs": 500, "resumeMs": 250,
    }  # fmt: skip


def test_the_calls_state_is_told():
    told = json.loads(WadialMessages().call({"callId": "A", "state": "ringing"}))
    assert told == {"type": "call_state", "call": {"callId": "A", "state": "ringing"}}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "clear",
        "{}",
        "[]",
        '"clear"',
        '{"type":"ready"}',
        "[" * 5000,
        '{"type":',
        "{1:2}",
        "1e999",
    ],
)
def test_only_clear_empties_the_queue(text):
    assert not WadialMessages.clears(text)
    assert WadialMessages.clears('{"type": "clear"}')


def test_a_long_message_is_read_in_pieces_that_join_to_the_same_sound():
    said = np.frombuffer(np.random.default_rng(1).bytes(200_000), "<i2")
    message = (said / np.float32(32768)).astype("<f4").tobytes()
    media = MediaFormat(Encoding.F32LE, 24_000, 20)
    pieces = list(Incoming(media).pieces(message))
    assert len(pieces) == 9
    assert b"".join(pieces) == Incoming(media).read(message)


def test_errors_and_the_end_are_told():
    messages = WadialMessages()
    refused = json.loads(messages.refusal(RemoteProtocolError("not whole")))
    assert refused == {"type": "error", "code": "invalid_pcm_frame", "message": "not whole"}
    assert json.loads(messages.farewell()) == {"type": "ended"}
