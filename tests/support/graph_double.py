"""Meta's Graph API as the bridge sees it: calls, permissions, settings and signed webhooks.

Its media is a `MetaPeer` for each call. What Meta would punish is kept in `complaints`.
"""

import asyncio
import itertools
import json
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from bridge.wire.whatsapp import SIGNATURE_HEADER, signature
from tests.support.meta_peer import MetaPeer

NUMBER_ID = "900800700600500"
BUSINESS = "15550101000"
USER = "15550102222"
TOKEN, SECRET, VERIFY = "a-token", "an-app-secret", "a-verify-token"


@dataclass
class DoubleCall:
    """One call at Meta's: `RINGING`, `PRE`, `ACTIVE`, `ENDED`."""

    wacid: str
    inbound: bool
    media: MetaPeer
    state: str = "RINGING"
    pre_accepted: str = ""
    actions: list[str] = field(default_factory=list)
    user: str = USER
    started: float = 0.0
    opaque: str = ""


class GraphDouble:
    """The server; use as `async with GraphDouble() as graph`, then set `webhook`."""

    def __init__(self, **media: Any) -> None:
        self.webhook = ""
        """Where signed events are posted."""
        self.calls: dict[str, DoubleCall] = {}
        self.requests: list[tuple[str, Any]] = []
        """Path without the number's id, and body, of all that was asked."""
        self.complaints: list[str] = []
        self.faults: dict[str, list[tuple[int, Any]]] = {}
        """By action: answers to give instead, one for each time."""
        self.slow_seconds: dict[str, float] = {}
        """By action: how long the answer takes, after the work is done."""
        self.early_answer = False
        """Send the connect webhook before the reply to `connect`."""
        self.duplicates = 1
        """How often each webhook is sent."""
        self.permitted = True
        self.settings: dict[str, Any] = {"calling": {"status": "DISABLED"}}
        self._media = media
        self._numbers = itertools.count(1)
        self._stack = AsyncExitStack()
        self._posts: set[asyncio.Task[None]] = set()
        application = web.Application()
        root = f"/{{version}}/{NUMBER_ID}"
        application.add_routes(
            [
                web.post(f"{root}/calls", self._calls),
                web.post(f"{root}/messages", self._messages),
                web.get(f"{root}/call_permissions", self._permissions),
                web.get(f"{root}/settings", self._get_settings),
                web.post(f"{root}/settings", self._set_settings),
                web.get(root, self._number),
            ]
        )
        self._server = TestServer(application)

    async def __aenter__(self) -> "GraphDouble":
        await self._stack.enter_async_context(self._server)
        self._http = await self._stack.enter_async_context(aiohttp.ClientSession())
        return self

    async def __aexit__(self, *_: object) -> None:
        for call in self.calls.values():
            self._inspect(call)
            await call.media.aclose()
        await asyncio.gather(*self._posts, return_exceptions=True)
        await self._stack.aclose()

    @property
    def url(self) -> str:
        """What `base_url` is to be."""
        return str(self._server.make_url("")).rstrip("/")

    @property
    def last(self) -> DoubleCall:
        return list(self.calls.values())[-1]

    def actions(self) -> list[str]:
        """The call actions that were asked for, in their order."""
        return [body["action"] for path, body in self.requests if path == "calls"]

    # The person

    async def ring(self, *, end_first: bool = False, **more: Any) -> DoubleCall:
        """Let somebody ring the business; the end may be told before the beginning."""
        media = MetaPeer(**self._media)
        call = self._begin(media, inbound=True)
        if end_first:
            await self.hang_up(call)
        await self.tell(self.connect_event(call, await media.offer(), "offer", **more))
        return call

    async def pick_up(self, call: DoubleCall) -> None:
        """Let the person that we ring take the call."""
        call.state = "ACTIVE"
        call.started = time.time()
        call.media.accepted()
        await self.tell_status(call, "ACCEPTED")

    async def hang_up(self, call: DoubleCall, **more: Any) -> None:
        """Let the person end the call."""
        call.state = "ENDED"
        await self.tell(self.terminate_event(call, **more))

    # Webhooks

    async def tell_status(self, call: DoubleCall, status: str) -> None:
        item = {"id": call.wacid, "type": "call", "status": status, "timestamp": _now()}
        await self.tell({"statuses": [{**item, "recipient_id": call.user}]})

    async def tell(self, value: dict[str, Any], *, field: str = "calls") -> list[int]:
        """Post a signed webhook, and give the statuses of the answers."""
        metadata = {"display_phone_number": BUSINESS, "phone_number_id": NUMBER_ID}
        whole = {"messaging_product": "whatsapp", "metadata": metadata, **value}
        entry = {"id": "100200300400500", "changes": [{"field": field, "value": whole}]}
        body = json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()
        headers = {SIGNATURE_HEADER: signature(body, SECRET), "Content-Type": "application/json"}
        statuses = []
        for _ in range(self.duplicates):
            async with self._http.post(self.webhook, data=body, headers=headers) as answer:
                statuses.append(answer.status)
        return statuses

    def connect_event(self, call: DoubleCall, sdp: str, kind: str, **more: Any) -> dict[str, Any]:
        item = self._item(call, "connect") | {"session": {"sdp": sdp, "sdp_type": kind}} | more
        contact = {"profile": {"name": "Nadia Ü"}, "wa_id": call.user}
        return {"contacts": [contact], "calls": [item]}

    def terminate_event(self, call: DoubleCall, **more: Any) -> dict[str, Any]:
        item = self._item(call, "terminate") | {"status": "COMPLETED"} | more
        if call.started:
            end = int(time.time())
            began = int(call.started)
            item |= {"start_time": str(began), "end_time": str(end), "duration": end - began}
        return {"calls": [item]}

    def _item(self, call: DoubleCall, event: str) -> dict[str, Any]:
        direction = "USER_INITIATED" if call.inbound else "BUSINESS_INITIATED"
        ends = (call.user, BUSINESS) if call.inbound else (BUSINESS, call.user)
        item = {"id": call.wacid, "event": event, "timestamp": _now(), "direction": direction}
        item |= {"from": ends[0], "to": ends[1]}
        return item | ({"biz_opaque_callback_data": call.opaque} if call.opaque else {})

    def _begin(self, media: MetaPeer, *, inbound: bool) -> DoubleCall:
        wacid = f"wacid.EXAMPLE{next(self._numbers)}=="
        call = self.calls[wacid] = DoubleCall(wacid, inbound, media)
        return call

    def _inspect(self, call: DoubleCall) -> None:
        self.complaints += call.media.complaints
        if call.media.early_packets:
            self.complaints.append("sound came before the call was accepted")
        if len(call.media.ssrcs) > 1:
            self.complaints.append("more than one SSRC")

    # HTTP

    def _check(self, request: web.Request, name: str) -> web.Response | None:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return _error(401, 190, "Error validating access token: it has expired")
        if faults := self.faults.get(name):
            status, answer = faults.pop(0)
            return web.json_response(answer, status=status)
        return None

    async def _calls(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.requests.append(("calls", body))
        action = body["action"]
        if refusal := self._check(request, action):
            return refusal
        if action == "connect":
            answer = await self._connect(body)
        else:
            answer = await self._act(action, body)
        await asyncio.sleep(self.slow_seconds.get(action, 0.0))
        return answer

    async def _connect(self, body: dict[str, Any]) -> web.Response:
        if not self.permitted:
            return _error(401, 138006, "No approved call permission from the recipient")
        live = [c for c in self.calls.values() if not c.inbound and c.state != "ENDED"]
        if any(call.user == body["to"] for call in live):
            return _error(400, 138003, "There is a call with this user")
        if detail := _wrong(body.get("session", {}), "offer"):
            return _error(400, 100, "Invalid parameter", detail)
        call = self._begin(MetaPeer(**self._media), inbound=False)
        call.user, call.opaque = body["to"], body.get("biz_opaque_callback_data", "")
        answer = await call.media.answer(body["session"]["sdp"])
        event = self.connect_event(call, answer, "answer")
        if self.early_answer:
            await self.tell(event)
            await self.tell_status(call, "RINGING")
        else:
            post = asyncio.create_task(self._tell_later(call, event))
            self._posts.add(post)
        return web.json_response({"messaging_product": "whatsapp", "calls": [{"id": call.wacid}]})

    async def _tell_later(self, call: DoubleCall, event: dict[str, Any]) -> None:
        await asyncio.sleep(0.05)
        await self.tell(event)
        await self.tell_status(call, "RINGING")

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
        call.state = {"pre_accept": "PRE", "accept": "ACTIVE"}.get(action, "ENDED")
        if action == "accept":
            call.started = time.time()
            call.media.accepted()
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
        return self._check(request, "settings") or web.json_response(self.settings)

    async def _set_settings(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.requests.append(("settings", body))
        if refusal := self._check(request, "settings"):
            return refusal
        self.settings["calling"] |= body["calling"]
        return web.json_response({"success": True})

    async def _number(self, request: web.Request) -> web.Response:
        told = {"id": NUMBER_ID, "display_phone_number": "+1 555-010-1000"}
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


def _now() -> str:
    return str(int(time.time()))
