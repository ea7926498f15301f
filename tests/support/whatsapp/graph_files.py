"""Meta's own recordings and transcripts: told by webhooks, downloaded at addresses that expire, and deleted."""

import base64
import hashlib
from typing import Any

from aiohttp import web

from bridge.wire.cloud_recordings import MediaKind
from tests.support.whatsapp.graph_style import Style
from tests.support.whatsapp.graph_webhooks import DoubleCall, moment

META_HOST = "https://lookaside.fbsbx.com"
ATTACHMENTS = "/whatsapp_business/attachments/"
_EVENTS = {
    MediaKind.RECORDING: ("call_recording_available", "call_recording", "audio"),
    MediaKind.TRANSCRIPT: ("call_transcription_available", "call_transcript", "document"),
}


class GraphFiles:
    """The files of all calls; `GraphDouble` has its routes."""

    def __init__(self, style: Style, token: str) -> None:
        self._style = style
        self._token = token
        self.url = ""
        """Of the server that has them."""
        self.at_meta = False
        """Addresses name Meta's host, whoever serves the files."""
        self.content: dict[str, bytes] = {}
        """By id; what is deleted is gone."""
        self.asked: list[tuple[str, str]] = []
        """`describe`, `download` or `delete`, and the id."""
        self.faults: dict[str, list[int]] = {}
        """By what is asked: statuses to answer instead, one for each time."""
        self.headers: dict[str, str] = {}
        """Of downloads, in addition."""
        self._issue = 0

    def expire(self) -> None:
        """Let all addresses that were told expire."""
        self._issue += 1

    def told(
        self, call: DoubleCall, kind: MediaKind, body: bytes, *, sha256: str = "", url: str = ""
    ) -> dict[str, Any]:
        """Keep a file of a call, and return the webhook about it."""
        event, outer, inner = _EVENTS[kind]
        media_id = str(1001 + len(self.content))
        self.content[media_id] = body
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
        file = {"id": media_id, "sha256": sha256 or digest, "url": url or self.address(media_id)}
        item = {"id": call.wacid, "from": call.user, "timestamp": moment(), "event": event}
        return {"calls": [item | {outer: {inner: file}}]}

    def address(self, media_id: str) -> str:
        """Return a fresh address."""
        host = META_HOST if self.at_meta else self.url
        return f"{host}{ATTACHMENTS}?mid={media_id}&issue={self._issue}"

    async def describe(self, request: web.Request) -> web.Response:
        """Answer with the address of a file."""
        media_id = request.match_info["number"]
        if refusal := self._refused("describe", media_id, request):
            return refusal
        return web.json_response({"id": media_id, "url": self.address(media_id)})

    async def delete(self, request: web.Request) -> web.Response:
        """Delete a file."""
        media_id = request.match_info["number"]
        if refusal := self._refused("delete", media_id, request):
            return refusal
        del self.content[media_id]
        return web.json_response({"success": True})

    async def download(self, request: web.Request) -> web.Response:
        """Answer with a file, at an address that has not expired."""
        media_id = request.query["mid"]
        if refusal := self._refused("download", media_id, request):
            return refusal
        if request.query["issue"] != str(self._issue):
            return web.Response(status=404)
        return web.Response(body=self.content[media_id], headers=self.headers)

    def _refused(self, what: str, media_id: str, request: web.Request) -> web.Response | None:
        self.asked.append((what, media_id))
        if faults := self.faults.get(what):
            status = faults.pop(0)
            return web.json_response(
                {"error": {"code": 2 if status >= 500 else 100}}, status=status
            )
        if not self._style.is_from(request.headers, self._token):
            return web.json_response({"error": {"code": 190}}, status=401)
        if media_id not in self.content:
            return web.json_response({"error": {"code": 100}}, status=400)
        return None
