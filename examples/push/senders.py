"""Both vendors behind one function, and the HTTP/2 client that reaches them."""

import json
from collections.abc import Mapping
from pathlib import Path

from apns import Apns
from fcm import Fcm
from pushes import Data, Device, Push, Send


def pushing(setting: Mapping[str, str], send: Send) -> Push:
    """Return what wakes phones, set up by environment variables; deploy/push.md has a table of them."""
    fcm = Fcm(json.loads(Path(setting["FCM_ACCOUNT_FILE"]).read_text()), send)
    key = Path(setting["APNS_KEY_FILE"]).read_text()
    app = setting["APNS_KEY_ID"], setting["APNS_TEAM_ID"], setting["APNS_BUNDLE_ID"]
    apns = Apns(key, *app, send)
    apns.url = setting.get("APNS_URL", apns.url)

    async def push(device: Device, data: Data) -> bool:
        return await (apns if device.platform == "ios" else fcm).push(device, data)

    return push


def http2() -> Send:
    """Return a sender that keeps its connections: APNs takes a new one for each push as an attack."""
    import httpx2  # `pip install 'httpx2[http2]'`; aiohttp speaks HTTP/1.1 only, APNs HTTP/2

    client = httpx2.AsyncClient(http2=True, timeout=10)

    async def send(url: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        response = await client.post(url, headers=headers, content=body)
        return response.status_code, response.content

    return send
