"""Our messages and the server's events against the types of OpenAI's own client."""

from typing import Any, get_args

import msgspec
import pytest

from bridge.wire.stream.media_stream import Channel, Digit, FunctionCall, Ignored
from bridge.wire.stream.realtime import RealtimeMessages
from bridge.wire.stream.realtime_events import UNUSED_EVENTS
from bridge.wire.stream.realtime_session import RealtimeSession, RealtimeTool, session_update
from tests.support.packets.stream_messages import audio_message
from tests.wire.stream.test_native import AT
from tests.wire.stream.test_realtime import CALL, FACTS, Conversation

pytestmark = pytest.mark.examples

WEATHER = RealtimeTool("weather", "What the weather is like.", {"type": "object"})
EVERYTHING = RealtimeSession("Be brief.", "Hello.", "marin", (WEATHER,))


def written() -> list[bytes]:
    """Every kind of message that we write."""
    messages = RealtimeMessages(FACTS, EVERYTHING)
    sent = [
        *messages.opening(AT),
        audio_message(messages, bytes(2), AT, track=Channel.INBOUND, timestamp=0),
    ]
    sent.append(messages.say(Digit("5"), AT) or b"")
    talk = Conversation(greeting="Hello.")
    detection = {"turn_detection": None}
    meant = talk.says("session.updated", session={"audio": {"input": detection}})
    talk.begins()
    [call] = talk.ends(output=[CALL])
    assert isinstance(call, FunctionCall)
    sent += [reply.message for reply in call.answer("sunny")]
    talk.begins("next")
    talk.speaks(response_id="next")
    meant += talk.interrupts()
    late = Conversation(greeting="Hello.")
    late.says("session.updated", session={})
    late.interrupts()
    meant += late.begins()
    return sent + [msgspec.json.encode(m) for m in meant if isinstance(m, dict)]


def unknown_fields(model: Any) -> list[str]:
    """Names of the fields that the client's types do not have."""
    if isinstance(model, list):
        return [name for inner in model for name in unknown_fields(inner)]
    if not hasattr(model, "model_extra"):
        return []
    inner = [
        name for field in type(model).model_fields for name in unknown_fields(getattr(model, field))
    ]
    return [*(model.model_extra or {}), *inner]


def types_of(union: Any) -> set[str]:
    """The values of `type` in an annotated union of events."""
    events = get_args(get_args(union)[0])
    return {name for event in events for name in get_args(event.model_fields["type"].annotation)}


def test_every_message_that_we_write_is_one_of_the_clients():
    from openai.types.realtime import RealtimeClientEvent
    from pydantic import TypeAdapter

    adapter = TypeAdapter(RealtimeClientEvent)
    kinds = set()
    for message in written():
        event = adapter.validate_json(message, strict=True)
        assert unknown_fields(event) == [], message
        kinds.add(event.type)
    assert kinds == {
        "session.update",
        "response.create",
        "response.cancel",
        "input_audio_buffer.append",
        "conversation.item.create",
        "conversation.item.truncate",
    }


def test_the_session_in_the_form_of_the_beta_is_one_of_the_beta_clients():
    from openai.types.beta.realtime import SessionUpdateEvent

    event = SessionUpdateEvent.model_validate_json(session_update(EVERYTHING, beta=True))
    assert unknown_fields(event) == []


def test_every_event_of_the_client_is_known_and_we_know_no_other():
    from openai.types.beta.realtime import RealtimeServerEvent as Beta
    from openai.types.realtime import RealtimeServerEvent as Current

    theirs = types_of(Current) | types_of(Beta)
    talk = Conversation()
    assert [kind for kind in theirs if Ignored("unknown_event") in talk.says(kind)] == []
    assert (UNUSED_EVENTS | set(talk.messages._handlers)) - theirs == set()


def test_no_event_is_both_used_and_unused():
    assert not UNUSED_EVENTS & set(Conversation().messages._handlers)
