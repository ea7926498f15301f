"""Meta's Graph API, as far as calls need it: one number of one business.

Nothing here logs a token, a number, a call's id or a session description; `mask` names calls.
A call is begun at most once for each `connect`: only where the request certainly never left is it
sent again. What ends or accepts a call is sent again after a failure, since Meta punishes silence.
"""

import asyncio
import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

import aiohttp

from bridge.errors import WhatsAppError, WhatsAppRefused
from bridge.net.graph_errors import error_of
from bridge.net.http import Http
from bridge.wire.cloud import Permission, read_permission

log = logging.getLogger(__name__)

ANSWER_SECONDS: Final = 10.0
CONNECT_SECONDS: Final = 20.0
"""Meta rings somebody before it answers to `connect`."""
PAUSES: Final = (0.2, 0.8)
"""Before a request is sent again."""
MAX_OPAQUE: Final = 512
USAGE_HEADERS: Final = ("X-Business-Use-Case-Usage", "X-App-Usage")
NEVER_LEFT: Final = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
"""The request was not sent when these are raised."""


@dataclass(frozen=True, slots=True)
class GraphAccess:
    """A number, and the right to act for it."""

    phone_number_id: str
    access_token: str = field(repr=False)
    base_url: str = "https://graph.facebook.com"
    version: str = "v24.0"
    announcements: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """`recording` and `transcription` as Meta's `connect` and `accept` take them."""


class Graph:
    """A number's way to Meta."""

    def __init__(self, access: GraphAccess, http: Http) -> None:
        """Make a way.

        Args:
            access: the number and its token.
            http: the process's outgoing HTTP.
        """
        self._http = http
        self._number = f"{access.base_url.rstrip('/')}/{access.version}/{access.phone_number_id}"
        self.announcements = access.announcements
        """What Meta announces to the other party of each call."""
        self._headers = {"Authorization": f"Bearer {access.access_token}"}
        self._rest_until = 0.0
        """Meta wants to be asked nothing new before this moment of the loop's clock."""

    async def connect(self, number: str, sdp: str, *, opaque: str = "") -> str:
        """Ring somebody with our offer, and give the call's id.

        Args:
            number: digits, or Meta's id of a person.
            sdp: the offer.
            opaque: comes back in every webhook of the call; cut off after 512 characters.

        Raises:
            PermissionRequired, WhatsAppRefused, WhatsAppError.
        """
        self._check_rest()
        body = _action("connect", sdp, "offer") | _recipient(number) | self._extras(opaque)
        answer = await self._post("/calls", body, seconds=CONNECT_SECONDS)
        calls = answer.get("calls")
        first = calls[0] if isinstance(calls, list) and calls else None
        wacid = first.get("id") if isinstance(first, dict) else None
        if not isinstance(wacid, str) or not wacid:
            raise WhatsAppError("Meta took the call, but gave it no id")
        return wacid

    async def pre_accept(self, wacid: str, sdp: str) -> None:
        """Give Meta our answer, so that media can connect before anybody answers.

        Raises:
            WhatsAppRefused, WhatsAppError.
        """
        await self._act("pre_accept", wacid, _action("pre_accept", sdp, "answer"))

    async def accept(self, wacid: str, sdp: str, *, opaque: str = "") -> None:
        """Answer the call; the description must be that of `pre_accept`.

        Raises:
            WhatsAppRefused, WhatsAppError.
        """
        await self._act("accept", wacid, _action("accept", sdp, "answer") | self._extras(opaque))

    async def reject(self, wacid: str) -> None:
        """Decline a call that rings us.

        Raises:
            WhatsAppRefused: the call is over, or was answered.
            WhatsAppError.
        """
        await self._act("reject", wacid, {"action": "reject"})

    async def terminate(self, wacid: str) -> None:
        """End a call.

        Raises:
            WhatsAppRefused: it is over already, among other reasons.
            WhatsAppError.
        """
        await self._act("terminate", wacid, {"action": "terminate"})

    async def permission(self, number: str) -> Permission:
        """Ask whether somebody may be called.

        Raises:
            WhatsAppRefused, WhatsAppError.
        """
        self._check_rest()
        key = "user_wa_id" if number.isdigit() else "recipient"
        return read_permission(await self.get("/call_permissions", {key: number}))

    async def ask_permission(
        self, number: str, *, text: str = "", template: Mapping[str, Any] | None = None
    ) -> str:
        """Ask somebody to permit calls, and give the message's id.

        Args:
            number: digits.
            text: what to say; only within 24 hours of what the person last wrote.
            template: a template message in Meta's words instead (`name`, `language`, …).

        Raises:
            WhatsAppRefused, WhatsAppError.
        """
        self._check_rest()
        message = {"messaging_product": "whatsapp", "recipient_type": "individual", "to": number}
        content: dict[str, Any] = {
            "type": "call_permission_request",
            "action": {"name": "call_permission_request"},
        }
        if text:
            content["body"] = {"text": text}
        body = (
            {**message, "type": "template", "template": template}
            if template
            else {**message, "type": "interactive", "interactive": content}
        )
        return await self._message(body)

    async def send_text(self, number: str, text: str) -> str:
        """Send somebody a text message, and return its id.

        Args:
            number: digits, or Meta's name of one who hides them.
            text: what to say; Meta passes it on within 24 hours of what the person last wrote or rang.

        Raises:
            WhatsAppRefused, WhatsAppError.
        """
        self._check_rest()
        message = {"messaging_product": "whatsapp", "recipient_type": "individual"}
        content = {"type": "text", "text": {"preview_url": False, "body": text}}
        return await self._message({**message, **_recipient(number), **content})

    async def _message(self, body: Mapping[str, Any]) -> str:
        answer = await self._post("/messages", body)
        messages = answer.get("messages")
        first = messages[0] if isinstance(messages, list) and messages else {}
        return str(first.get("id", "")) if isinstance(first, dict) else ""

    async def settings(self) -> Mapping[str, Any]:
        """Give the number's settings, as Meta shows them.

        Raises:
            WhatsAppRefused, WhatsAppError.
        """
        return await self.get("/settings", {})

    async def change_settings(self, calling: Mapping[str, Any]) -> None:
        """Change some of the number's calling settings.

        Raises:
            WhatsAppRefused, WhatsAppError.
        """
        await self._post("/settings", {"calling": calling}, again=True)

    async def get(self, path: str, query: Mapping[str, str]) -> Mapping[str, Any]:
        """Get something of the number's; "" is the number itself.

        Raises:
            WhatsAppRefused, WhatsAppError.
        """
        return await self._send("GET", path, query=query, again=True)

    async def _act(self, action: str, wacid: str, body: Mapping[str, Any]) -> None:
        whole = {"messaging_product": "whatsapp", "call_id": wacid, **body}
        answer = await self._post("/calls", whole, again=True)
        if answer.get("success") is False:
            raise WhatsAppError(f"Meta did not perform {action}")
        log.info("whatsapp.done", extra={"action": action, "wacid": mask(wacid)})

    async def _post(
        self,
        path: str,
        body: Mapping[str, Any],
        *,
        seconds: float = ANSWER_SECONDS,
        again: bool = False,
    ) -> Mapping[str, Any]:
        return await self._send("POST", path, body=body, seconds=seconds, again=again)

    async def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        seconds: float = ANSWER_SECONDS,
        again: bool,
    ) -> Mapping[str, Any]:
        """Send a request, and once more after a failure; `again` says it may have arrived."""
        doubtful = False
        action = str((body or {}).get("action", "")) or path.removeprefix("/") or "number"
        for attempt, pause in enumerate((*PAUSES, None), 1):
            log.debug("whatsapp.asked", extra={"action": action, "attempt": attempt})
            try:
                async with asyncio.timeout(seconds):
                    return await self._send_once(method, path, query, body)
            except WhatsAppRefused as refused:
                if doubtful and refused.status == HTTPStatus.BAD_REQUEST and method == "POST":
                    # The first attempt did it, although its answer never came.
                    return {}
                raise
            except WhatsAppError:
                if pause is None or not again:
                    raise
                doubtful = True
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                unsent = isinstance(error, NEVER_LEFT)
                if pause is None or not (again or unsent):
                    raise _unreachable(error) from None
                doubtful = doubtful or not unsent
            await asyncio.sleep(pause)
        raise AssertionError("unreachable")

    async def _send_once(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: Mapping[str, Any] | None,
    ) -> Mapping[str, Any]:
        async with self._http.trusted().request(
            method,
            self._number + path,
            params=query,
            json=body,
            headers=self._headers,
            allow_redirects=False,
        ) as response:
            raw = await response.read()
            wait = self._heed(response.headers)
            try:
                answer: object = json.loads(raw)
            except (ValueError, RecursionError):
                answer = None
            if response.status != HTTPStatus.OK or not isinstance(answer, dict):
                failure = error_of(response.status, answer, retry_after=wait)
                log.warning(
                    "whatsapp.refused",
                    extra={"status": response.status, "meta_code": failure.meta_code},
                )
                raise failure
            return answer

    def _extras(self, opaque: str) -> dict[str, Any]:
        given = {"biz_opaque_callback_data": opaque[:MAX_OPAQUE]} if opaque else {}
        return {**given, **self.announcements}

    def _check_rest(self) -> None:
        """Ask Meta for nothing new while it wants to be left alone."""
        left = self._rest_until - asyncio.get_running_loop().time()
        if left > 0:
            raise error_of(
                HTTPStatus.TOO_MANY_REQUESTS, {"error": {"code": 80007}}, retry_after=int(left) + 1
            )

    def _heed(self, headers: Mapping[str, str]) -> int | None:
        """Read how long Meta wants to be left alone, in seconds; None where it does not say."""
        seconds = max(_retry_after(headers), *(_rest(headers.get(name)) for name in USAGE_HEADERS))
        if seconds <= 0:
            return None
        until = asyncio.get_running_loop().time() + seconds
        self._rest_until = max(self._rest_until, until)
        return int(seconds)


def mask(wacid: str) -> str:
    """Give a short name for a call of Meta's, whose id may hold the person's number."""
    return hashlib.sha256(wacid.encode()).hexdigest()[:12]


def _action(action: str, sdp: str, kind: str) -> dict[str, Any]:
    return {
        "messaging_product": "whatsapp",
        "action": action,
        "session": {"sdp_type": kind, "sdp": sdp},
    }


def _recipient(number: str) -> dict[str, str]:
    return {"to": number} if number.isdigit() else {"recipient": number}


def _retry_after(headers: Mapping[str, str]) -> float:
    text = headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else 0.0


def _rest(header: str | None) -> float:
    """Seconds until Meta takes requests again, from a usage header; 0 where it takes them now.

    Of an app it is an object of figures, of a business lists of them by account.
    """
    try:
        usage: object = json.loads(header or "{}")
    except (ValueError, RecursionError):
        return 0.0
    if not isinstance(usage, dict):
        return 0.0
    figures: list[object] = [usage]
    for each in usage.values():
        figures += each if isinstance(each, list) else []
    minutes = [
        figure.get("estimated_time_to_regain_access", 0)
        for figure in figures
        if isinstance(figure, dict)
    ]
    return 60.0 * max((m for m in minutes if isinstance(m, int | float)), default=0)


def _unreachable(error: Exception) -> WhatsAppError:
    if isinstance(error, TimeoutError):
        return WhatsAppError("Meta did not answer in time")
    return WhatsAppError("Meta cannot be reached")
