"""The simulated contacts: who they are, and letting one ring us."""

from aiohttp import web

from bridge.api import render
from bridge.api.body import Body, read_body
from bridge.api.services import SERVICES
from bridge.call.model import CallDetails, LineName, Parties
from bridge.errors import InvalidState
from bridge.legs.simulator import CONTACTS


async def contacts(request: web.Request) -> web.Response:
    """List the contacts, for the page's picker."""
    request.app[SERVICES].keys.line(request)
    listed = [
        {"number": contact.number, "name": contact.name, "description": contact.description}
        for contact in CONTACTS.values()
    ]
    return render.success({"contacts": listed})


async def incoming(request: web.Request) -> web.Response:
    """Make a contact ring the key's line."""
    line = request.app[SERVICES].keys.line(request)
    body = await read_body(request)
    number = body.phone("from", "From")
    simulator = request.app[SERVICES].simulator
    if not simulator.has(line):
        raise InvalidState("this line's WhatsApp provider is not the simulator")
    manager = request.app[SERVICES].manager
    details = CallDetails(Parties(to=_called(request, line, body)))
    leg = simulator.inbound_leg(number)
    runner = await manager.receive(line, number, leg, details)
    return render.success({"callId": runner.facts.call_id})


def _called(request: web.Request, line: LineName, body: Body) -> str:
    """Return the line's number that is rung, with `+`; empty where the request names none."""
    if not body.has("to", "To"):
        return ""
    number = f"+{body.phone('to', 'To')}"
    request.app[SERVICES].policies[line].check_number(number, "to")
    return number
