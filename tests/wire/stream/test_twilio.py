"""The messages of a Twilio media stream, as Twilio's reference shows them."""

import base64
import hashlib
import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.wire.stream.media_stream import (
    MAX_MARK,
    Channel,
    Clear,
    Digit,
    Ignored,
    Mark,
    Media,
    StreamFacts,
    StreamProtocol,
    StreamType,
)
from bridge.wire.stream.twilio import TWILIO, TwilioMessages
from tests.support.packets.stream_messages import audio_message
from tests.wire.stream.test_native import AT, CALL, JSON, STREAM, said

STREAM_SID = "MZ5d0c8e2a000040008000000000000001"
CALL_SID = "CA5d0c8e2a000040008000000000000002"
ACCOUNT_SID = "AC" + hashlib.sha256(b"sales").hexdigest()[:32]


def facts(type_=StreamType.TWOWAY, channel=Channel.INBOUND, call=CALL, **more) -> StreamFacts:
    return StreamFacts(
        STREAM, call, type_, channel, TWILIO, StreamProtocol.TWILIO, line="sales", **more
    )


def twilio(*given, **more) -> TwilioMessages:
    return TwilioMessages(facts(*given, **more))


def read(messages=None, **message):
    return read_text(msgspec.json.encode(message), messages)


def read_text(text, messages=None):
    [meant] = (messages or twilio()).read(text, played_seconds=0.0)
    return meant


# What we send


def test_the_first_message_is_connected():
    connected = said(twilio().opening(AT)[0])
    assert connected == {"event": "connected", "protocol": "Call", "version": "1.0.0"}


def test_the_second_is_start_with_everything_about_the_stream():
    assert said(twilio(parameters={"FirstName": "Jane"}).opening(AT)[1]) == {
        "event": "start",
        "sequenceNumber": "1",
        "start": {
            "streamSid": STREAM_SID,
            "accountSid": ACCOUNT_SID,
            "callSid": CALL_SID,
            "tracks": ["inbound"],
            "customParameters": {"FirstName": "Jane"},
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        },
        "streamSid": STREAM_SID,
    }


def test_ids_have_the_forms_of_twilios():
    start = said(twilio().opening(AT)[1])["start"]
    for name, prefix in (("streamSid", "MZ"), ("callSid", "CA"), ("accountSid", "AC")):
        assert re.fullmatch(f"{prefix}[0-9a-f]{{32}}", start[name])


@pytest.mark.parametrize("call", [CALL, CALL.upper(), CALL.replace("-", "").upper()])
def test_the_calls_id_is_the_same_whatever_form_the_customer_knows(call):
    assert said(twilio(call=call).opening(AT)[1])["start"]["callSid"] == CALL_SID


@pytest.mark.parametrize(
    ("channel", "tracks"),
    [
        (Channel.INBOUND, ["inbound"]),
        (Channel.OUTBOUND, ["outbound"]),
        (Channel.BOTH, ["inbound", "outbound"]),
    ],
)
def test_a_one_way_stream_has_the_tracks_that_were_asked_for(channel, tracks):
    opening = twilio(StreamType.ONEWAY, channel).opening(AT)
    assert said(opening[1])["start"]["tracks"] == tracks


def test_media_has_all_its_numbers_as_strings():
    messages = twilio()
    messages.opening(AT)
    media = audio_message(messages, b"\x01\xff", AT, track=Channel.INBOUND, timestamp=40)
    assert said(media) == {
        "event": "media",
        "sequenceNumber": "2",
        "media": {"track": "inbound", "chunk": "1", "timestamp": "40", "payload": "Af8="},
        "streamSid": STREAM_SID,
    }


@given(st.binary(max_size=400), st.integers(0, 10**9))
def test_any_audio_is_a_message_with_exactly_this_audio(data, timestamp):
    media = said(audio_message(twilio(), data, AT, track=Channel.INBOUND, timestamp=timestamp))[
        "media"
    ]
    assert base64.b64decode(media["payload"], validate=True) == data
    assert media["timestamp"] == str(timestamp)


def test_messages_are_counted_together_and_chunks_by_track():
    messages = twilio(StreamType.ONEWAY, Channel.BOTH)
    inbound, outbound = {"track": Channel.INBOUND}, {"track": Channel.OUTBOUND}
    sent = [
        said(messages.opening(AT)[1]),
        said(audio_message(messages, b"", AT, timestamp=0, **inbound)),
        said(audio_message(messages, b"", AT, timestamp=0, **outbound)),
        said(audio_message(messages, b"", AT, timestamp=20, **inbound)),
        said(*messages.closing(AT)),
    ]
    assert [message["sequenceNumber"] for message in sent] == ["1", "2", "3", "4", "5"]
    assert [message["media"]["chunk"] for message in sent[1:4]] == ["1", "1", "2"]
    assert [message["media"]["track"] for message in sent[1:4]] == [
        "inbound",
        "outbound",
        "inbound",
    ]


def test_a_mark_goes_back_with_its_name():
    assert said(twilio().say(Mark("my label"), AT)) == {
        "event": "mark",
        "sequenceNumber": "1",
        "mark": {"name": "my label"},
        "streamSid": STREAM_SID,
    }


def test_a_key_is_a_dtmf_message_of_the_inbound_track():
    assert said(twilio().say(Digit("#"), AT)) == {
        "event": "dtmf",
        "sequenceNumber": "1",
        "dtmf": {"track": "inbound_track", "digit": "#"},
        "streamSid": STREAM_SID,
    }


def test_a_one_way_stream_has_no_keys():
    assert twilio(StreamType.ONEWAY).say(Digit("5"), AT) is None


def test_stop_is_the_last_message():
    assert said(*twilio().closing(AT)) == {
        "event": "stop",
        "sequenceNumber": "1",
        "stop": {"accountSid": ACCOUNT_SID, "callSid": CALL_SID},
        "streamSid": STREAM_SID,
    }


# What we hear


def test_media_is_heard_as_its_bytes():
    assert read(event="media", streamSid=STREAM_SID, media={"payload": "Af8A"}) == Media(
        b"\x01\xff\x00"
    )


def test_a_mark_is_heard_by_its_name():
    assert read(event="mark", streamSid=STREAM_SID, mark={"name": "end"}) == Mark("end")


def test_clear_is_heard():
    assert read(event="clear", streamSid=STREAM_SID) == Clear()


def test_the_streams_id_may_be_left_out():
    assert read(event="clear") == Clear()


@pytest.mark.parametrize("sid", ["", STREAM, CALL_SID, STREAM_SID.upper()])
def test_a_message_about_another_stream_is_ignored(sid):
    assert read(event="clear", streamSid=sid) == Ignored("other_stream")


@pytest.mark.parametrize(
    "media",
    [None, "AAA=", {}, {"payload": None}, {"payload": 5}, {"payload": "a"}, {"payload": "A A="}],
)
def test_media_without_base64_is_malformed(media):
    assert read(event="media", media=media) == Ignored("malformed")


@pytest.mark.parametrize("mark", [None, "end", {}, {"name": 1}, {"name": "x" * (MAX_MARK + 1)}])
def test_a_mark_without_a_name_to_send_back_is_malformed(mark):
    assert read(event="mark", mark=mark) == Ignored("malformed")


@pytest.mark.parametrize("event", ["", "Clear", "start", "dtmf", "stop", "connected"])
def test_an_event_that_is_not_known_is_ignored(event):
    assert read(event=event) == Ignored("unknown_event")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '"clear"', "null", "{}", '{"event": 1}', b"\xff\xfe", "[" * 100_000]
)
def test_what_is_no_message_at_all_is_malformed(text):
    assert read_text(text) == Ignored("malformed")


def test_a_one_way_stream_listens_to_nothing():
    assert read(twilio(StreamType.ONEWAY), event="clear") == Ignored("oneway")


@given(st.sampled_from(["media", "mark", "clear", "x"]), JSON, JSON, JSON)
def test_no_message_raises(event, media, mark, sid):
    read(event=event, media=media, mark=mark, streamSid=sid)


@given(st.text(max_size=64) | st.binary(max_size=64))
def test_no_text_and_no_bytes_raise(data):
    read_text(data)


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=20), max_size=5))
def test_any_parameters_are_passed_on_as_they_are(parameters):
    start = said(twilio(parameters=parameters).opening(AT)[1])["start"]
    assert start["customParameters"] == parameters
