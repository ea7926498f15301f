"""Functions that a line's model calls: those of the operator's server, and the built-in `hang_up`."""

import asyncio
import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import aiohttp
import msgspec

from bridge.call import events
from bridge.call.model import LegId
from bridge.db.database import wall_time
from bridge.errors import BridgeError
from bridge.http.client import Session
from bridge.legs.stream import StreamLeg
from bridge.legs.stream_functions import FunctionFailed
from bridge.node.runner import CallRunner
from bridge.node.speech.last_words import wait_for_last_words
from bridge.settings.realtime import HANG_UP, Realtime
from bridge.telemetry.trace import UNTRACED, OpenSpan, Trace
from bridge.wire import signature
from bridge.wire.stream.media_stream import StreamFacts
from bridge.wire.stream.realtime_session import RealtimeTool

log = logging.getLogger(__name__)

MAX_OUTPUT: Final = 65_536
"""Bytes of a function's output; a longer one fails."""
HANG_UP_TOOL: Final = RealtimeTool(
    HANG_UP,
    "End the call. Say goodbye first: the call ends once the caller has heard it.",
    {"type": "object", "properties": {}},
)
ENDING_SECONDS: Final = 10.0
"""How long a call takes to end at most."""
STILL_THERE: Final = '{"hung_up":false,"reason":"the call did not end"}'
STILL_TALKING: Final = '{"hung_up":false,"reason":"the caller is speaking"}'


class StreamTools:
    """The functions of one stream."""

    def __init__(
        self,
        runner: CallRunner,
        facts: StreamFacts,
        settings: Realtime,
        *,
        session: Callable[[], Session],
        secrets: Sequence[str],
        trace: Trace = UNTRACED,
    ) -> None:
        """Requests go to the operator's own URL over `session`, signed with each of `secrets`, as spans of `trace`."""
        self._runner = runner
        self._facts = facts
        self._settings = settings
        self._session = session
        self._secrets = secrets
        self._trace = trace
        self._names = {tool.name for tool in settings.tools}

    async def call(self, name: str, arguments: str) -> str:
        """Run a function; return its output (`legs.stream_functions.CallFunction`).

        Raises:
            FunctionFailed: there is none of that name, or it has no output.
        """
        if name == HANG_UP and self._settings.hang_up:
            return await self._hang_up()
        if name not in self._names:
            raise FunctionFailed("there is no such function")
        body = {
            "callId": self._facts.call_id,
            "streamId": self._facts.stream_id,
            "name": name,
            "arguments": _object(arguments),
            "parameters": self._facts.parameters,
        }
        try:
            with self._span(name) as span:
                async with asyncio.timeout(self._settings.tool_seconds):
                    return await self._post(msgspec.json.encode(body), span)
        except TimeoutError:
            raise FunctionFailed(f"no answer within {self._settings.tool_seconds:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            log.info("stream.function_failed", extra={"error": type(error).__name__})
            raise FunctionFailed("its server cannot be reached") from error

    def _span(self, name: str) -> OpenSpan:
        attributes = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": name,
            "gen_ai.tool.type": "function",
            "gen_ai.conversation.id": self._trace.call_id,
        }
        url, leg_id = self._settings.tools_url, self._facts.stream_id
        return self._trace.request(f"execute_tool {name}", attributes, url=url, leg_id=leg_id)

    async def _post(self, body: bytes, span: OpenSpan) -> str:
        headers = {**span.headers, **self._headers(body)}
        request = self._session().post(
            self._settings.tools_url, data=body, headers=headers, allow_redirects=False
        )
        async with request as response:
            span.answered(response.status)
            if not 200 <= response.status < 300:
                raise FunctionFailed(f"its server answered with the status {response.status}")
            output = bytearray()
            async for piece in response.content.iter_any():
                output += piece
                if len(output) > MAX_OUTPUT:
                    raise FunctionFailed(f"its output is larger than {MAX_OUTPUT} bytes")
        return output.decode(errors="replace")

    def _headers(self, body: bytes) -> Mapping[str, str]:
        headers = {"Content-Type": "application/json"}
        if not self._secrets:
            return headers
        newest, *former = self._secrets
        identity = f"fn_{uuid.uuid4().hex}"
        return headers | dict(
            signature.standard(newest, identity, body, now=wall_time(), former=former)
        )

    async def _hang_up(self) -> str:
        leg = self._runner.leg(LegId(self._facts.stream_id))
        if isinstance(leg, StreamLeg) and not await leg.played():
            return STILL_TALKING
        await wait_for_last_words(self._runner)
        # With another party on our side the conversation is not over, only the model's part in it.
        alone = not self._runner.machine.legs.near()
        request = (
            events.HangupRequested()
            if alone
            else events.CloseRequested(LegId(self._facts.stream_id))
        )
        with suppress(BridgeError):
            self._runner.dispatch(request)
        # The stream's end cancels this; an output would make the model begin another reply.
        await asyncio.sleep(ENDING_SECONDS)
        return STILL_THERE


def _object(arguments: str) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(arguments or "{}")
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise FunctionFailed("the arguments are not a JSON object")
    return found
