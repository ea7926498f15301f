"""What a realtime server is told, and what its events mean for the call."""

import base64
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.wire.stream.media_stream import (
    Channel,
    Clear,
    Digit,
    Failed,
    FunctionCall,
    Ignored,
    Mark,
    Media,
    Reply,
    StreamFacts,
    StreamProtocol,
    StreamType,
)
from bridge.wire.stream.realtime import MAX_ERROR, RealtimeMessages
from bridge.wire.stream.realtime_session import REALTIME, RealtimeSession
from tests.support.packets.stream_messages import audio_message
from tests.wire.stream.test_native import AT

SECOND = bytes(48_000)
FACTS = StreamFacts(
    "s",
    "c",
    StreamType.TWOWAY,
    Channel.INBOUND,
    REALTIME,
    StreamProtocol.OPENAI_REALTIME,
)
CALL = {"type": "function_call", "call_id": "fc", "name": "weather", "arguments": '{"a":1}'}


class Conversation:
    """One stream's messages, and a server that says things."""

    def __init__(self, **session) -> None:
        self.messages = RealtimeMessages(FACTS, RealtimeSession(**session))
        self.played = 0.0

    def says(self, kind, **fields):
        """What an event means; what is sent back is decoded."""
        text = msgspec.json.encode({"type": kind, "event_id": "event"} | fields)
        meant = self.messages.read(text, played_seconds=self.played)
        return [msgspec.json.decode(m.message) if isinstance(m, Reply) else m for m in meant]

    def begins(self, response_id="r"):
        return self.says("response.created", response={"id": response_id})

    def speaks(self, pcm=SECOND, item_id="i", response_id="r", **more):
        audio = base64.b64encode(pcm).decode()
        fields = {"response_id": response_id, "item_id": item_id, "content_index": 0}
        return self.says("response.output_audio.delta", delta=audio, **(fields | more))

    def ends(self, response_id="r", status="completed", output=(), **more):
        response = {"id": response_id, "status": status, "output": list(output), **more}
        return self.says("response.done", response=response)

    def interrupts(self):
        return self.says("input_audio_buffer.speech_started", audio_start_ms=0, item_id="u")


def truncation(item_id, heard_ms):
    return {
        "type": "conversation.item.truncate",
        "item_id": item_id,
        "content_index": 0,
        "audio_end_ms": heard_ms,
    }


def decoded(message):
    assert message is not None
    return msgspec.json.decode(message)


# What is sent


def test_a_stream_begins_with_the_sessions_settings():
    [opening] = RealtimeMessages(FACTS, RealtimeSession()).opening(AT)
    assert decoded(opening)["type"] == "session.update"


def test_the_callers_voice_is_appended():
    message = audio_message(
        RealtimeMessages(FACTS, RealtimeSession()),
        b"\x01\x02",
        AT,
        track=Channel.INBOUND,
        timestamp=0,
    )
    assert decoded(message) == {"type": "input_audio_buffer.append", "audio": "AQI="}


def test_a_key_is_something_that_the_user_says():
    item = decoded(Conversation().messages.say(Digit("#"), AT))["item"]
    assert item["role"] == "user"
    assert item["content"] == [{"type": "input_text", "text": "The caller pressed #."}]


def test_every_key_is_an_item_of_its_own():
    messages = Conversation().messages
    ids = {decoded(messages.say(Digit("1"), AT))["item"]["id"] for _ in range(3)}
    assert len(ids) == 3
    assert all(len(one) <= 32 for one in ids)


def test_there_is_no_message_for_a_mark_and_none_for_the_end():
    messages = Conversation().messages
    assert messages.say(Mark("m"), AT) is None
    assert messages.closing(AT) == ()


# The beginning


def test_the_greeting_is_asked_for_once_the_server_has_taken_the_settings():
    talk = Conversation(greeting='Say "hello".')
    assert talk.says("session.created", session={"type": "realtime", "audio": {}}) == []
    [request] = talk.says("session.updated", session={"type": "realtime", "audio": {}})
    assert request["type"] == "response.create"
    assert '"Say \\"hello\\"."' in request["response"]["instructions"]
    assert talk.says("session.updated", session={"type": "realtime"}) == []


def test_without_a_greeting_the_caller_speaks_first():
    assert Conversation().says("session.updated", session={}) == []


def test_a_server_that_refuses_the_settings_greets_all_the_same():
    talk = Conversation(greeting="Hello.")
    failed, request = talk.says(
        "error", error={"type": "invalid_request_error", "message": "no", "event_id": "session"}
    )
    assert failed == Failed("invalid_request_error", "no")
    assert request["type"] == "response.create"


def test_a_caller_who_speaks_first_is_not_greeted():
    talk = Conversation(greeting="Hello.")
    talk.interrupts()
    assert talk.says("session.updated", session={}) == []
    talk.says("input_audio_buffer.speech_stopped")
    assert talk.ends() == []


def test_a_server_of_the_beta_is_set_up_in_its_own_form_and_then_greets():
    talk = Conversation(greeting="Hello.", voice="verse")
    beta = {"input_audio_format": "pcm16", "turn_detection": {"type": "server_vad"}}
    [update] = talk.says("session.created", session=beta)
    assert update["session"]["input_audio_format"] == "pcm16"
    [request] = talk.says("error", error={"type": "x", "message": "no", "event_id": "session"})
    assert request["type"] == "response.create"
    assert talk.says("session.updated", session=beta) == []


# Speech


@pytest.mark.parametrize("kind", ["response.output_audio.delta", "response.audio.delta"])
def test_audio_is_played(kind):
    delta = base64.b64encode(b"\x01\x02").decode()
    assert Conversation().says(kind, delta=delta, item_id="i", response_id="r") == [
        Media(b"\x01\x02")
    ]


def test_audio_may_be_cut_within_a_sample():
    assert Conversation().says("response.output_audio.delta", delta="AQ==", item_id="i") == [
        Media(b"\x01")
    ]


@pytest.mark.parametrize("delta", ["?", None, 5, "é"])
def test_audio_that_is_no_base64_is_ignored(delta):
    assert Conversation().says("response.output_audio.delta", delta=delta, item_id="i") == [
        Ignored("malformed")
    ]


def test_a_caller_who_interrupts_silences_the_model_and_it_is_told_what_was_heard():
    talk = Conversation()
    talk.begins()
    talk.speaks()
    talk.speaks()
    talk.played = 1.24
    assert talk.interrupts() == [Clear(), truncation("i", 1240)]


def test_speech_that_was_complete_is_cut_too():
    talk = Conversation()
    talk.begins()
    talk.speaks()
    talk.ends()
    talk.played = 0.5
    assert talk.interrupts() == [Clear(), truncation("i", 500)]


def test_a_caller_who_speaks_after_the_model_interrupts_nothing():
    talk = Conversation()
    talk.begins()
    talk.speaks()
    talk.ends()
    talk.played = 1.0
    assert talk.interrupts() == []


def test_audio_of_an_interrupted_response_that_comes_late_is_not_played():
    talk = Conversation()
    talk.begins()
    talk.speaks()
    talk.interrupts()
    assert talk.speaks() == []
    assert talk.speaks(item_id="another") == []
    talk.begins("next")
    assert talk.speaks(item_id="another", response_id="next") == [Media(SECOND)]


def test_a_response_without_a_word_yet_is_interrupted_too():
    talk = Conversation()
    talk.begins()
    assert talk.interrupts() == [Clear()]
    assert talk.speaks() == []


def test_after_an_interruption_the_next_item_is_measured_from_its_own_beginning():
    talk = Conversation()
    talk.begins()
    talk.speaks()
    talk.played = 0.25
    talk.interrupts()
    talk.played = 1.0  # what was cleared has left the queue
    talk.begins("next")
    talk.speaks(item_id="j", response_id="next")
    talk.played = 1.75
    assert talk.interrupts() == [Clear(), truncation("j", 750)]


def test_a_server_that_does_not_interrupt_by_itself_is_told_to():
    talk = Conversation()
    detection = {"type": "server_vad", "interrupt_response": False}
    talk.says("session.updated", session={"audio": {"input": {"turn_detection": detection}}})
    talk.begins()
    talk.speaks()
    assert talk.interrupts() == [Clear(), {"type": "response.cancel"}, truncation("i", 0)]


def test_a_greeting_that_begins_when_the_caller_already_speaks_is_cancelled():
    talk = Conversation(greeting="Hello.")
    talk.says("session.updated", session={})
    assert talk.interrupts() == []
    assert talk.begins("greeting") == [{"type": "response.cancel", "response_id": "greeting"}]
    assert talk.speaks(response_id="greeting") == []


def test_a_response_that_has_ended_is_not_cancelled():
    talk = Conversation()
    talk.says("session.updated", session={"audio": {"input": {"turn_detection": None}}})
    talk.begins()
    talk.speaks()
    talk.ends()
    assert talk.interrupts() == [Clear(), truncation("i", 0)]


# Functions and keys


def test_a_function_is_called_when_its_response_is_complete_and_its_output_is_answered():
    talk = Conversation()
    talk.begins()
    talk.says("response.function_call_arguments.done", response_id="r", **CALL)
    [call] = talk.ends(output=[CALL])
    assert isinstance(call, FunctionCall)
    assert (call.name, call.arguments) == ("weather", '{"a":1}')
    item, request = [decoded(reply.message) for reply in call.answer("sunny")]
    assert item["item"] == {"type": "function_call_output", "call_id": "fc", "output": "sunny"}
    assert request["type"] == "response.create"


def test_a_function_of_a_response_that_was_interrupted_is_not_called():
    talk = Conversation()
    talk.begins()
    talk.says("response.output_item.done", response_id="r", item=CALL)
    talk.interrupts()
    assert talk.ends(status="cancelled", output=[CALL]) == []


def test_an_output_that_comes_while_the_model_speaks_waits_with_its_request():
    talk = Conversation()
    talk.begins()
    [call] = talk.ends(output=[CALL])
    talk.begins("next")
    assert len(call.answer("sunny")) == 1
    [request] = talk.ends("next")
    assert request["type"] == "response.create"


@pytest.mark.parametrize("kind", ["conversation.item.added", "conversation.item.created"])
def test_a_key_is_answered_once_the_server_has_it(kind):
    talk = Conversation()
    item = decoded(talk.messages.say(Digit("5"), AT))["item"]
    [request] = talk.says(kind, item=item)
    assert request["type"] == "response.create"


def test_other_items_are_not_answered():
    assert Conversation().says("conversation.item.added", item={"id": "item_1"}) == []


# Errors


def test_an_error_is_reported():
    error = {"type": "invalid_request_error", "code": "session_expired", "message": "an hour"}
    assert Conversation().says("error", error=error) == [Failed("session_expired", "an hour")]


def test_a_response_that_failed_is_reported():
    error = {"type": "invalid_request_error", "code": "rate_limit_exceeded", "message": "later"}
    details = {"type": "failed", "error": error}
    assert Conversation().ends(status="failed", status_details=details) == [
        Failed("rate_limit_exceeded", "later")
    ]


def test_a_long_error_is_cut():
    [failed] = Conversation().says("error", error={"message": "x" * 9999})
    assert failed == Failed("error", "x" * MAX_ERROR)


@pytest.mark.parametrize(
    "code", ["response_cancel_not_active", "conversation_already_has_active_response"]
)
def test_a_server_that_was_faster_is_no_error(code):
    assert Conversation().says("error", error={"code": code, "message": "no"}) == []


def test_known_events_mean_nothing_and_unknown_ones_are_counted():
    assert Conversation().says("rate_limits.updated") == []
    assert Conversation().says("brand.new") == [Ignored("unknown_event")]


@pytest.mark.parametrize("text", ["", "{", "[]", "5", "{}", '{"type":5}', b"\xff", "[" * 9999])
def test_what_is_no_event_is_ignored(text):
    messages = RealtimeMessages(FACTS, RealtimeSession())
    assert list(messages.read(text, played_seconds=0.0)) == [Ignored("malformed")]


KINDS = sorted(RealtimeMessages(FACTS, RealtimeSession())._handlers)
ODD: tuple[Any, ...] = (
    None,
    True,
    -1,
    2.5,
    "",
    "AQI=",
    "cancelled",
    [],
    [None, {}],
    [CALL],
    {},
    {"id": 5},
    CALL,
)
NAMES = ("delta", "item_id", "content_index", "response_id", "call_id", "name", "arguments")
OBJECTS = ("response", "item", "session", "error")
INNER = ("id", "status", "output", "audio", "input_audio_format", "code", "message", "event_id")


@given(
    st.lists(
        st.tuples(
            st.sampled_from(KINDS),
            st.dictionaries(st.sampled_from(NAMES + OBJECTS), st.sampled_from(ODD), max_size=4),
            st.sampled_from(OBJECTS),
            st.dictionaries(st.sampled_from(INNER), st.sampled_from(ODD), max_size=3),
        ),
        max_size=6,
    ),
)
def test_no_event_of_any_shape_raises(events):
    talk = Conversation(greeting="Hello.")
    for kind, fields, name, inner in events:
        talk.says(kind, **(fields | {name: inner}))
