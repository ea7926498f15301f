"""Whose turn it is in a realtime conversation: which response goes on, and when the next may be asked for.

A conversation takes one response at a time; a request beside it is refused
(`conversation_already_has_active_response`).
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from bridge.wire.stream.media_stream import Reply
from bridge.wire.stream.realtime_events import read_id, read_text

MAX_REMEMBERED: Final = 64
"""Responses, items and calls that are remembered; beyond it the oldest are forgotten.

Of one response no more items are looked at.
"""
MAX_ARGUMENTS: Final = 65_536
"""Characters of a function's arguments; a longer call is ignored. OpenAI's longest reply has 4096 tokens."""
MAX_ERROR_CODE: Final = 64
RESPONSE_EVENT: Final = "response"
"""The `event_id` of `response.create`, by which a server's error names it."""
BUSY: Final = "conversation_already_has_active_response"


class CalledFunction(NamedTuple):
    """A function call of a response."""

    call_id: str
    name: str
    arguments: str
    """JSON."""


class ResponseTurns:
    """The responses of a conversation."""

    def __init__(self) -> None:
        self._active: OrderedDict[str, None] = OrderedDict()
        self._unwanted: OrderedDict[str, None] = OrderedDict()
        """Ids of the responses and items that the caller has interrupted."""
        self._announced: OrderedDict[str, tuple[str, CalledFunction]] = OrderedDict()
        """Function calls of responses that go on, with the response's id."""
        self._running: OrderedDict[str, None] = OrderedDict()
        """Function calls without an output."""
        self._requested = self._owed = self._speaking = False

    def created(self, response: Mapping[str, Any]) -> bool:
        """A response of the conversation goes on; return whether it was asked for before the caller began to speak.

        Nobody would hear it: the server ends such a response only if it goes on when speech begins.
        """
        late = self._requested and self._speaking
        _remember(self._active, read_id(response, "id"), None)
        self._requested = False
        if late:
            self.interrupt([])
        else:
            self._speaking = False
        return late

    def is_wanted(self, response_id: str, item_id: str) -> bool:
        """Whether the caller has not interrupted a response's item."""
        return response_id not in self._unwanted and item_id not in self._unwanted

    def interrupt(self, item_ids: Iterable[str]) -> bool:
        """Want no more of the responses that go on, nor of the items; return whether any went on."""
        for name in (*self._active, *item_ids):
            if name:
                _remember(self._unwanted, name, None)
        return bool(self._active)

    def speech_started(self) -> None:
        """Ask for nothing while the caller speaks."""
        self._speaking = True

    def speech_stopped(self) -> None:
        """Owe nothing: the server itself begins a response to what was said."""
        self._speaking = self._owed = False

    def announce(self, response_id: str, item: Mapping[str, Any]) -> None:
        """Remember a function call of a response that goes on; other items are ignored."""
        if (call := _call(item)) is not None:
            _remember(self._announced, call.call_id, (response_id, call))

    def finish(self, response: Mapping[str, Any]) -> list[CalledFunction]:
        """A response has ended; return the functions it calls, none if it was cut off."""
        response_id = read_id(response, "id")
        self._active.pop(response_id, None)
        self._requested = False
        called = {
            one.call_id: one for found, one in self._announced.values() if found == response_id
        }
        for call_id in called:
            del self._announced[call_id]
        output = response.get("output")
        for item in output[:MAX_REMEMBERED] if isinstance(output, list) else ():
            if isinstance(item, dict) and (call := _call(item)) is not None:
                called[call.call_id] = call
        if response.get("status", "completed") != "completed":
            return []
        for call_id in called:
            _remember(self._running, call_id, None)
        return list(called.values())

    def answered(self, call_id: str) -> None:
        """A function has its output."""
        self._running.pop(call_id, None)

    def request(self, instructions: str = "") -> Iterator[Reply]:
        """Ask for a response, now or as soon as nothing stands in its way (`request_owed`).

        With instructions of its own it is asked for now or never.
        """
        if self._speaking or self._active or self._requested or self._running:
            self._owed |= not instructions
            return
        self._requested, self._owed = True, False
        message: dict[str, Any] = {"type": "response.create", "event_id": RESPONSE_EVENT}
        if instructions:
            message["response"] = {"instructions": instructions}
        yield Reply(msgspec.json.encode(message))

    def request_owed(self) -> Iterator[Reply]:
        """Ask for the response that had to wait, if there is one."""
        if self._owed:
            yield from self.request()

    def failed(self, error: Mapping[str, Any]) -> None:
        """The server reports an error: a request that it may refuse is no longer waited for."""
        if read_id(error, "event_id") in ("", RESPONSE_EVENT):
            self._owed |= self._requested and error_code(error) == BUSY
            self._requested = False


def error_code(error: Mapping[str, Any]) -> str:
    """Return an error's code, or its type where it has none."""
    return (read_text(error, "code") or read_text(error, "type") or "error")[:MAX_ERROR_CODE]


def _call(item: Mapping[str, Any]) -> CalledFunction | None:
    """Return the function call that an item or event describes; None if it has none, or it is cut off or too long."""
    call_id, name = read_id(item, "call_id"), read_id(item, "name")
    arguments = item.get("arguments")
    whole = item.get("status", "completed") == "completed"
    if not (call_id and name and whole and isinstance(arguments, str)):
        return None
    return CalledFunction(call_id, name, arguments) if len(arguments) <= MAX_ARGUMENTS else None


def _remember(memory: OrderedDict[str, Any], name: str, value: object) -> None:
    memory[name] = value
    if len(memory) > MAX_REMEMBERED:
        memory.popitem(last=False)
