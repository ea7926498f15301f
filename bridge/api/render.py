"""The native envelope, and calls and legs as JSON."""

from collections.abc import Iterable
from typing import Any

from aiohttp import web

from bridge.call.model import CallRecord, LegFigures, LegStatistics, ReplyTiming, State
from bridge.call.parties import parties_of
from bridge.call.quality import rate
from bridge.call.timeline import Sample
from bridge.errors import BridgeError
from bridge.node.quality import LegQuality
from bridge.wire.iso8601 import iso8601

STATE_WORDS = {State.INITIATED: "calling", State.HELD: "active"}
"""Where the native word differs from ours."""

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


def success(data: dict[str, Any], **beside: object) -> web.Response:
    """Wrap a payload in the native envelope; `beside` stands next to `data`."""
    return web.json_response({"code": 200, "data": data, "success": True, **beside})


def failure(error: BridgeError) -> web.Response:
    """Render an error in the native envelope."""
    body: dict[str, Any] = {"code": error.status, "error": str(error), "success": False}
    if error.field:
        body["field"] = error.field
    if error.call_id:
        body["callId"] = error.call_id
    if data := getattr(error, "data", None):
        body["data"] = data
    headers = {"Retry-After": str(error.retry_after)} if error.retry_after else None
    return web.json_response(body, status=error.status, headers=headers)


def peer(record: CallRecord) -> str:
    """The far party as WhatsApp writes it: a JID for a number."""
    number = record.facts.peer
    return f"{number}@s.whatsapp.net" if number.isdigit() else number


def call(record: CallRecord, *, recording: bool = False) -> dict[str, Any]:
    """A call as `/call/status` lists it."""
    who = parties_of(record)
    return {
        "callId": record.facts.call_id,
        "peer": peer(record),
        "from": who.from_,
        "to": who.to,
        "state": STATE_WORDS.get(record.state, record.state.value),
        "direction": record.direction.value,
        "video": False,
        "recording": recording,
        "startedAt": iso8601(record.facts.started_at),
    }


def quality(
    record: CallRecord, timelines: Iterable[LegQuality] = (), *, since: float = 0.0
) -> dict[str, Any]:
    """A call's figures, leg by leg, and how they went.

    Args:
        record: The call.
        timelines: Of its legs.
        since: Second of the call before which nothing of the timelines is wanted.
    """
    return {
        "callId": record.facts.call_id,
        "state": record.state.value,
        "endReason": record.reason.value if record.reason else None,
        "seconds": round(record.seconds, 3),
        "legs": [_leg(leg) for leg in record.legs],
        "timeline": [_timeline(leg, since) for leg in timelines],
    }


def _timeline(leg: LegQuality, since: float) -> dict[str, Any]:
    """A leg's timeline, column by column: row `n` is about `seconds[n]` from second `at[n]` on."""
    rows = leg.timeline.rows(since)
    samples = [sample for _, _, sample in rows]
    told: dict[str, Any] = {
        "legID": leg.leg_id,
        "kind": leg.kind.value,
        "party": leg.party.value,
        "at": [round(at, 1) for at, _, _ in rows],
        "seconds": [seconds for _, seconds, _ in rows],
        "roundTripMs": _column(samples, "round_trip", 1000, 1),
        "received": {name: _column(samples, *how) for name, how in RECEIVED_COLUMNS.items()},
        "sent": {name: _column(samples, *how) for name, how in SENT_COLUMNS.items()},
    }
    if leg.last.replies is not None:
        replies = [(reply.at - leg.began, reply) for reply in leg.last.replies]
        told["replies"] = [_reply(at, reply) for at, reply in replies if at >= since]
    return told


def _reply(at: float, reply: ReplyTiming) -> dict[str, Any]:
    steps = {f"{step}Ms": round(seconds * 1000) for step, seconds in reply.steps.items()}
    total = {"firstAudioMs": reply.first_audio, "overheadMs": reply.overhead}
    return {"at": round(at, 1), **steps, **{key: round(s * 1000) for key, s in total.items()}}


def _column(samples: list[Sample], field: str, units: int, digits: int) -> list[float | None]:
    values = [getattr(sample, field) for sample in samples]
    return [None if value is None else round(value * units, digits) for value in values]


def _leg(leg: LegFigures) -> dict[str, Any]:
    figures = leg.statistics
    received, sent = figures.received, figures.sent
    trip = figures.round_trip_seconds
    rating, _ = rate(leg.kind, LegStatistics(), figures)
    return {
        "legID": leg.leg_id,
        "kind": leg.kind.value,
        "party": leg.party.value,
        "road": leg.path.value if leg.path else None,
        "roundTripMs": None if trip is None else round(trip * 1000, 1),
        "mos": None if rating.mos is None else round(rating.mos, 2),
        "received": {
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
        },
        "sent": {
            "packets": sent.packets,
            "bytes": sent.bytes,
            "relayedPackets": sent.relayed_packets,
            "droppedFrames": sent.dropped_frames,
            "remoteLost": sent.remote_lost,
            "remoteLossRatio": round(sent.remote_loss_ratio, 4),
            "remoteJitterMs": round(sent.remote_jitter_seconds * 1000, 2),
            "fec": sent.fec,
            "levelDbov": round(sent.level_dbov, 1),
        },
        "discarded": dict(figures.discarded),
    }
