"""The simulated contacts: who they are, and letting one ring us."""

from typing import Protocol

from aiohttp import web

from bridge.api import render
from bridge.api.body import Body, read_body
from bridge.api.faces.chirp.parties import APPS
from bridge.api.keys import KEYS, MANAGER
from bridge.call.model import CallDetails, LegId, LineName, Parties
from bridge.errors import InvalidState
from bridge.legs.base import Leg, new_leg_id
from bridge.legs.simulator import CONTACTS


class Simulator(Protocol):
    """Makes the leg of a contact that rings us."""

    def has(self, line: LineName) -> bool:
        """Whether the line's provider is the simulator."""
        ...

    def ring(self, number: str, leg_id: LegId) -> Leg:
        """Give the leg of a contact that rings us."""
        ...


SIMULATOR: web.AppKey[Simulator] = web.AppKey("simulator")


async def contacts(request: web.Request) -> web.Response:
    """List the contacts, for the page's picker."""
    request.app[KEYS].line(request)
    listed = [
        {"number": contact.number, "name": contact.name, "description": contact.description}
        for contact in CONTACTS.values()
    ]
    return render.success({"contacts": listed})


async def incoming(request: web.Request) -> web.Response:
    """Make a contact ring the key's line."""
    line = request.app[KEYS].line(request)
    body = await read_body(request)
    number = body.phone("from", "From")
    simulator = request.app[SIMULATOR]
    if not simulator.has(line):
        raise InvalidState("this line's WhatsApp provider is not the simulator")
    manager = request.app[MANAGER]
    details = CallDetails(Parties(to=_called(request, line, body)))
    leg = simulator.ring(number, new_leg_id())
    runner = await manager.receive(line, number, leg, details)
    return render.success({"callId": runner.facts.call_id})


def _called(request: web.Request, line: LineName, body: Body) -> str:
    """Return the line's number that is rung, with `+`; empty where the request names none."""
    if not body.has("to", "To"):
        return ""
    number, app = f"+{body.phone('to', 'To')}", request.app[APPS][line]
    if number not in app.numbers:
        raise app.refuse("to")
    return number
