"""The texts beside the audio of WADial's media socket."""

import json
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from bridge.api.faces.wadial.media import CallTexts
from bridge.call.model import CallFacts, CallId, CallRecord, Direction, EndReason, LineName, State
from bridge.wire.stream.media_format import WADIAL

AT = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
FACTS = CallFacts(CallId("0" * 32), LineName("sales"), "15550100001", AT)


class Runner:
    """A call as far as its texts need it."""

    def __init__(self):
        self.machine = SimpleNamespace(
            state=State.ACTIVE,
            legs=SimpleNamespace(muted=False, far=SimpleNamespace(silent=False)),
            answered_at=None,
            reason=None,
        )

    def record(self):
        return CallRecord(FACTS, Direction.OUTBOUND, self.machine.state, None, 1.0, ())


@pytest.fixture
def runner():
    return Runner()


@pytest.fixture
def texts(runner):
    opened = CallTexts(runner, WADIAL)
    opened.opening()
    return opened


def read(messages, kind=None):
    decoded = [json.loads(text) for text in messages]
    return [one for one in decoded if kind in (None, one["type"])]


def codes(messages):
    return [one["code"] for one in read(messages, "error")]


def test_the_first_texts_are_the_format_the_calls_state_and_the_watermarks(runner):
    ready, state, buffer = read(CallTexts(runner, WADIAL).opening())
    assert buffer == {"type": "buffer", "bufferedMs": 0, "pauseMs": 500, "resumeMs": 250}
    assert ready == {
        "type": "ready",
        "media": {
            "direction": "bidirectional",
            "encoding": "Float32LE",
            "sampleRate": 16000,
            "channels": 1,
        },
    }
    assert (state["type"], state["call"]["callId"]) == ("call_state", "0" * 32)
    assert state["call"]["state"] == "active"


def test_a_state_is_sent_once(runner, texts):
    assert read(texts.poll(0.0, 0.0)) == []
    runner.machine.legs.muted = True
    assert [one["type"] for one in read(texts.poll(0.0, 0.02))] == ["call_state"]
    assert read(texts.poll(0.0, 0.04)) == []


def test_the_buffer_is_reported_at_watermarks_every_200_ms_and_once_when_it_is_empty(texts):
    reported = [
        (now, texts.poll(level, now) != [])
        for now, level in [
            (0.00, 0.0), (0.02, 0.1), (0.04, 0.2), (0.06, 0.6), (0.08, 0.6), (0.26, 0.4),
            (0.28, 0.25), (0.30, 0.2), (0.48, 0.1), (0.50, 0.0), (0.52, 0.0), (9.00, 0.0),
        ]
    ]  # fmt: skip
    assert [now for now, due in reported if due] == [0.02, 0.06, 0.26, 0.28, 0.48, 0.50]


def test_a_buffer_report_has_the_watermarks(texts):
    assert read(texts.poll(0.24, 1.0)) == [
        {"type": "buffer", "bufferedMs": 240, "pauseMs": 500, "resumeMs": 250}
    ]


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
        "\ud800",
    ],
)
def test_only_clear_empties_the_buffer(texts, text):
    assert not texts.is_clear(text)
    assert texts.is_clear('{"type": "clear"}')


def test_a_malformed_message_is_an_error(texts):
    assert read(texts.refusal("not whole")) == [
        {"type": "error", "code": "invalid_pcm_frame", "message": "not whole"}
    ]


def test_dropped_audio_is_an_error_once_in_five_seconds(texts):
    reported = []
    for tick in range(600):  # 12 s in which audio is dropped all the time
        texts.note_loss("in")
        reported += [(tick / 50, code) for code in codes(texts.poll(0.0, tick / 50))]
    assert reported == [(0.0, "feed_overflow"), (5.0, "feed_overflow"), (10.0, "feed_overflow")]


def test_a_slow_reader_and_a_fast_sender_are_two_errors(texts):
    texts.note_loss("out")
    texts.note_loss("in")
    assert codes(texts.poll(0.0, 1.0)) == ["feed_overflow", "feed_behind"]
    assert texts.poll(0.0, 9.0) == []


def test_a_peer_that_stops_sending_is_an_error_each_time(runner, texts):
    reported = []
    for silent in (False, True, True, False, True):
        runner.machine.legs.far.silent = silent
        reported.append(codes(texts.poll(0.0, 0.0)))
    assert reported == [[], ["feed_silent"], [], [], ["feed_silent"]]


def test_the_last_text_is_the_end(texts):
    assert read(texts.last_messages()) == [{"type": "ended"}]


def test_media_that_failed_is_an_error_with_its_reason(runner, texts):
    runner.machine.answered_at, runner.machine.reason = 1.0, EndReason.MEDIA_TIMEOUT
    failure, end = read(texts.last_messages())
    assert (failure["code"], end) == ("feed_failed", {"type": "ended"})
    assert "media_timeout" in failure["message"]
