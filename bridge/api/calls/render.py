"""The native envelope, and calls and legs as JSON."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, Literal, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType

from bridge.api.server.fields import Timestamp
from bridge.call.leg_state import TransportState
from bridge.call.model import (
    CallRecord,
    Direction,
    LegFigures,
    LegStatistics,
    Party,
    ReplyTiming,
    State,
)
from bridge.call.record.quality import LegQuality, rate
from bridge.call.record.timeline import Sample
from bridge.call.view import snapshot_of
from bridge.errors import BridgeError
from bridge.wire.iso8601 import iso8601


def camel(name: str) -> str:
    """Return a field's name in camel case, with `legID` as both vendors spell it."""
    head, *rest = name.rstrip("_").split("_")
    return "legID" if name == "leg_id" else head + "".join(part.capitalize() for part in rest)


StateWord: TypeAlias = Literal["calling", "ringing", "connecting", "active", "ended"]
NATIVE_STATES: Final[Mapping[State, StateWord]] = {
    State.INITIATED: "calling",
    State.RINGING: "ringing",
    State.CONNECTING: "connecting",
    State.ACTIVE: "active",
    State.HELD: "active",
    State.ENDED: "ended",
}

RECEIVED_COLUMNS = {
    "lossRatio": ("loss", 1, 4),
    "jitterMs": ("jitter", 1000, 1),
    "playoutDelayMs": ("playout_delay", 1000, 1),
    "concealedRatio": ("concealed", 1, 4),
    "fecRatio": ("recovered", 1, 4),
    "levelDbov": ("level", 1, 1),
    "clippedRatio": ("clipped", 1, 2),
    "silentRatio": ("silent", 1, 2),
    "mos": ("mos", 1, 2),
}
SENT_COLUMNS = {
    "remoteLossRatio": ("sent_loss", 1, 4),
    "remoteJitterMs": ("sent_jitter", 1000, 1),
    "fecSentRatio": ("sent_fec", 1, 2),
    "levelDbov": ("sent_level", 1, 1),
    "clippedRatio": ("sent_clipped", 1, 2),
    "silentRatio": ("sent_silent", 1, 2),
    "mos": ("sent_mos", 1, 2),
}
"""Columns of a timeline: the sample's field, units of the column to one of its own, digits kept."""


class Call(Struct, rename=camel):
    """A call as `/call/status` lists it."""

    call_id: Annotated[str, Meta(pattern="^[0-9A-F]{32}$")]
    peer: Annotated[str, Meta(description="a JID, or an identifier")]
    from_: Annotated[
        str, Meta(description="a number with `+`, or an identifier; empty when it is not known")
    ]
    to: Annotated[str, Meta(description="likewise: of an inbound call, the line's number")]
    state: StateWord
    direction: Direction
    video: bool
    recording: bool
    started_at: Timestamp


class LegReport(Struct, rename=camel):
    """Packets, loss, jitter and levels of one leg; `received` is what was heard from it."""

    leg_id: str
    kind: str
    party: Party
    road: str | None
    round_trip_ms: float | None
    mos: float | None
    received: dict[str, Any]
    sent: dict[str, Any]
    discarded: dict[str, int]
    codec: str
    """Of its RTP, such as opus or PCMA; empty while none is agreed, and for legs without RTP."""
    held: bool
    """Whether its party has put us on hold."""


class Reply(Struct, rename="camel", kw_only=True):
    """How soon an agent was heard after its caller had spoken."""

    at: float
    stt_ms: int | UnsetType = UNSET
    llm_ms: int | UnsetType = UNSET
    tts_ms: int | UnsetType = UNSET
    first_audio_ms: int
    overhead_ms: int


class LegTimeline(Struct, rename=camel):
    """Columns: row n is about `seconds[n]` from second `at[n]` on."""

    leg_id: str
    kind: str
    party: str
    at: list[float]
    seconds: list[float]
    round_trip_ms: list[float | None]
    received: dict[str, list[float | None]]
    sent: dict[str, list[float | None]]
    replies: list[Reply] | UnsetType = UNSET


class CallQuality(Struct, rename="camel"):
    """A call's statistics, leg by leg, and their course."""

    call_id: str
    state: str
    end_reason: str | None
    seconds: float
    legs: list[LegReport]
    timeline: list[LegTimeline]


def failure(error: BridgeError) -> dict[str, Any]:
    """Render an error in the native envelope."""
    body: dict[str, Any] = {"code": error.status, "error": str(error), "success": False}
    if error.field:
        body["field"] = error.field
    if error.call_id:
        body["callId"] = error.call_id
    if data := getattr(error, "data", None):
        body["data"] = dict(data)
    return body


def call(record: CallRecord, *, recording: bool = False) -> Call:
    """Return a call as `/call/status` lists it."""
    shown = snapshot_of(record)
    return Call(
        call_id=shown.id,
        peer=shown.jid,
        from_=shown.from_,
        to=shown.to,
        state=NATIVE_STATES[record.state],
        direction=record.direction,
        video=False,
        recording=recording,
        started_at=iso8601(shown.started_at),
    )


def quality(
    record: CallRecord, timelines: Iterable[LegQuality] = (), *, since: float = 0.0
) -> CallQuality:
    """Return a call's statistics, and its legs' timelines from second `since` of the call on."""
    return CallQuality(
        call_id=record.facts.call_id,
        state=record.state,
        end_reason=record.reason,
        seconds=round(record.seconds, 3),
        legs=[_leg(leg) for leg in record.legs],
        timeline=[leg_timeline(leg, since) for leg in timelines],
    )


def leg_timeline(leg: LegQuality, since: float = 0.0) -> LegTimeline:
    """Return a leg's timeline from second `since` of the call on."""
    rows = leg.timeline.rows(since)
    samples = [sample for _, _, sample in rows]
    replies = [(reply.at - leg.call_began, reply) for reply in leg.last.statistics.replies or ()]
    return LegTimeline(
        leg_id=leg.last.leg_id,
        kind=leg.last.kind,
        party=leg.last.party,
        at=[round(at, 1) for at, _, _ in rows],
        seconds=[seconds for _, seconds, _ in rows],
        round_trip_ms=_column(samples, "round_trip", 1000, 1),
        received={name: _column(samples, *how) for name, how in RECEIVED_COLUMNS.items()},
        sent={name: _column(samples, *how) for name, how in SENT_COLUMNS.items()},
        replies=UNSET
        if leg.last.statistics.replies is None
        else [_reply(at, reply) for at, reply in replies if at >= since],
    )


def _reply(at: float, reply: ReplyTiming) -> Reply:
    return Reply(
        at=round(at, 1),
        first_audio_ms=round(reply.first_audio * 1000),
        overhead_ms=round(reply.overhead * 1000),
        **{f"{step}_ms": round(seconds * 1000) for step, seconds in reply.steps.items()},
    )


def _column(samples: list[Sample], field: str, units: int, digits: int) -> list[float | None]:
    values = [getattr(sample, field) for sample in samples]
    return [None if value is None else round(value * units, digits) for value in values]


def _leg(leg: LegFigures) -> LegReport:
    figures = leg.statistics
    transport = figures.transport or TransportState()
    received, sent = figures.received, figures.sent
    trip = figures.round_trip_seconds
    rating, _ = rate(leg.kind, LegStatistics(), figures)
    return LegReport(
        leg_id=leg.leg_id,
        kind=leg.kind,
        party=leg.party,
        road=leg.path,
        round_trip_ms=None if trip is None else round(trip * 1000, 1),
        mos=None if rating.mos is None else round(rating.mos, 2),
        received={
            "packets": received.packets,
            "bytes": received.bytes,
            "frames": received.frames,
            "lost": received.lost,
            "lossRatio": round(rating.loss or 0.0, 4),
            "late": received.late,
            "reordered": received.reordered,
            "jitterMs": round(received.jitter_seconds * 1000, 2),
            "concealedFrames": received.concealed_frames,
            "fecFrames": received.fec_frames,
            "levelDbov": round(received.level_dbov, 1),
            "silentSeconds": round(received.silent_seconds, 1),
            "heldMs": round(received.held_seconds * 1000),
            "heldDroppedMs": round(received.held_dropped_seconds * 1000),
        },
        sent={
            "packets": sent.packets,
            "bytes": sent.bytes,
            "relayedPackets": sent.forwarded_packets,
            "droppedFrames": sent.dropped_frames,
            "remoteLost": sent.remote_lost,
            "remoteLossRatio": round(sent.remote_loss_ratio, 4),
            "remoteJitterMs": round(sent.remote_jitter_seconds * 1000, 2),
            "fec": sent.fec,
            "levelDbov": round(sent.level_dbov, 1),
        },
        discarded=dict(figures.discarded),
        codec=transport.codec,
        held=transport.held,
    )
