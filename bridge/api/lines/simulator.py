"""The simulated contacts: who they are, and inbound calls from them."""

from typing import Annotated, Final

import msgspec
from msgspec import Struct

from bridge.api.server.fields import PHONE_ABOUT, field, read_phone
from bridge.api.server.operation import Context, Group
from bridge.api.server.services import CONTROL, LINES
from bridge.call.model import CallDetails, LineName, Parties
from bridge.call.parties import PSTN
from bridge.errors import BridgeError, InvalidState
from bridge.legs.simulator import CONTACTS, TELEPHONE
from bridge.legs.sip import SipLeg

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
async def contacts(context: Context) -> Contacts:
    """List the simulated contacts, and one of their telephones where no trunk takes its number."""
    own_trunk = context[LINES].policies[context.line].trunk is not None
    known = [*CONTACTS.values(), *([] if own_trunk else [TELEPHONE])]
    return Contacts([Contact(one.number, one.name, one.description) for one in known])


@GROUP.post("/simulator/incoming", starts_call=True, errors=(404, 409, 502, 503))
async def incoming(context: Context, body: Incoming) -> Called:
    """Have a simulated contact call the line.

    `to` chooses one of the line's numbers.
    """
    line = context.line
    if not context[LINES].simulator.has(line):
        raise InvalidState("this line's WhatsApp provider is not the simulator")
    own = _own_number(context, line, body.to)
    if context[LINES].policies[line].simulates_telephone(body.from_):
        return Called(await _telephone(context, body.from_, own))
    leg = context[LINES].simulator.leg(body.from_, inbound=True)
    runner = await context[CONTROL].manager.receive(
        line, body.from_, leg, CallDetails(Parties(to=own))
    )
    return Called(runner.facts.call_id)


async def _telephone(context: Context, number: str, own: str) -> str:
    """Have a simulated telephone call the line; return the id of the call."""
    leg = await context[LINES].telephones.incoming_leg(number, own)
    details = CallDetails(Parties(to=own, from_channel=PSTN, to_channel=PSTN))
    try:
        runner = await context[CONTROL].manager.receive(context.line, number, leg, details)
    except BridgeError:
        if isinstance(leg, SipLeg):
            await leg.aclose()
        raise
    return runner.facts.call_id


def _own_number(context: Context, line: LineName, digits: str | None) -> str:
    """Return the line's number that is called, with `+`; empty when the request names none."""
    if digits is None:
        return ""
    number = f"+{digits}"
    context[LINES].policies[line].check_number(number, "to")
    return number
