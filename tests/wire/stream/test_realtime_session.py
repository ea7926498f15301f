"""How a realtime session is set up."""

import msgspec
import pytest

from bridge.wire.stream.realtime_session import (
    REALTIME,
    RealtimeSession,
    RealtimeTool,
    interrupts,
    session_update,
    speaks_beta,
)

WEATHER = RealtimeTool("weather", "What the weather is like.", {"type": "object"})
DETECTION = {"type": "server_vad", "create_response": True, "interrupt_response": True}
PCM = {"type": "audio/pcm", "rate": 24000}


def update(session=None, *, beta=False):
    return msgspec.json.decode(session_update(session or RealtimeSession(), beta=beta))["session"]


def test_a_message_of_audio_is_20_ms_of_24_khz():
    assert REALTIME.frame_bytes == 960


def test_a_session_asks_for_speech_and_for_interruptions():
    assert update() == {
        "type": "realtime",
        "output_modalities": ["audio"],
        "audio": {
            "input": {"format": PCM, "turn_detection": DETECTION},
            "output": {"format": PCM},
        },
    }


def test_the_form_of_the_beta_asks_for_the_same():
    assert update(RealtimeSession(voice="verse"), beta=True) == {
        "modalities": ["audio", "text"],
        "input_audio_format": "pcm16",
        "output_audio_format": "pcm16",
        "turn_detection": DETECTION,
        "voice": "verse",
    }


@pytest.mark.parametrize("beta", [False, True])
def test_what_the_line_has_set_is_told(beta):
    session = RealtimeSession(instructions="Be brief.", tools=[WEATHER])
    told = update(session, beta=beta)
    assert told["instructions"] == "Be brief."
    assert told["tools"] == [
        {
            "type": "function",
            "name": "weather",
            "description": "What the weather is like.",
            "parameters": {"type": "object"},
        }
    ]
    assert told["tool_choice"] == "auto"


def test_the_voice_belongs_to_the_output():
    assert update(RealtimeSession(voice="marin"))["audio"]["output"]["voice"] == "marin"


@pytest.mark.parametrize(
    ("session", "beta"),
    [
        ({"input_audio_format": "pcm16"}, True),
        ({"audio": {}}, False),
        ({"audio": {}, "input_audio_format": "pcm16"}, False),
        ({}, False),
    ],
)
def test_a_session_shows_whose_form_its_server_speaks(session, beta):
    assert speaks_beta(session) is beta


@pytest.mark.parametrize(
    ("detection", "expected"),
    [
        (DETECTION, True),
        ({"type": "semantic_vad"}, True),
        ({"type": "server_vad", "interrupt_response": False}, False),
        (None, False),
    ],
)
def test_a_session_shows_who_ends_a_reply_when_the_caller_speaks(detection, expected):
    assert interrupts({"audio": {"input": {"turn_detection": detection}}}) is expected
    beta = {"input_audio_format": "pcm16", "turn_detection": detection}
    assert interrupts(beta) is expected


@pytest.mark.parametrize("session", [{}, {"audio": None}, {"audio": {"input": []}}])
def test_a_server_that_does_not_say_does_as_it_was_asked(session):
    assert interrupts(session)
