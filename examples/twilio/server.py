"""A media-stream server as Twilio's tutorials write it: says back what the caller says, and reports keys."""

import json
import os

from aiohttp import WSMsgType, web
from twilio.request_validator import RequestValidator

PORT = int(os.environ.get("PORT", "8765"))
SECRET = os.environ.get("STREAM_SECRET", "")
"""With Twilio the auth token of the account; with the bridge `secret` of [lines.NAME.stream]."""


async def stream(request: web.Request) -> web.WebSocketResponse:
    """Serve one call."""
    url = f"ws://{request.host}{request.path_qs}"
    signature = request.headers.get("X-Twilio-Signature", "")
    if SECRET and not RequestValidator(SECRET).validate(url, {}, signature):
        raise web.HTTPForbidden(text="the signature does not match")
    ws = web.WebSocketResponse()
    await ws.prepare(request)
    async for message in ws:
        if message.type is WSMsgType.TEXT:
            for reply in replies(json.loads(message.data)):
                await ws.send_json(reply)
    print("the stream is closed", flush=True)
    return ws


def replies(message: dict) -> list[dict]:
    """Return what is sent back for a message."""
    stream_sid = message.get("streamSid")
    match message["event"]:
        case "start":
            start = message["start"]
            print("call", start["callSid"], start["customParameters"], flush=True)
            return [{"event": "mark", "streamSid": stream_sid, "mark": {"name": "ready"}}]
        case "media":
            payload = message["media"]["payload"]
            return [{"event": "media", "streamSid": stream_sid, "media": {"payload": payload}}]
        case "dtmf":
            print("key", message["dtmf"]["digit"], flush=True)
            return [{"event": "clear", "streamSid": stream_sid}]
        case "mark":
            print("played up to mark", message["mark"]["name"], flush=True)
        case "stop":
            print("the call has ended", flush=True)
    return []


if __name__ == "__main__":
    app = web.Application()
    app.router.add_get("/media", stream)
    web.run_app(app, host="127.0.0.1", port=PORT, print=None)
