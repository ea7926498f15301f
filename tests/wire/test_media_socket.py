"""The texts beside the sound of WADial's media socket."""

import json

import pytest

from bridge.errors import RemoteProtocolError
from bridge.wire.media_socket import WadialMessages


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


def test_errors_and_the_end_are_told():
    messages = WadialMessages()
    refused = json.loads(messages.refusal(RemoteProtocolError("not whole")))
    assert refused == {"type": "error", "code": "invalid_pcm_frame", "message": "not whole"}
    assert json.loads(messages.farewell()) == {"type": "ended"}
