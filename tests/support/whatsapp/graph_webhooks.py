"""Meta's webhooks: signed, sent again when they are not taken in time, several in one delivery."""

import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from bridge.wire.cloud import signature
from tests.support.virtual_time import monotonic
from tests.support.whatsapp.graph_style import META, Style

NUMBER_ID = "900800700600500"
BUSINESS = "15550101000"
USER = "15550102222"
SECRET = "an-app-secret"


@dataclass
class DoubleCall:
    """One call at Meta's: `RINGING`, `PRE`, `ACTIVE`, `ENDED`."""

    wacid: str
    inbound: bool
    media: Any
    """A `MetaPeer` or a `LightMeta`."""
    state: str = "RINGING"
    pre_accepted: str = ""
    actions: list[str] = field(default_factory=list)
    user: str = USER
    began: float = field(default_factory=monotonic)
    started: float = 0.0
    """Unix time at which it was answered."""
    active_at: float = 0.0
    """Likewise, in monotonic seconds."""
    opaque: str = ""


class Webhooks:
    """Where Meta tells the business what happens."""

    def __init__(self, style: Style = META) -> None:
        self.style = style
        self.url = ""
        self.rings = ""
        """Where those that begin a call are posted instead, if it is set."""
        self.duplicates = 1
        """How often each delivery is sent."""
        self.patience = 20.0
        """How long an answer may take before the delivery counts as failed."""
        self.retries = 0
        """How often a delivery that failed is sent again."""
        self.answers: list[int] = []
        """The statuses of all answers; 0 for one that did not come in time."""

    async def post(self, http: aiohttp.ClientSession, *changes: dict[str, Any]) -> list[int]:
        """Post one signed delivery, and return the statuses of its answers."""
        entries = [{"id": "100200300400500", "changes": [change]} for change in changes]
        document = {"object": "whatsapp_business_account", "entry": entries}
        body = json.dumps(document, ensure_ascii=True).encode()
        where = (any(map(_rings, changes)) and self.rings) or self.url
        return [await self._deliver(http, where, body) for _ in range(self.duplicates)]

    async def _deliver(self, http: aiohttp.ClientSession, where: str, body: bytes) -> int:
        signed = self.style.signature_prefix + signature(body, SECRET).removeprefix("sha256=")
        headers = {self.style.signature_header: signed, "Content-Type": "application/json"}
        status = 0
        for _ in range(1 + self.retries):
            try:
                async with (
                    asyncio.timeout(self.patience),
                    http.post(where, data=body, headers=headers) as answer,
                ):
                    status = answer.status
            except (aiohttp.ClientError, TimeoutError):
                status = 0
            self.answers.append(status)
            if status == 200:
                break
            await asyncio.sleep(0.05)
        return status


def _rings(change: dict[str, Any]) -> bool:
    """Whether a user's offer is in it."""
    calls = change["value"].get("calls", ())
    return any(
        "session" in call and call.get("direction") != "BUSINESS_INITIATED" for call in calls
    )


def change(value: dict[str, Any], *, name: str = "calls") -> dict[str, Any]:
    """Write one change as a delivery holds it."""
    metadata = {"display_phone_number": BUSINESS, "phone_number_id": NUMBER_ID}
    return {
        "field": name,
        "value": {"messaging_product": "whatsapp", "metadata": metadata, **value},
    }


def connect_value(call: DoubleCall, sdp: str, kind: str, **more: Any) -> dict[str, Any]:
    """Tell of a session description."""
    item = _item(call, "connect") | {"session": {"sdp": sdp, "sdp_type": kind}} | more
    contact = {"profile": {"name": "Nadia Ü"}, "wa_id": call.user}
    return {"contacts": [contact], "calls": [_without_nothing(item)]}


def status_value(call: DoubleCall, status: str) -> dict[str, Any]:
    """Tell how far a call of the business has come."""
    item = {"id": call.wacid, "type": "call", "status": status, "timestamp": moment()}
    item |= {"recipient_id": call.user}
    return {"statuses": [item | _opaque(call)]}


def terminate_value(
    call: DoubleCall, *, code: int = 0, documented: bool = False, **more: Any
) -> dict[str, Any]:
    """Tell of the end; with a code it failed, in the words as captured or as documented."""
    item = _item(call, "terminate") | {"status": "FAILED" if code else "COMPLETED"} | more
    if call.started:
        end, began = int(time.time()), int(call.started)
        item |= {"start_time": str(began), "end_time": str(end), "duration": end - began}
    if not code:
        return {"calls": [item]}
    error: dict[str, Any] = {"code": code, "message": "No media", "error_data": {"details": "why"}}
    if documented:
        return {"calls": [item], "errors": [error | {"href": "https://example.com/errors"}]}
    error |= {"title": "No media"}
    return {"calls": [item | {"errors": [error]}], "errors": [error]}


def moment() -> str:
    """The time as Meta writes it."""
    return str(int(time.time()))


def _item(call: DoubleCall, event: str) -> dict[str, Any]:
    direction = "USER_INITIATED" if call.inbound else "BUSINESS_INITIATED"
    ends = (call.user, BUSINESS) if call.inbound else (BUSINESS, call.user)
    item = {"id": call.wacid, "event": event, "timestamp": moment(), "direction": direction}
    return item | {"from": ends[0], "to": ends[1]} | _opaque(call)


def _opaque(call: DoubleCall) -> dict[str, str]:
    return {"biz_opaque_callback_data": call.opaque} if call.opaque else {}


def _without_nothing(item: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is None: Meta does not send every field of every call."""
    return {name: value for name, value in item.items() if value is not None}
