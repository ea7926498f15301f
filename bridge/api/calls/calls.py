"""Call control, the native API: dial, answer, hang up, mute, digits, status, quality."""

from dataclasses import replace
from functools import partial
from typing import Annotated, Final, Literal

from msgspec import UNSET, Struct, UnsetType

from bridge.api.calls import render
from bridge.api.media.media_socket import StreamUrl
from bridge.api.media.webrtc import PARTIES
from bridge.api.server.fields import CallBody, CallId, Digits, LegId, Peer, field
from bridge.api.server.hangup import After, hangup_request
from bridge.api.server.listing import find_call, recorded_calls, timelines_of
from bridge.api.server.operation import CALL, TICKET, Context, Done, Group
from bridge.api.server.services import CONTROL, LINES, NODE, RECORDS, SITE
from bridge.call import events, model
from bridge.call.model import MachineDetection
from bridge.call.parties import WEBRTC, WHATSAPP
from bridge.call.transcript import Transcribe
from bridge.errors import InvalidRequest
from bridge.slices import in_steps

GROUP: Final = Group(name="Native")
CALLS_AT_ONCE: Final = 10
"""Calls written before the event loop does something else."""


class Dial(Struct, rename="camel"):
    """Whom to call."""

    phone: Annotated[Peer, field(spellings=("Phone",))] | None = None
    channel: (
        Annotated[
            Literal["whatsapp", "webrtc", "pstn"],
            field(
                "`whatsapp`; `webrtc` calls nobody and needs no `phone`; `pstn` is the telephone network, "
                "over the line's SIP trunk. Omitted: `whatsapp`"
            ),
        ]
        | UnsetType
    ) = UNSET
    machine_detection: Annotated[
        MachineDetection,
        field(
            "whether a person or an answering machine answers: `report` sends "
            "`call.machine_detected`, `hangup` also hangs up on a machine"
        ),
    ] = MachineDetection.OFF
    transcribe: Annotated[
        Transcribe,
        field(
            "`after`: record the call, and transcribe it after its end; `live`: phrase by phrase "
            "while it goes on"
        ),
    ] = Transcribe.OFF
    video: bool | None = None


class Dialled(Struct, rename="camel"):
    """A call that has been made."""

    call_id: str
    video: bool = False
    stream_url: StreamUrl | UnsetType = UNSET


class Hangup(CallBody, rename="camel"):
    """Which call to end, and when."""

    after: After = UNSET


class Calls(Struct):
    """Live calls."""

    calls: list[render.Call]


class Mute(Struct, rename=render.camel):
    """What to remove from what the far party hears, or to add again."""

    call_id: CallId
    muted: Annotated[bool, field(spellings=("Muted",))]
    leg_id: LegId | None = None


class Muted(Struct):
    """Whether it is muted now."""

    muted: bool
    ok: bool = True


class Dtmf(Struct, rename="camel"):
    """Digits for the far party."""

    call_id: CallId
    digits: Digits


class Since(Struct):
    """Which part of a timeline to return."""

    since: Annotated[float, field("cuts the timeline; seconds", ge=0, le=1e9)] = 0.0


@GROUP.post("/call/dial", starts_call=True, errors=(404, 409, 501, 502, 503))
async def dial(context: Context, body: Dial) -> Dialled:
    """Call a number, or open a call for a far party in a browser."""
    line, manager = context.line, context[CONTROL].manager
    if body.channel == WEBRTC:
        runner = await manager.open(line, model.CallDetails(trace=context.trace))
    else:
        channel, policy = body.channel or "", context[LINES].policies[line]
        # Without a trunk the line's only way out is WhatsApp, whose terms then are the answer.
        only = () if policy.trunk else (WHATSAPP,)
        policy.check_route(channel, *only, number=body.phone or "")
        if body.phone is None:
            raise InvalidRequest("missing phone in payload", field="phone")
        details = model.CallDetails(
            model.Parties(to_channel=channel),
            machine_detection=body.machine_detection,
            transcribe=body.transcribe,
            trace=context.trace,
        )
        if body.transcribe is not Transcribe.OFF:
            context[RECORDS].transcripts.check(line)
        runner = await manager.dial(line, body.phone, details)
    call_id = runner.facts.call_id
    return Dialled(call_id, stream_url=context[SITE].stream_url(call_id))


@GROUP.get("/call/status", needs_enabled_line=True)
async def status(context: Context) -> Calls:
    """List the line's live calls."""
    live = await recorded_calls(context)
    shown = (render.call(record, recording=recording) for record, recording in live)
    took = partial(context[NODE].metrics.steps.took, "list")
    return Calls([call async for call in in_steps(shown, took, at_once=CALLS_AT_ONCE)])


@GROUP.post("/call/answer", needs_enabled_line=True, errors=(*CALL, 503))
async def answer(context: Context, body: CallBody) -> Done:
    """Answer an inbound call."""
    context[CONTROL].manager.request(context.line, body.call_id, events.AnswerRequested())
    return Done()


@GROUP.post("/call/hangup", needs_enabled_line=True, errors=(*CALL, 503))
async def hangup(context: Context, body: Hangup) -> Done:
    """End a call in any state; a ringing one is declined or cancelled.

    The answer comes at once, with `"after": "speech"` too: `call.ended` says when the call has ended. Until then
    a hang-up without `after` ends it at once.
    """
    context[CONTROL].manager.request(context.line, body.call_id, hangup_request(body.after))
    return Done()


@GROUP.post("/call/mute", needs_enabled_line=True, errors=CALL)
async def mute(context: Context, body: Mute) -> Muted:
    """Remove a near leg, or all of them, from what the far party hears; or add it again."""
    wanted = events.MuteRequested(muted=body.muted, leg_id=body.leg_id or None)
    context[CONTROL].manager.request(context.line, body.call_id, wanted)
    return Muted(body.muted)


@GROUP.post("/call/dtmf", needs_enabled_line=True, errors=(*CALL, 501))
async def dtmf(context: Context, body: Dtmf) -> Done:
    """Send digits to the far party."""
    wanted = events.DigitsRequested(body.digits)
    context[CONTROL].manager.request(context.line, body.call_id, wanted)
    return Done()


@GROUP.get("/call/{callId}/quality", auth=TICKET, errors=(404, 502))
async def quality(context: Context, query: Since) -> render.CallQuality:
    """Return a call's statistics, live or ended.

    A ticket sees its own party's legs, until the call ends.
    """
    access = context.access
    report = await find_call(context)
    record = report.record
    access.check_call_lives(ended=record.reason is not None)
    timelines = await timelines_of(context, record)
    if access.ticket is not None:
        party = PARTIES[access.ticket.party][0]
        record = replace(record, legs=tuple(leg for leg in record.legs if leg.party is party))
        timelines = tuple(leg for leg in timelines if leg.last.party is party)
    return render.quality(record, timelines, since=query.since)
