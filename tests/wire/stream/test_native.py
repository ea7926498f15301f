"""The messages of a media stream."""

import base64
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.wire.stream.media_format import Encoding, MediaFormat
from bridge.wire.stream.media_stream import (
    MAX_MARK,
    Channel,
    Clear,
    Digit,
    Ignored,
    Mark,
    Media,
    StreamFacts,
    StreamType,
)
from bridge.wire.stream.native import NativeMessages
from tests.support.packets.stream_messages import audio_message

AT = datetime(2026, 3, 4, 5, 6, 7, 891_234, tzinfo=UTC)
TIME = "2026-03-04T05:06:07.891Z"
STREAM, CALL = "5d0c8e2a-0000-4000-8000-000000000001", "5d0c8e2a-0000-4000-8000-000000000002"


def stream(type_=StreamType.TWOWAY, channel=Channel.INBOUND, **more) -> StreamFacts:
    return StreamFacts(STREAM, CALL, type_, channel, **more)


def oneway(channel=Channel.INBOUND) -> StreamFacts:
    return stream(StreamType.ONEWAY, channel)


def said(message: bytes | None):
    assert message is not None
    return msgspec.json.decode(message)


def read(facts=None, **message):
    return read_text(msgspec.json.encode(message), facts or stream())


def read_text(text, facts):
    [meant] = NativeMessages(facts).read(text, played_seconds=0.0)
    return meant


def start(facts):
    return said(NativeMessages(facts).opening(AT)[1])


# What we send


def test_connected_has_neither_ids_nor_a_number():
    connected = said(NativeMessages(stream()).opening(AT)[0])
    assert connected == {"event": "connected", "event_time": TIME}


def test_start_describes_the_stream():
    assert start(stream()) == {
        "event": "start",
        "event_time": TIME,
        "call_id": CALL,
        "stream_id": STREAM,
        "sequence_number": 1,
        "stream_type": "twoway",
        "channel": "inbound",
        "media_format": {
            "encoding": "s16le",
            "sample_rate": 24_000,
            "channels": 1,
            "frame_ms": 20,
        },
    }


@pytest.mark.parametrize("channel", list(Channel))
def test_a_two_way_stream_gets_the_inbound_track_whatever_was_asked_for(channel):
    facts = stream(channel=channel)
    assert facts.tracks == (Channel.INBOUND,)
    assert start(facts)["channel"] == "inbound"


@pytest.mark.parametrize("channel", list(Channel))
def test_a_one_way_stream_gets_the_channel_that_was_asked_for(channel):
    assert start(oneway(channel))["channel"] == channel.value


def test_both_channels_are_two_tracks():
    assert oneway(Channel.BOTH).tracks == (Channel.INBOUND, Channel.OUTBOUND)


def test_start_has_the_requested_format():
    media = MediaFormat(Encoding.MULAW, 8_000, 60)
    assert start(stream(media=media))["media_format"] == {
        "encoding": "mulaw",
        "sample_rate": 8_000,
        "channels": 1,
        "frame_ms": 60,
    }


def test_start_has_the_customers_parameters_if_there_are_any():
    assert start(stream(parameters={"agent": "anna"}))["parameters"] == {"agent": "anna"}


def test_start_says_that_another_process_had_the_stream():
    assert start(stream(resumed=True))["resumed"] is True


def test_media_carries_sound_track_time_and_number():
    writer = NativeMessages(stream())
    writer.opening(AT)
    media = said(audio_message(writer, b"\x01\x02", AT, track=Channel.INBOUND, timestamp=40))
    assert media == {
        "event": "media",
        "event_time": TIME,
        "call_id": CALL,
        "stream_id": STREAM,
        "sequence_number": 2,
        "media": {
            "payload": base64.b64encode(b"\x01\x02").decode(),
            "track": "inbound",
            "timestamp": 40,
            "chunk": 1,
        },
    }


def test_messages_are_counted_together_and_chunks_by_track():
    writer = NativeMessages(oneway(Channel.BOTH))
    messages = [
        said(writer.opening(AT)[1]),
        said(audio_message(writer, b"", AT, track=Channel.INBOUND, timestamp=0)),
        said(audio_message(writer, b"", AT, track=Channel.OUTBOUND, timestamp=0)),
        said(audio_message(writer, b"", AT, track=Channel.INBOUND, timestamp=20)),
        said(*writer.closing(AT)),
    ]
    assert [message["sequence_number"] for message in messages] == [1, 2, 3, 4, 5]
    assert [message["media"]["chunk"] for message in messages[1:4]] == [1, 1, 2]


def test_a_mark_goes_back_with_its_name():
    mark = said(NativeMessages(stream()).say(Mark("sentence 1"), AT))
    assert (mark["event"], mark["mark"]) == ("mark", {"name": "sentence 1"})
    assert (mark["call_id"], mark["stream_id"], mark["sequence_number"]) == (CALL, STREAM, 1)


def test_a_key_has_no_message():
    assert NativeMessages(stream()).say(Digit("5"), AT) is None


def test_stop_is_the_last_message_and_counted():
    writer = NativeMessages(stream())
    writer.opening(AT)
    assert said(*writer.closing(AT)) == {
        "event": "stop",
        "event_time": TIME,
        "call_id": CALL,
        "stream_id": STREAM,
        "sequence_number": 2,
    }


# What we hear


def test_media_is_heard_as_its_bytes():
    payload = base64.b64encode(b"\x01\x02\x03\x04").decode()
    assert read(event="media", media={"payload": payload}) == Media(b"\x01\x02\x03\x04")


def test_media_may_be_cut_within_a_sample():
    assert read(event="media", media={"payload": "AQID"}) == Media(b"\1\2\3")


def test_a_mark_is_heard_by_its_name():
    assert read(event="mark", mark={"name": "end"}) == Mark("end")


def test_clear_is_heard():
    assert read(event="clear") == Clear()


@pytest.mark.parametrize("stream_id", [None, STREAM])
def test_the_streams_own_id_may_be_there_or_not(stream_id):
    assert read(event="clear", stream_id=stream_id) == Clear()


@pytest.mark.parametrize("stream_id", ["", CALL, 7, [STREAM], {}])
def test_a_message_about_another_stream_is_ignored(stream_id):
    assert read(event="clear", stream_id=stream_id) == Ignored("other_stream")


@pytest.mark.parametrize(
    "media",
    [
        None,
        "AAA=",
        {},
        {"payload": 5},
        {"payload": "a"},
        {"payload": "A A="},
        {"payload": "\u00e9\u00e9\u00e9\u00e9"},
    ],
)
def test_media_without_base64_is_malformed(media):
    assert read(event="media", media=media) == Ignored("malformed")


@pytest.mark.parametrize("mark", [None, "end", {}, {"name": 1}, {"name": "x" * (MAX_MARK + 1)}])
def test_a_mark_without_a_name_to_send_back_is_malformed(mark):
    assert read(event="mark", mark=mark) == Ignored("malformed")


@pytest.mark.parametrize("event", ["", "Clear", "start", "dtmf"])
def test_an_event_that_is_not_known_is_ignored(event):
    assert read(event=event) == Ignored("unknown_event")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '"clear"', "null", "{}", '{"event": 1}', b"\xff\xfe", "[" * 100_000]
)
def test_what_is_no_message_at_all_is_malformed(text):
    assert read_text(text, stream()) == Ignored("malformed")


def test_a_one_way_stream_listens_to_nothing():
    assert read(oneway(), event="clear") == Ignored("oneway")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=5,
)


@given(st.sampled_from(["media", "mark", "clear", "x"]), JSON, JSON, JSON)
def test_no_message_raises(event, media, mark, stream_id):
    read(event=event, media=media, mark=mark, stream_id=stream_id)


@given(st.binary(max_size=64))
def test_no_bytes_raise(data):
    read_text(data, stream())
