"""The server of a mobile app: a call that rings at the bridge wakes the phones; the app that answers gets a ticket.

It has the bridge's key, so that the apps need none. deploy/push.md says how it works and what to set.
"""

import asyncio
import json
import logging
import os
from datetime import UTC, datetime, timedelta

from aiohttp import web
from bridge_client import Bridge, genuine
from calls import Calls, Logins
from pushes import Device, Push
from senders import http2, pushing

LOG = logging.getLogger("phones")
RING = timedelta(seconds=30)
"""A webhook that is later than that wakes nobody: the caller has hung up."""


class Phones:
    """The apps' push tokens, and the webhook that rings them."""

    def __init__(self, webhook_secret: str, push: Push, logins: Logins) -> None:
        self.secret, self.push, self.logins = webhook_secret, push, logins
        self.devices: dict[Device, str] = {}  # and whose they are; yours are in a database

    async def register(self, request: web.Request) -> web.Response:
        user = self.logins.user(request)
        self.devices[Device(**await request.json())] = user
        return web.Response(status=204)

    async def event(self, request: web.Request) -> web.Response:
        """Take a webhook; the bridge repeats it until the answer is 2xx."""
        body = await request.read()
        if not genuine(self.secret, request.headers.get("bridge-signature", ""), body):
            raise web.HTTPForbidden
        event = json.loads(body)
        late = datetime.now(UTC) - datetime.fromisoformat(event["createdAt"]) > RING
        if event["type"] == "call.ringing" and event["call"]["direction"] == "inbound" and not late:
            data = {"callId": event["callId"], "from": event["call"]["from"]}
            # Here every phone rings; yours are those of the user whose number event["call"]["to"] is.
            await asyncio.gather(*(self.ring(device, data) for device in list(self.devices)))
        return web.Response()

    async def ring(self, device: Device, data: dict[str, str]) -> None:
        try:
            if not await self.push(device, data):
                self.devices.pop(device, None)  # the app was removed from this phone
        except Exception:
            LOG.exception("a phone was not woken")  # the others are


def make_app(bridge: Bridge, webhook_secret: str, push: Push, logins: Logins) -> web.Application:
    phones, calls = Phones(webhook_secret, push, logins), Calls(bridge, logins)
    app = web.Application()
    app.router.add_post("/bridge/events", phones.event)
    app.router.add_post("/devices", phones.register)
    app.router.add_post("/calls", calls.dial)
    app.router.add_post("/calls/{call:[0-9A-F]{32}}/ticket", calls.join)
    app.router.add_post("/calls/{call:[0-9A-F]{32}}/{verb:answer|hangup}", calls.control)
    return app


if __name__ == "__main__":
    setting = os.environ
    bridge = Bridge(setting["BRIDGE_URL"], setting["BRIDGE_KEY"])
    users = dict(pair.split("=") for pair in setting["APP_LOGINS"].split())
    app = make_app(bridge, setting["WEBHOOK_SECRET"], pushing(setting, http2()), Logins(users))
    web.run_app(app, host="127.0.0.1", port=int(setting.get("PORT", "9000")))
