"""The native envelope, and calls and legs as JSON."""

from datetime import datetime
from typing import Any

from aiohttp import web

from bridge.audio.quality import estimate
from bridge.call.model import CallRecord, LegFigures, LegKind, State
from bridge.errors import BridgeError

STATE_WORDS = {State.INITIATED: "calling", State.HELD: "active"}
"""Where the native word differs from ours."""

CODEC_DELAY_SECONDS = 0.06
"""What capture, packet and playback of a browser add to the network, for the estimate of MOS."""


def success(data: dict[str, Any], **beside: object) -> web.Response:
    """Wrap a payload in the native envelope; `beside` stands next to `data`."""
    return web.json_response({"code": 200, "data": data, "success": True, **beside})


def failure(error: BridgeError) -> web.Response:
    """Render an error in the native envelope."""
    body: dict[str, Any] = {"code": error.status, "error": str(error), "success": False}
    field = getattr(error, "field", None)
    if field:
        body["field"] = field
    headers = {"Retry-After": str(error.retry_after)} if error.retry_after else None
    return web.json_response(body, status=error.status, headers=headers)


def moment(at: datetime) -> str:
    """ISO 8601 in UTC with milliseconds."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def peer(record: CallRecord) -> str:
    """The far party as WhatsApp writes it: a JID for a number."""
    number = record.facts.peer
    return f"{number}@s.whatsapp.net" if number.isdigit() else number


def call(record: CallRecord) -> dict[str, Any]:
    """A call as `/call/status` lists it."""
    return {
        "callId": record.facts.call_id,
        "peer": peer(record),
        "state": STATE_WORDS.get(record.state, record.state.value),
        "direction": record.direction.value,
        "video": False,
        "recording": False,
        "startedAt": moment(record.facts.started_at),
    }


def quality(record: CallRecord) -> dict[str, Any]:
    """A call's figures, leg by leg."""
    return {
        "callId": record.facts.call_id,
        "state": record.state.value,
        "endReason": record.reason.value if record.reason else None,
        "seconds": round(record.seconds, 3),
        "legs": [_leg(leg) for leg in record.legs],
    }


def _leg(leg: LegFigures) -> dict[str, Any]:
    figures = leg.statistics
    received, sent = figures.received, figures.sent
    expected = received.packets + received.lost
    loss = received.lost / expected if expected else 0.0
    trip = figures.round_trip_seconds
    rtp = leg.kind is LegKind.WEBRTC
    rated = estimate(
        loss=loss, delay=(trip or 0.0) / 2 + CODEC_DELAY_SECONDS, jitter=received.jitter_seconds
    )
    return {
        "legID": leg.leg_id,
        "kind": leg.kind.value,
        "party": leg.party.value,
        "road": leg.road.value if leg.road else None,
        "roundTripMs": None if trip is None else round(trip * 1000, 1),
        "mos": round(rated.mos, 2) if rtp and received.packets else None,
        "received": {
            "packets": received.packets,
            "bytes": received.bytes,
            "frames": received.frames,
            "lost": received.lost,
            "lossRatio": round(loss, 4),
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
            "levelDbov": round(sent.level_dbov, 1),
        },
        "discarded": dict(figures.discarded),
    }
