"""An app's server: serves a page, and makes the calls that the page joins with LiveKit's client SDK."""

import os
import sys
from pathlib import Path

from aiohttp import ClientSession, web

FOLDER = Path(__file__).resolve().parent
SDK = FOLDER / "node_modules" / "livekit-client" / "dist" / "livekit-client.esm.mjs"
BRIDGE = f"http://127.0.0.1:{os.environ.get('BRIDGE_HTTP__PORT', '8080')}"
KEY = {"token": "demo"}
ECHO = "15550100001"


async def call(_: web.Request) -> web.Response:
    """Call the simulated contact that echoes; the page gets a token for this call, and the key stays here."""
    async with ClientSession(BRIDGE, headers=KEY, raise_for_status=True) as http:
        async with http.post("/call/dial", json={"phone": ECHO}) as dialled:
            call_id = (await dialled.json())["data"]["callId"]
        body = {"party": "near", "identity": "visitor"}
        async with http.post(f"/call/{call_id}/livekit", json=body) as joined:
            return web.json_response({"callId": call_id} | (await joined.json())["data"])


async def hang_up(request: web.Request) -> web.Response:
    """End a call."""
    body = {"callId": request.match_info["call"]}
    async with ClientSession(BRIDGE, headers=KEY) as http:
        await http.post("/call/hangup", json=body)  # 404 if the other party was faster
    return web.Response(status=204)


async def file(path: Path) -> web.FileResponse:
    return web.FileResponse(path)


def main() -> None:
    """Serve until Ctrl-C."""
    if not SDK.exists():
        sys.exit("The SDK is missing: npm ci --prefix examples/livekit")
    app = web.Application()
    app.router.add_get("/", lambda _: file(FOLDER / "index.html"))
    app.router.add_get("/livekit-client.mjs", lambda _: file(SDK))
    app.router.add_post("/calls", call)
    app.router.add_delete("/calls/{call}", hang_up)
    web.run_app(app, host="127.0.0.1", port=int(os.environ.get("PORT", "8765")))


if __name__ == "__main__":
    main()
