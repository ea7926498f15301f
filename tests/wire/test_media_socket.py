"""The texts beside the sound of WADial's media socket."""

import json

import pytest

from bridge.errors import RemoteProtocolError
from bridge.wire.media_socket import WadialMessages


def test_ready_says_how_the_sound_is_written():
    assert json.loads(WadialMessages().ready()) == {
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
        (now, level, messages.buffer(level, now) is not None)
        for now, level in [
            (0.00, 0.0), (0.02, 0.1), (0.04, 0.2), (0.06, 0.6), (0.08, 0.6), (0.26, 0.4),
            (0.28, 0.25), (0.30, 0.2), (0.48, 0.1), (0.50, 0.0), (0.52, 0.0), (9.00, 0.0),
        ]
    ]  # fmt: skip
    assert [now for now, _, yes in told if yes] == [0.02, 0.06, 0.26, 0.28, 0.48, 0.50]


def test_a_queue_report_has_the_watermarks():
    report = WadialMessages().buffer(0.24, 1.0)
    assert report is not None
    assert json.loads(report) == {
        "type": "buffer", "bufferedMs": 240, "pauseMs": 500, "resumeMs": 250,
    }  # fmt: skip


def test_the_calls_state_is_told():
    told = json.loads(WadialMessages().call_state({"callId": "A", "state": "ringing"}))
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
    assert not WadialMessages.is_clear(text)
    assert WadialMessages.is_clear('{"type": "clear"}')


def test_errors_and_the_end_are_told():
    messages = WadialMessages()
    refused = json.loads(messages.invalid_frame(RemoteProtocolError("not whole")))
    assert refused == {"type": "error", "code": "invalid_pcm_frame", "message": "not whole"}
    assert json.loads(messages.ended()) == {"type": "ended"}


def codes(texts):
    return [json.loads(text)["code"] for text in texts]


def test_sound_that_was_dropped_is_an_error_once_in_five_seconds():
    messages = WadialMessages()
    told = []
    for tick in range(600):  # 12 s in which sound is dropped all the time
        messages.note_loss("in")
        told += [(tick / 50, code) for code in codes(messages.errors(tick / 50, silent=False))]
    assert told == [(0.0, "feed_overflow"), (5.0, "feed_overflow"), (10.0, "feed_overflow")]


def test_a_slow_reader_and_a_fast_speaker_are_two_errors():
    messages = WadialMessages()
    messages.note_loss("out")
    messages.note_loss("in")
    assert codes(messages.errors(1.0, silent=False)) == ["feed_overflow", "feed_behind"]
    assert messages.errors(9.0, silent=False) == []


def test_a_peer_that_stops_sending_is_an_error_each_time():
    messages = WadialMessages()
    told = [
        codes(messages.errors(0.0, silent=silent)) for silent in (False, True, True, False, True)
    ]
    assert told == [[], ["feed_silent"], [], [], ["feed_silent"]]


def test_media_that_failed_is_an_error_with_its_reason():
    failure = json.loads(WadialMessages.feed_failed("media_timeout"))
    assert failure["code"] == "feed_failed"
    assert "media_timeout" in failure["message"]
