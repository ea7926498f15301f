"""Test calls: how a call of a client would sound, before there is one."""

from typing import Annotated, Final

from msgspec import Struct

from bridge.api.media.webrtc import NEAR
from bridge.api.server.fields import field
from bridge.api.server.operation import TICKET, Context, Done, Group
from bridge.api.server.services import ACCESS, CONTROL
from bridge.call import events
from bridge.errors import CallNotFound, Forbidden
from bridge.node.calls.connection_tests import TEST_SECONDS

GROUP: Final = Group(name="Native")


class EchoCall(Struct, rename="camel"):
    """A call that echoes."""

    call_id: str
    ticket: Annotated[str, field("opens this call as tickets do, until it ends")]
    seconds: Annotated[float, field("after which the call ends by itself")] = TEST_SECONDS


@GROUP.post("/call/test", auth=TICKET, starts_call=True, errors=(404, 409, 502, 503))
async def open_test(context: Context) -> EchoCall:
    """Open a call that sends back what it hears, to test a connection before a real call.

    Nobody is called: it needs no provider. It has no events, is neither listed nor recorded, is
    forgotten at its end, and ends by itself; `limits.tests_per_line` limits how many there are. A
    ticket opens one too, while its call lives, but not the ticket of a test call.
    """
    access = context.access
    if access.ticket is not None:
        of = context[CONTROL].manager.record(access.line, access.ticket.call_id)
        access.check_call_lives(ended=of.reason is not None)
        if of.facts.details.test:
            raise Forbidden(
                "a ticket of a test call cannot start another one; send the key or ticket that started it"
            )
    runner = await context[CONTROL].connection_tests.open(access.line)
    call_id = runner.facts.call_id
    ticket, _ = context[ACCESS].tickets.issue(
        access.line, call_id, round(TEST_SECONDS), party=NEAR, identity=""
    )
    return EchoCall(call_id, ticket)


@GROUP.delete("/call/test/{callId}", auth=TICKET, errors=(404, 502))
async def end_test(context: Context) -> Done:
    """End a test call, with its ticket or a key."""
    manager = context[CONTROL].manager
    line = context.access.line_for(context.call_id)
    if not manager.record(line, context.call_id).facts.details.test:
        raise CallNotFound("there is no such test call")
    manager.request(line, context.call_id, events.HangupRequested())
    return Done()
