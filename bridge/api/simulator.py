"""The simulated contacts: who they are, and inbound calls from them."""

from typing import Annotated, Final

import msgspec
from msgspec import Struct

from bridge.api.fields import PHONE_ABOUT, field, read_phone
from bridge.api.operation import Context, Group
from bridge.call.model import CallDetails, LineName, Parties
from bridge.errors import InvalidState
from bridge.legs.simulator import CONTACTS

GROUP: Final = Group(name="Service")


class Contact(Struct):
    """A simulated contact."""

    number: str
    name: str
    description: str


class Contacts(Struct):
    """All simulated contacts."""

    contacts: list[Contact]


class Incoming(Struct):
    """Which contact calls, and which of the line's numbers; the first one by default."""

    from_: Annotated[str, field(PHONE_ABOUT, spellings=("From",), read=read_phone)] = msgspec.field(
        name="from"
    )
    to: Annotated[str, field(PHONE_ABOUT, spellings=("To",), read=read_phone)] | None = None


class Called(Struct, rename="camel"):
    """The call that rings."""

    call_id: str


@GROUP.get("/simulator/contacts")
async def contacts(_context: Context) -> Contacts:
    """List the simulated contacts."""
    return Contacts([Contact(one.number, one.name, one.description) for one in CONTACTS.values()])


@GROUP.post("/simulator/incoming", starts_call=True, errors=(404, 409, 502, 503))
async def incoming(context: Context, body: Incoming) -> Called:
    """Have a simulated contact call the line.

    `to` chooses one of the line's numbers.
    """
    line, services = context.line, context.services
    if not services.simulator.has(line):
        raise InvalidState("this line's WhatsApp provider is not the simulator")
    details = CallDetails(Parties(to=_own_number(context, line, body.to)))
    leg = services.simulator.inbound_leg(body.from_)
    runner = await services.manager.receive(line, body.from_, leg, details)
    return Called(runner.facts.call_id)


OPERATIONS: Final = (contacts, incoming)


def _own_number(context: Context, line: LineName, digits: str | None) -> str:
    """Return the line's number that is called, with `+`; empty when the request names none."""
    if digits is None:
        return ""
    number = f"+{digits}"
    context.services.policies[line].check_number(number, "to")
    return number
