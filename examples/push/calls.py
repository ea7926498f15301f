"""What the app asks of its server about calls: a new one, a ticket for one, to answer it and to end it."""

from collections.abc import Mapping

from aiohttp import web
from bridge_client import Bridge

TICKET_SECONDS = 3600


class Logins:
    """Who the app's users are: your own login belongs here."""

    def __init__(self, users: Mapping[str, str]) -> None:
        self.users = users

    def user(self, request: web.Request) -> str:
        login = request.headers.get("authorization", "").removeprefix("Bearer ")
        if login not in self.users:
            raise web.HTTPUnauthorized
        return self.users[login]


class Calls:
    """Every user may join every call of the line; yours only those that are theirs."""

    def __init__(self, bridge: Bridge, logins: Logins) -> None:
        self.bridge, self.logins = bridge, logins

    async def dial(self, request: web.Request) -> web.Response:
        user, wanted = self.logins.user(request), await request.json()
        dialled = await self.bridge.ask("/call/dial", {"phone": wanted["phone"]})
        return await self.ticket(user, dialled["callId"])

    async def join(self, request: web.Request) -> web.Response:
        return await self.ticket(self.logins.user(request), request.match_info["call"])

    async def ticket(self, user: str, call: str) -> web.Response:
        """A ticket's legs belong to its identity: the next ticket of the same user controls them too."""
        wanted = {"ttl": TICKET_SECONDS, "identity": user}
        ticket = (await self.bridge.ask(f"/call/{call}/ticket", wanted))["ticket"]
        return web.json_response({"bridge": self.bridge.url, "callId": call, "ticket": ticket})

    async def control(self, request: web.Request) -> web.Response:
        """Answer the call, or end it. The first phone that answers has it, the next ones get 409."""
        self.logins.user(request)
        verb, call = request.match_info["verb"], request.match_info["call"]
        await self.bridge.ask(f"/call/{verb}", {"callId": call})
        return web.Response(status=204)
