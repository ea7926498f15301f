"""The parties of a live call, the native API: hold, transfer, and more of them."""

from typing import Annotated, Final, Literal

from msgspec import UNSET, Struct, UnsetType

from bridge.api.calls.render import camel
from bridge.api.server.fields import CallId, LegId, Peer, Url, field
from bridge.api.server.operation import CALL, Context, Done, Group
from bridge.api.server.services import CONTROL, MEDIA
from bridge.call import events, model
from bridge.errors import InvalidRequest
from bridge.node.calls.participants import add_participant, remove_participant

GROUP: Final = Group(name="Native")
MAX_IDENTITY: Final = 128


class Hold(Struct, rename=camel):
    """Whom to hold, and the music for it."""

    call_id: CallId
    leg_id: Annotated[model.LegId, field("one party; without it all far parties")] | None = None
    music_url: Annotated[Url, field("a sound, played again and again")] | None = None
    asset_id: Annotated[str, field("the same, of POST /api/v1/call-audio-assets")] | None = None


class Unhold(Struct, rename=camel):
    """Whom to hold no longer."""

    call_id: CallId
    leg_id: Annotated[model.LegId, field("one party; without it all")] | None = None


class Held(Struct):
    """Whether they are held now."""

    held: bool
    ok: Literal[True] = True


Channel = Annotated[Literal["whatsapp", "pstn"], field("as in `POST /call/dial`")]


class Transfer(Struct, rename=camel):
    """To whom to transfer a call; exactly one of `phone`, `identity` and `legID` is named."""

    call_id: CallId
    phone: Annotated[Peer, field("is called", spellings=("Phone",))] | None = None
    channel: Channel | UnsetType = UNSET
    identity: (
        Annotated[
            str,
            field(
                "somebody in a browser, invited: joins with a ticket of the party `transfer`",
                max_length=MAX_IDENTITY,
            ),
        ]
        | None
    ) = None
    leg_id: (
        Annotated[model.LegId, field("a far party that has answered: our side leaves")] | None
    ) = None
    waiting_url: (
        Annotated[Url, field("played to the other party while `phone` rings; else a tone")] | None
    ) = None
    announcement_url: (
        Annotated[Url, field("played to the new party before the two are joined")] | None
    ) = None


class Transferred(Struct, rename=camel):
    """A transfer that has begun."""

    leg_id: (
        Annotated[str, field("the new party, or the one that was asked to call it")] | UnsetType
    ) = UNSET
    ok: Literal[True] = True


class NewParticipant(Struct, rename="camel"):
    """Whom to ring for a call."""

    call_id: CallId
    phone: Annotated[Peer, field("required", spellings=("Phone",))] | None = None
    channel: Channel | UnsetType = UNSET


class Participant(Struct, rename=camel):
    """A party of a call."""

    call_id: CallId
    leg_id: LegId


class Added(Struct, rename=camel):
    """A party that is being called."""

    leg_id: str
    ok: Literal[True] = True


@GROUP.post("/call/hold", needs_enabled_line=True, errors=(*CALL, 422, 503))
async def hold(context: Context, body: Hold) -> Held:
    """Hold the call, or one party of it: it hears music only, and nobody hears it.

    Without `musicUrl` and `assetId` the line's `hold_music` is played; where there is none it
    hears silence, and a telephone is told that it is held.
    """
    runner = context.live_call(body.call_id)
    context[CONTROL].holds.check(runner)
    if body.music_url and body.asset_id:
        raise InvalidRequest("expected one of musicUrl, assetId", field="assetId")
    music = None
    if body.music_url:
        music = await context[MEDIA].sounds.url(context.line, body.music_url, "musicUrl")
    elif body.asset_id:
        music = await context[MEDIA].assets.find(context.line, body.asset_id)
    await context[CONTROL].holds.hold(runner, body.leg_id or None, music=music)
    return Held(held=True)


@GROUP.post("/call/unhold", needs_enabled_line=True, errors=CALL)
async def unhold(context: Context, body: Unhold) -> Held:
    """Resume a held call, or one party of it."""
    context[CONTROL].holds.unhold(context.live_call(body.call_id), body.leg_id or None)
    return Held(held=False)


@GROUP.post("/call/transfer", needs_enabled_line=True, errors=(*CALL, 403, 422, 429, 501, 503))
async def transfer(context: Context, body: Transfer) -> Transferred:
    """Transfer an answered call, and leave it.

    `phone` is called; until it talks the other party hears a ring-back tone or `waitingUrl`, and
    when it does not answer everything is as before. `identity` may join in a browser. `legID` is a
    far party that was added and talked with: our side leaves the far parties to each other.
    """
    runner = context.live_call(body.call_id)
    named = {"phone": body.phone, "identity": body.identity, "legID": body.leg_id}
    given = [name for name, value in named.items() if value]
    if len(given) != 1:
        raise InvalidRequest(
            f"expected exactly one of {', '.join(named)}", field=given[-1] if given else "phone"
        )
    if body.leg_id:
        runner.dispatch(events.LeaveRequested(body.leg_id))
        return Transferred(body.leg_id)
    if body.identity:
        runner.dispatch(events.InviteRequested(body.identity))
        return Transferred()
    context[CONTROL].transfers.check(runner)
    sounds = await context[MEDIA].sounds.urls(
        context.line, {"waitingUrl": body.waiting_url, "announcementUrl": body.announcement_url}
    )
    leg_id = await context[CONTROL].transfers.transfer(
        runner,
        body.phone or "",
        channel=body.channel or "",
        waiting=sounds["waitingUrl"],
        announcement=sounds["announcementUrl"],
    )
    return Transferred(leg_id)


@GROUP.post("/call/participants/add", needs_enabled_line=True, errors=(*CALL, 403, 429, 501, 503))
async def add(context: Context, body: NewParticipant) -> Added:
    """Ring one more far party for an answered call; all hear each other once it has answered."""
    runner, manager = context.live_call(body.call_id), context[CONTROL].manager
    if body.phone is None:
        raise InvalidRequest("missing phone in payload", field="phone")
    return Added(await add_participant(manager, runner, body.phone, channel=body.channel or ""))


@GROUP.post("/call/participants/remove", needs_enabled_line=True, errors=CALL)
async def remove(context: Context, body: Participant) -> Done:
    """Hang up one party of a call; the last far party leaves with the call only."""
    remove_participant(context.live_call(body.call_id), body.leg_id)
    return Done()
