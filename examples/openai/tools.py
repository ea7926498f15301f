"""Run the functions that the model calls: the bridge posts each call here, and hands the answer to the model."""

import base64
import hmac
import os
import time

from aiohttp import web

PORT = int(os.environ.get("PORT", "8765"))
SECRET = b"a-secret-that-only-the-examples-have"  # of [lines.demo.stream] in bridge.toml
OLDEST_SECONDS = 300
REPAIRS = {"17": "finished; it costs 40 euros", "18": "waiting for a spare part until Friday"}


async def tools(request: web.Request) -> web.Response:
    """Run one function."""
    if not is_from_the_bridge(request, await request.read()):
        raise web.HTTPForbidden(text="the signature does not match")
    call = await request.json()
    print(call["name"], call["arguments"], flush=True)
    match call:
        case {"name": "repair_status", "arguments": {"number": str(number)}}:
            return web.json_response({"status": REPAIRS.get(number, "there is no such number")})
    raise web.HTTPNotFound(text="there is no such function")


def is_from_the_bridge(request: web.Request, body: bytes) -> bool:
    """Check the signature of a request (standardwebhooks.com)."""
    sent_at = request.headers.get("webhook-timestamp", "0")
    if not sent_at.isdigit() or abs(time.time() - int(sent_at)) > OLDEST_SECONDS:
        return False
    signed = f"{request.headers.get('webhook-id')}.{sent_at}.".encode() + body
    signature = base64.b64encode(hmac.digest(SECRET, signed, "sha256")).decode()
    signatures = request.headers.get("webhook-signature", "").split()
    return any(hmac.compare_digest(one, f"v1,{signature}") for one in signatures)


if __name__ == "__main__":
    app = web.Application()
    app.router.add_post("/tools", tools)
    web.run_app(app, host="127.0.0.1", port=PORT, print=None)
