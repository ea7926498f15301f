"""Meta's Graph API as the bridge sees it: calls, permissions, settings and signed webhooks.

Its media is a `MetaPeer` for each call. What Meta would punish is kept in `complaints`.
"""

import asyncio
import itertools
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.support.peers.meta_peer import MetaPeer
from tests.support.virtual_time import monotonic
from tests.support.whatsapp import graph_settings
from tests.support.whatsapp.graph_files import ATTACHMENTS, GraphFiles
from tests.support.whatsapp.graph_style import META, Style
from tests.support.whatsapp.graph_webhooks import (
    BUSINESS,
    NUMBER_ID,
    SECRET,
    USER,
    DoubleCall,
    Webhooks,
    change,
    connect_value,
    status_value,
    terminate_value,
)

__all__ = [
    "BUSINESS",
    "NUMBER_ID",
    "SECRET",
    "TOKEN",
    "USER",
    "VERIFY",
    "DoubleCall",
    "GraphDouble",
]

TOKEN, VERIFY = "a-token", "a-verify-token"
NO_MEDIA = 138021
REFUSALS = {
    "expired": (401, 190, "Error validating access token: it has expired"),
    "sip": (400, 131055, "Method not allowed: SIP is enabled"),
    "off": (401, 138000, "Calling is not enabled for this number"),
    "broken": (500, 2, "Service temporarily unavailable"),
}
"""What each switch in `GraphDouble.broken` makes Meta answer."""


@dataclass
class RetryPolicy:
    """How long Meta waits, in seconds."""

    answer: float = 45.0
    """For somebody to answer a call that rings the business."""
    first_media: float = 20.0
    """For the business's first packet."""
    media: float = 30.0
    """For its next one."""


class GraphDouble:
    """The server; use as `async with GraphDouble() as graph`, then set `webhook`."""

    def __init__(
        self,
        *,
        media: Callable[[], Any] | None = None,
        patience: RetryPolicy | None = None,
        style: Style = META,
        **form: Any,
    ) -> None:
        """Make it.

        Args:
            media: makes the media of a call; None for a `MetaPeer`.
            patience: how long it waits.
            style: who stands in front of Meta.
            form: what `MetaPeer` takes.
        """
        self.style = style
        self.webhooks = Webhooks(style)
        self.files = GraphFiles(style, TOKEN)
        self.calls: dict[str, DoubleCall] = {}
        self.requests: list[tuple[str, Any]] = []
        """Path without the number's id, and body, of all that was asked."""
        self.complaints: list[str] = []
        self.faults: dict[str, list[tuple[int, Any]]] = {}
        """By action: answers to give instead, one for each time."""
        self.broken: set[str] = set()
        """Switches (`REFUSALS`) that make it refuse everything, until they are off."""
        self.slow_seconds: dict[str, float] = {}
        """By action: how long the answer takes, after the work is done."""
        self.early_answer = False
        """Send the connect webhook before the reply to `connect`."""
        self.reordered = False
        """Tell that a telephone rings before the answer to our offer."""
        self.no_media = False
        """Media servers neither hear nor say anything."""
        self.permitted = True
        self.settings: dict[str, Any] = {"calling": {"status": "DISABLED"}}
        self.patience = patience or RetryPolicy()
        self._media = media or (lambda: MetaPeer(**form))
        self._numbers = itertools.count(1)
        self._stack = AsyncExitStack()
        self._posts: set[asyncio.Task[None]] = set()
        application = web.Application()
        settings = style.route(style.settings_path)
        application.add_routes(
            [
                web.post(style.route("/calls"), self._calls),
                web.post(style.route("/messages"), self._messages),
                web.get(style.route("/call_permissions"), self._permissions),
                web.get(settings, self._get_settings),
                web.post(settings, self._set_settings),
                *(web.get(one, self._number) for one in {style.route(""), style.file_route}),
                web.delete(style.file_route, self.files.delete),
                web.get(ATTACHMENTS, self.files.download),
            ]
        )
        self._server = TestServer(application)

    async def __aenter__(self) -> "GraphDouble":
        await self._stack.enter_async_context(self._server)
        self._http = await self._stack.enter_async_context(aiohttp.ClientSession())
        self._patrol = asyncio.create_task(self._watch())
        self.files.url = str(self._server.make_url("/")).rstrip("/")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._patrol.cancel()
        with suppress(asyncio.CancelledError):
            await self._patrol
        for call in self.calls.values():
            self._inspect(call)
            await call.media.aclose()
        await self.wait_idle()
        await self._stack.aclose()

    async def wait_idle(self) -> None:
        """Wait until every webhook is delivered; before the business that takes them is closed."""
        await asyncio.gather(*self._posts, return_exceptions=True)

    @property
    def url(self) -> str:
        """What `base_url` is to be."""
        return str(self._server.make_url(self.style.prefix)).rstrip("/")

    @property
    def webhook(self) -> str:
        """Where signed events are posted."""
        return self.webhooks.url

    @webhook.setter
    def webhook(self, url: str) -> None:
        self.webhooks.url = url

    @property
    def last(self) -> DoubleCall:
        return list(self.calls.values())[-1]

    def actions(self) -> list[str]:
        """The call actions that were asked for, in their order."""
        return [body["action"] for path, body in self.requests if path == "calls"]

    # The person

    async def ring(self, *, end_first: bool = False, user: str = USER, **more: Any) -> DoubleCall:
        """Let somebody ring the business; the end may be told before the beginning.

        Args:
            end_first: tell the end before the beginning.
            user: who rings.
            more: fields of the webhook's call; None leaves one out.
        """
        call = self.begin(inbound=True, user=user)
        if end_first:
            await self.hang_up(call)
        await self.tell(connect_value(call, await call.media.offer(), "offer", **more))
        return call

    async def pick_up(self, call: DoubleCall) -> None:
        """Let the person that we ring take the call."""
        self._answered(call)
        call.media.accepted()
        await self.tell_status(call, "ACCEPTED")

    async def hang_up(self, call: DoubleCall, **more: Any) -> None:
        """Let the person end the call, or Meta for a reason (`terminate_value`)."""
        call.state = "ENDED"
        await self.tell(terminate_value(call, **more))

    # Webhooks

    async def tell_status(self, call: DoubleCall, status: str) -> None:
        await self.tell(status_value(call, status))

    async def tell(self, *values: dict[str, Any], field: str = "calls") -> list[int]:
        """Post one signed delivery of these values, and return the statuses of the answers."""
        changes = [change(value, name=field) for value in values]
        return await self.webhooks.post(self._http, *changes)

    def begin(self, *, inbound: bool, user: str) -> DoubleCall:
        wacid = f"wacid.EXAMPLE{next(self._numbers)}=="
        media = self._media()
        if self.no_media:
            media.vanish()
        call = self.calls[wacid] = DoubleCall(wacid, inbound, media, user=user)
        return call

    def _answered(self, call: DoubleCall) -> None:
        call.state, call.started, call.active_at = "ACTIVE", time.time(), monotonic()

    async def _watch(self) -> None:
        """End the calls that Meta would have no more patience with."""
        while True:
            await asyncio.sleep(0.05)
            now = monotonic()
            for call in list(self.calls.values()):
                await self._judge(call, now)

    async def _judge(self, call: DoubleCall, now: float) -> None:
        waits, last = self.patience, call.media.last_heard
        if call.state == "ACTIVE" and last is None:
            if now - call.active_at > waits.first_media:
                await self._drop(call, "no packet came in time")
        elif call.state == "ACTIVE":
            if now - max(last, call.active_at) > waits.media:
                await self._drop(call, "no packet came for too long")
        elif call.state != "ENDED" and call.inbound and now - call.began > waits.answer:
            await self.hang_up(call)

    async def _drop(self, call: DoubleCall, complaint: str) -> None:
        if not self.no_media:
            self.complaints.append(complaint)
        await self.hang_up(call, code=NO_MEDIA)

    def _inspect(self, call: DoubleCall) -> None:
        media = call.media
        self.complaints += media.complaints
        if media.early_packets:
            self.complaints.append("sound came before the call was accepted")
        if len(media.ssrcs) > 1:
            self.complaints.append("more than one SSRC")

    # HTTP

    def _check(self, request: web.Request, name: str) -> web.Response | None:
        if not self.style.is_from(request.headers, TOKEN):
            return _error(*REFUSALS["expired"])
        if request.match_info.get("number", NUMBER_ID) != NUMBER_ID:
            return _error(400, 100, "Unsupported request: the object does not exist")
        if faults := self.faults.get(name):
            status, answer = faults.pop(0)
            return web.json_response(answer, status=status)
        for switch in sorted(self.broken):
            return _error(*REFUSALS[switch])
        return None

    async def _calls(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.requests.append(("calls", body))
        action = body["action"]
        if graph_settings.sip_is_on(self.settings):
            return _error(*REFUSALS["sip"])
        if refusal := self._check(request, action):
            return refusal
        if action == "connect":
            answer = await self._connect(body)
        else:
            answer = await self._act(action, body)
        await asyncio.sleep(self.slow_seconds.get(action, 0.0))
        if action == "accept" and answer.status == 200:
            # Not before the business can know.
            self.calls[body["call_id"]].media.accepted()
        return answer

    async def _connect(self, body: dict[str, Any]) -> web.Response:
        if not self.permitted:
            return _error(401, 138006, "No approved call permission from the recipient")
        live = [c for c in self.calls.values() if not c.inbound and c.state != "ENDED"]
        if any(call.user == body["to"] for call in live):
            return _error(400, 138003, "There is a call with this user")
        if detail := _wrong(body.get("session", {}), "offer"):
            return _error(400, 100, "Invalid parameter", detail)
        call = self.begin(inbound=False, user=body["to"])
        call.opaque = body.get("biz_opaque_callback_data", "")
        answer = await call.media.answer(body["session"]["sdp"])
        told = [connect_value(call, answer, "answer"), status_value(call, "RINGING")]
        if self.reordered:
            told.reverse()
        if self.early_answer:
            for value in told:
                await self.tell(value)
        else:
            self._posts.add(asyncio.create_task(self._tell_later(told)))
        return web.json_response({"messaging_product": "whatsapp", "calls": [{"id": call.wacid}]})

    async def _tell_later(self, values: list[dict[str, Any]]) -> None:
        await asyncio.sleep(0.05)
        for value in values:
            await self.tell(value)

    async def _act(self, action: str, body: dict[str, Any]) -> web.Response:
        call = self.calls.get(body.get("call_id", ""))
        if call is None:
            return _error(400, 100, "Invalid parameter", "call_id is unknown")
        call.actions.append(action)
        allowed = {
            "pre_accept": call.inbound and call.state == "RINGING",
            "accept": call.inbound and call.state in {"RINGING", "PRE"},
            "reject": call.inbound and call.state in {"RINGING", "PRE"},
            "terminate": call.state != "ENDED",
        }
        if not allowed[action]:
            return _error(400, 100, "Invalid parameter", f"{action} while {call.state}")
        if action in {"pre_accept", "accept"}:
            sdp = body.get("session", {}).get("sdp", "")
            if detail := _wrong(body.get("session", {}), "answer"):
                self.complaints.append(detail)
                return _error(400, 100, "Invalid parameter", detail)
            if action == "accept" and call.pre_accepted not in {"", sdp}:
                self.complaints.append("the SDP changed between pre_accept and accept")
                return _error(400, 100, "Invalid parameter", "the SDP has changed")
            if not call.pre_accepted:
                await call.media.take_answer(sdp)
            call.pre_accepted = sdp
        call.state = "PRE" if action == "pre_accept" else "ENDED"
        if action == "accept":
            call.opaque = body.get("biz_opaque_callback_data", "")
            self._answered(call)
        return web.json_response({"messaging_product": "whatsapp", "success": True})

    async def _messages(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.requests.append(("messages", body))
        return self._check(request, "messages") or web.json_response(
            {"messaging_product": "whatsapp", "messages": [{"id": "wamid.EXAMPLE"}]}
        )

    async def _permissions(self, request: web.Request) -> web.Response:
        self.requests.append(("call_permissions", dict(request.query)))
        status = "temporary" if self.permitted else "no_permission"
        permission = {"status": status, "expiration_time": 1790600000}
        actions = [{"action_name": "start_call", "can_perform_action": self.permitted}]
        return self._check(request, "call_permissions") or web.json_response(
            {"messaging_product": "whatsapp", "permission": permission, "actions": actions}
        )

    async def _get_settings(self, request: web.Request) -> web.Response:
        wanted = request.query.get("include_sip_credentials") == "true"
        shown = graph_settings.show(self.settings, credentials=wanted)
        return self._check(request, "settings") or web.json_response(shown)

    async def _set_settings(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.requests.append(("settings", body))
        if refusal := self._check(request, "settings"):
            return refusal
        if wrong := graph_settings.change(self.settings, body["calling"]):
            return _error(400, 100, "Invalid parameter", wrong)
        return web.json_response({"success": True})

    async def _number(self, request: web.Request) -> web.Response:
        if request.match_info.get("number", NUMBER_ID) != NUMBER_ID:
            return await self.files.describe(request)
        told: dict[str, Any] = {"id": NUMBER_ID, "display_phone_number": "+1 555-010-1000"}
        if request.query.get("fields") == "health_status":
            told |= graph_settings.health(self.settings)
        return self._check(request, "number") or web.json_response(told)


def _wrong(session: dict[str, Any], kind: str) -> str:
    sdp = session.get("sdp", "")
    checks = {
        f"sdp_type must be {kind}": session.get("sdp_type") == kind,
        "exactly one m=audio": sdp.count("m=audio") == 1,
        "a fingerprint": "a=fingerprint:" in sdp,
        "only sha-256 fingerprints": sdp.count("a=fingerprint") == sdp.count("int:sha-256"),
        "opus/48000": "opus/48000" in sdp,
        "no ice-lite": "a=ice-lite" not in sdp,
        "CRLF": "\n" not in sdp.replace("\r\n", ""),
    }
    return ", ".join(name for name, good in checks.items() if not good)


def _error(status: int, code: int, message: str, details: str = "") -> web.Response:
    error: dict[str, Any] = {"message": f"(#{code}) {message}", "type": "OAuthException"}
    error |= {"code": code, "fbtrace_id": "AbCdEf"}
    if details:
        error["error_data"] = {"details": details}
    return web.json_response({"error": error}, status=status)
