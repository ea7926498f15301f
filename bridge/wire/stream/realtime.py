"""Messages of a speech-to-speech model's server, of which the bridge is the client: OpenAI's realtime interface.

Source: OpenAI, "Realtime API": client events and server events. Where the beta named an event otherwise,
that name is understood too.
"""

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

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
    ServerMessage,
    StreamFacts,
)
from bridge.wire.stream.media_template import MediaTemplate, Place
from bridge.wire.stream.realtime_events import UNUSED_EVENTS, read_id, read_object, read_text
from bridge.wire.stream.realtime_session import (
    SESSION_EVENT,
    RealtimeSession,
    interrupts,
    session_update,
    speaks_beta,
)
from bridge.wire.stream.realtime_turns import ResponseTurns, error_code

MAX_ERROR: Final = 500
"""Characters of a server's error message that are passed on."""
RACES: Final = frozenset({"response_cancel_not_active", "conversation_already_has_active_response"})
"""Errors that only report a race: the server had already acted."""
KEY_ITEM: Final = "bridge_key_"
"""Begins the ids of items that report keys."""

MAX_PARTS: Final = 64
"""Pieces of speech that may wait to be heard; beyond it the oldest counts as heard."""
HEARD_SECONDS: Final = 0.05
"""A rest as short as this counts as heard: the converter of sample rates keeps a few milliseconds back."""

Event: TypeAlias = dict[str, Any]
Handler: TypeAlias = Callable[[Event, float], Iterable[ServerMessage] | None]
"""Takes an event, and how much of all audio has left the queue."""


class Unheard(NamedTuple):
    """An item that a caller has interrupted."""

    item_id: str
    content_index: int
    heard_ms: int
    """How much of it was heard; never more than its length."""


@dataclass(slots=True)
class _Part:
    """A content part of an item that is speech."""

    item_id: str
    content_index: int
    start: float
    """In seconds of all the audio that the server sent."""
    seconds: float = 0.0

    @property
    def end(self) -> float:
        return self.start + self.seconds


class SpokenItems:
    """The items of speech that have not been heard to their end.

    A part's audio is taken to be in one piece: a conversation has one response at a time.
    """

    def __init__(self) -> None:
        self._sent = 0.0
        """Seconds of all audio until now."""
        self._parts: list[_Part] = []

    def add(self, item_id: str, content_index: int, seconds: float, *, played: float) -> None:
        """Add audio of an item; `played` is how much of all audio has left the queue, in seconds."""
        last = self._parts[-1] if self._parts else None
        if last is None or (last.item_id, last.content_index) != (item_id, content_index):
            self._parts = [part for part in self._parts if part.end > played][1 - MAX_PARTS :]
            last = _Part(item_id, content_index, self._sent)
            self._parts.append(last)
        last.seconds += seconds
        self._sent += seconds

    def interrupt(self, played: float) -> list[Unheard]:
        """Return what was not heard to its end, and forget all."""
        parts, self._parts = self._parts, []
        return [
            Unheard(part.item_id, part.content_index, _milliseconds(part, played))
            for part in parts
            if part.end - played > HEARD_SECONDS
        ]


def _milliseconds(part: _Part, played: float) -> int:
    heard = min(max(played - part.start, 0.0), part.seconds)
    # Rounded first, because 0.58 s are 579.999… ms; and down, because a server refuses more than there is.
    return int(round(heard * 1000, 3))


class RealtimeMessages:
    """Writes what a model's server hears, and reads what it says (`media_stream.StreamMessages`).

    When the caller begins to speak, what waits to be played is dropped and the server is told how much of it
    was heard: what has left the queue. How much of that is still on its way to the caller is not known.
    """

    def __init__(self, facts: StreamFacts, session: RealtimeSession) -> None:
        self._second_bytes = facts.media.second_bytes
        self._session = session
        self._beta = False
        self._greeted = False
        self._interrupts = True
        self._spoken = SpokenItems()
        self._turns = ResponseTurns()
        self._keys = 0
        self._handlers = self._handlers_by_type()

    def opening(self, at: datetime) -> tuple[bytes]:
        """Write `session.update`; the greeting follows when the server has taken it."""
        return (session_update(self._session, beta=False),)

    def media(self, track: Channel) -> MediaTemplate:
        """Return `input_audio_buffer.append`."""
        return MediaTemplate(b'{"type":"input_audio_buffer.append","audio":"', Place.PAYLOAD, b'"}')

    def count_media(self, track: Channel) -> tuple[int, int]:
        """Count nothing: the message has no numbers."""
        return 0, 0

    def say(self, what: Mark | Digit, at: datetime) -> bytes | None:
        """Write a key as what the user has said; the response to it is asked for once the server has it."""
        if isinstance(what, Mark):
            return None
        self._keys += 1
        item = {
            "id": f"{KEY_ITEM}{self._keys}",
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": f"The caller pressed {what.key}."}],
        }
        return msgspec.json.encode({"type": "conversation.item.create", "item": item})

    def closing(self, at: datetime) -> tuple[()]:
        """Write nothing: the interface has no closing message."""
        return ()

    def read(self, text: str | bytes, *, played_seconds: float) -> Sequence[ServerMessage]:
        """Parse an event of the server; those that a call has no use for mean nothing."""
        try:
            event = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return (Ignored("malformed"),)
        if not isinstance(event, dict) or not isinstance(event.get("type"), str):
            return (Ignored("malformed"),)
        if (handler := self._handlers.get(event["type"])) is not None:
            return tuple(handler(event, played_seconds) or ())
        return () if event["type"] in UNUSED_EVENTS else (Ignored("unknown_event"),)

    def _handlers_by_type(self) -> dict[str, Handler]:
        turns = self._turns
        return {
            "session.created": lambda event, _: self._configure(event),
            "session.updated": lambda event, _: self._configure(event),
            "error": lambda event, _: self._fail(read_object(event, "error")),
            "input_audio_buffer.speech_started": lambda _, played: self._interrupt(played),
            "input_audio_buffer.speech_stopped": lambda *_: turns.speech_stopped(),
            "conversation.item.added": lambda event, _: self._take_item(event),
            "conversation.item.created": lambda event, _: self._take_item(event),
            "response.created": lambda event, _: self._begin(read_object(event, "response")),
            "response.output_audio.delta": self._take_audio,
            "response.audio.delta": self._take_audio,
            "response.output_item.done": lambda event, _: turns.announce(
                read_id(event, "response_id"), read_object(event, "item")
            ),
            "response.function_call_arguments.done": lambda event, _: turns.announce(
                read_id(event, "response_id"), event
            ),
            "response.done": lambda event, _: self._finish(read_object(event, "response")),
        }

    def _take_item(self, event: Event) -> Iterator[ServerMessage]:
        if read_id(read_object(event, "item"), "id").startswith(KEY_ITEM):
            yield from self._turns.request()

    def _take_audio(self, event: Event, played: float) -> Iterator[ServerMessage]:
        delta, item_id = event.get("delta"), read_id(event, "item_id")
        index = event.get("content_index")
        try:
            data = base64.b64decode(delta, validate=True) if isinstance(delta, str) else None
        except ValueError:
            data = None
        if data is None:
            yield Ignored("malformed")
        elif self._turns.is_wanted(read_id(event, "response_id"), item_id):
            number = index if isinstance(index, int) else 0
            self._spoken.add(item_id, number, len(data) / self._second_bytes, played=played)
            yield Media(data)

    def _interrupt(self, played: float) -> Iterator[ServerMessage]:
        self._turns.speech_started()
        unheard = self._spoken.interrupt(played)
        speaking = self._turns.interrupt(item.item_id for item in unheard)
        if speaking or unheard:
            yield Clear()
        if speaking and not self._interrupts:
            yield _reply({"type": "response.cancel"})
        for item_id, index, heard_ms in unheard:
            yield _reply(
                {
                    "type": "conversation.item.truncate",
                    "item_id": item_id,
                    "content_index": index,
                    "audio_end_ms": heard_ms,
                }
            )

    def _begin(self, response: Event) -> Iterator[ServerMessage]:
        if self._turns.created(response):
            cancelled = {"response_id": response["id"]} if read_id(response, "id") else {}
            yield _reply({"type": "response.cancel"} | cancelled)

    def _finish(self, response: Event) -> Iterator[ServerMessage]:
        for call in self._turns.finish(response):
            yield FunctionCall(call.name, call.arguments, partial(self._answer, call.call_id))
        if response.get("status") == "failed":
            details = read_object(response, "status_details")
            yield _failed(read_object(details, "error"))
        yield from self._turns.request_owed()

    def _answer(self, call_id: str, output: str) -> list[Reply]:
        item = {"type": "function_call_output", "call_id": call_id, "output": output}
        self._turns.answered(call_id)
        return [_reply({"type": "conversation.item.create", "item": item}), *self._turns.request()]

    def _configure(self, event: Event) -> Iterator[ServerMessage]:
        session = read_object(event, "session")
        self._interrupts = interrupts(session)
        if speaks_beta(session) and not self._beta:
            self._beta = True
            yield Reply(session_update(self._session, beta=True))
        elif event["type"] == "session.updated":
            yield from self._greet()

    def _greet(self) -> Iterator[ServerMessage]:
        if self._session.greeting and not self._greeted:
            said = msgspec.json.encode(self._session.greeting).decode()
            yield from self._turns.request(
                f"Greet the caller. Say exactly this and no more: {said}"
            )
        self._greeted = True

    def _fail(self, error: Event) -> Iterator[ServerMessage]:
        self._turns.failed(error)
        refused_form = self._beta and read_id(error, "event_id") == SESSION_EVENT
        if not refused_form and error_code(error) not in RACES:
            yield _failed(error)
        # A server that refuses the settings still talks, with its own.
        yield from self._greet()


def _failed(error: Mapping[str, Any]) -> Failed:
    message = read_text(error, "message")[:MAX_ERROR] or "the server did not say why"
    return Failed(error_code(error), message)


def _reply(message: Mapping[str, object]) -> Reply:
    return Reply(msgspec.json.encode(message))
