"""The part of Meta's Graph API that calls need, for one number of one business.

No token, number, call id or session description is logged; `mask` names calls. A `connect` is retried
only if the request certainly was not sent, so that it begins one call at most; what accepts or ends a
call is retried after any failure.
"""

import asyncio
import hashlib
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

import aiohttp

from bridge.errors import WhatsAppError, WhatsAppRefused
from bridge.http.client import Http
from bridge.http.service_health import ServiceHealth
from bridge.whatsapp.graph_errors import error_of
from bridge.wire.cloud_people import Permission, read_permission

log = logging.getLogger(__name__)

ANSWER_SECONDS: Final = 10.0
CONNECT_SECONDS: Final = 20.0
"""Meta rings somebody before it answers `connect`."""
RETRY_DELAYS: Final = (0.2, 0.8)
MAX_OPAQUE: Final = 512
USAGE_HEADERS: Final = ("X-Business-Use-Case-Usage", "X-App-Usage")
NEVER_LEFT: Final = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
"""Raised when the request was not sent."""


@dataclass(frozen=True, slots=True)
class GraphAccess:
    """A number and its credentials."""

    phone_number_id: str
    access_token: str = field(repr=False)
    base_url: str = "https://graph.facebook.com"
    version: str = "v24.0"
    auth_header: str = "Authorization: Bearer {token}"
    path: str = "/{version}/{phone_number_id}{path}"
    settings_path: str = "/settings"
    announcements: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """`recording` and `transcription`, as `connect` and `accept` take them."""

    @property
    def headers(self) -> dict[str, str]:
        """The header of each request."""
        name, _, value = self.auth_header.partition(":")
        return {name: value.strip().replace("{token}", self.access_token)}

    def url(self, path: str) -> str:
        """Return the URL of the number (""), of something below it ("/calls"), or of a file elsewhere (its id)."""
        pattern = self.path
        if path and not path.startswith("/"):
            pattern, path = pattern.replace("/{phone_number_id}", ""), f"/{path}"
        known = {"version": self.version, "phone_number_id": self.phone_number_id, "path": path}
        whole = re.sub(r"\{(\w+)\}", lambda found: known[found[1]], pattern)
        return self.base_url.rstrip("/") + whole


class Graph:
    """The API of one number.

    Every request raises `WhatsAppRefused` when Meta refuses it (`PermissionRequired` for somebody who
    has not permitted calls), else `WhatsAppError` when it fails.
    """

    def __init__(self, access: GraphAccess, http: Http) -> None:
        self._http = http
        self._access = access
        self.announcements = access.announcements
        """What Meta announces to the other party of each call."""
        self.health = ServiceHealth()
        self._limited_until = 0.0
        """Until when Meta's rate limit allows no new requests, by the loop's clock."""

    async def connect(self, number: str, sdp: str, *, opaque: str = "") -> str:
        """Ring somebody, by digits or Meta's id of a person, with our offer; return the call's id.

        `opaque` is echoed in every webhook of the call; truncated to 512 characters.
        """
        self._check_rate_limit()
        body = _action("connect", sdp, "offer") | _recipient(number) | self._extras(opaque)
        answer = await self._send("POST", "/calls", body=body, seconds=CONNECT_SECONDS)
        wacid = _first_id(answer.get("calls"))
        if not wacid:
            raise WhatsAppError("Meta accepted the call, but gave it no id")
        return wacid

    async def pre_accept(self, wacid: str, sdp: str) -> None:
        """Send our answer, so that media can connect before anybody answers."""
        await self._act("pre_accept", wacid, _action("pre_accept", sdp, "answer"))

    async def accept(self, wacid: str, sdp: str, *, opaque: str = "") -> None:
        """Answer the call; the description must be that of `pre_accept`."""
        await self._act("accept", wacid, _action("accept", sdp, "answer") | self._extras(opaque))

    async def reject(self, wacid: str) -> None:
        """Decline an inbound call."""
        await self._act("reject", wacid, {"action": "reject"})

    async def terminate(self, wacid: str) -> None:
        """End a call; one that has ended is refused."""
        await self._act("terminate", wacid, {"action": "terminate"})

    async def permission(self, number: str) -> Permission:
        """Return whether somebody may be called."""
        self._check_rate_limit()
        key = "user_wa_id" if number.isdigit() else "recipient"
        return read_permission(await self.get("/call_permissions", {key: number}))

    async def ask_permission(
        self, number: str, *, text: str = "", template: Mapping[str, Any] | None = None
    ) -> str:
        """Ask somebody to permit calls, and return the message's id.

        `text` is delivered only within 24 hours of what the person last wrote. `template` is a
        template message instead, in Meta's form (`name`, `language`, …).
        """
        self._check_rate_limit()
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
        return _first_id((await self._send("POST", "/messages", body=body)).get("messages"))

    async def send_text(self, number: str, text: str) -> None:
        """Send a text message, delivered only within 24 hours of the person's last message or call."""
        self._check_rate_limit()
        message = {"messaging_product": "whatsapp", "recipient_type": "individual"}
        content = {"type": "text", "text": {"preview_url": False, "body": text}}
        await self._send("POST", "/messages", body={**message, **_recipient(number), **content})

    async def settings(self, *, credentials: bool = False) -> Mapping[str, Any]:
        """Return the number's settings, on demand with the password of its SIP server."""
        query = {"include_sip_credentials": "true"} if credentials else {}
        return await self.get(self._access.settings_path, query)

    async def change_settings(self, calling: Mapping[str, Any]) -> None:
        """Change some of the number's calling settings."""
        path = self._access.settings_path
        await self._send("POST", path, body={"calling": calling}, retry=True)

    async def get(self, path: str, query: Mapping[str, str]) -> Mapping[str, Any]:
        """Get something of the number's; "" is the number itself."""
        return await self._send("GET", path, query=query, retry=True)

    async def file(self, media_id: str) -> Mapping[str, Any]:
        """Get what Meta says of a file, with a fresh `url`."""
        return await self._send("GET", media_id, retry=True)

    async def delete_file(self, media_id: str) -> None:
        """Delete a file at Meta."""
        answer = await self._send("DELETE", media_id, retry=True)
        if answer.get("success") is False:
            raise WhatsAppError("Meta did not delete the file")

    async def _act(self, action: str, wacid: str, body: Mapping[str, Any]) -> None:
        whole = {"messaging_product": "whatsapp", "call_id": wacid, **body}
        answer = await self._send("POST", "/calls", body=whole, retry=True)
        if answer.get("success") is False:
            raise WhatsAppError(f"Meta did not perform {action}")
        log.info("whatsapp.done", extra={"action": action, "wacid": mask(wacid)})

    async def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        seconds: float = ANSWER_SECONDS,
        retry: bool = False,
    ) -> Mapping[str, Any]:
        """Send a request; `retry` after a failure even if it may have arrived."""
        ambiguous = False
        named = path.removeprefix("/") if path.startswith("/") else "file" if path else "number"
        action = str((body or {}).get("action", "")) or named
        for attempt, delay in enumerate((*RETRY_DELAYS, None), 1):
            log.debug("whatsapp.request", extra={"action": action, "attempt": attempt})
            try:
                async with asyncio.timeout(seconds):
                    return await self._send_once(method, path, query, body)
            except WhatsAppRefused as refused:
                if ambiguous and refused.status == HTTPStatus.BAD_REQUEST and method == "POST":
                    # The first attempt succeeded, although its response was lost.
                    return {}
                raise
            except WhatsAppError:
                if delay is None or not retry:
                    raise
                ambiguous = True
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                unsent = isinstance(error, NEVER_LEFT)
                if delay is None or not (retry or unsent):
                    timed_out = isinstance(error, TimeoutError)
                    failure = WhatsAppError(
                        "Meta did not answer in time" if timed_out else "Meta cannot be reached"
                    )
                    self.health.failed(failure)
                    raise failure from None
                ambiguous = ambiguous or not unsent
            await asyncio.sleep(delay)
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
            self._access.url(path),
            params=query,
            json=body,
            headers=self._access.headers,
            allow_redirects=False,
        ) as response:
            raw = await response.read()
            wait = self._read_rate_limit(response.headers)
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
                self.health.failed(failure)
                raise failure
            self.health.answered()
            return answer

    def _extras(self, opaque: str) -> dict[str, Any]:
        echoed = {"biz_opaque_callback_data": opaque[:MAX_OPAQUE]} if opaque else {}
        return {**echoed, **self.announcements}

    def _check_rate_limit(self) -> None:
        """Refuse new requests while Meta's rate limit lasts."""
        left = self._limited_until - asyncio.get_running_loop().time()
        if left > 0:
            raise error_of(
                HTTPStatus.TOO_MANY_REQUESTS, {"error": {"code": 80007}}, retry_after=int(left) + 1
            )

    def _read_rate_limit(self, headers: Mapping[str, str]) -> int | None:
        """Return for how many seconds Meta's rate limit lasts; None if it does not say."""
        text = headers.get("Retry-After", "")
        seconds = float(text) if text.isdecimal() else 0.0
        seconds = max(seconds, *(_usage_seconds(headers.get(name)) for name in USAGE_HEADERS))
        if seconds <= 0:
            return None
        until = asyncio.get_running_loop().time() + seconds
        self._limited_until = max(self._limited_until, until)
        return int(seconds)


def mask(wacid: str) -> str:
    """Return a short name for a call; its id may contain the person's number."""
    return hashlib.sha256(wacid.encode()).hexdigest()[:12]


def _action(action: str, sdp: str, kind: str) -> dict[str, Any]:
    return {
        "messaging_product": "whatsapp",
        "action": action,
        "session": {"sdp_type": kind, "sdp": sdp},
    }


def _recipient(number: str) -> dict[str, str]:
    return {"to": number} if number.isdigit() else {"recipient": number}


def _first_id(entries: object) -> str:
    """Return the id of the first entry of a list; empty if it has none."""
    first = entries[0] if isinstance(entries, list) and entries else None
    found = first.get("id") if isinstance(first, dict) else None
    return found if isinstance(found, str) else ""


def _usage_seconds(header: str | None) -> float:
    """Return the seconds until a usage header allows requests again; 0 for now.

    An app's is an object of figures, a business's has lists of them by account.
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
