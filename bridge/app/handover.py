"""What passes the calls of a bridge to another process, and takes them over from one."""

from bridge.app.bridge import Bridge
from bridge.call.model import LegKind
from bridge.node.handover import Adoption, CallServices, Handover, RestoreLeg


def build_handover(bridge: Bridge) -> Handover:
    """Return what passes the calls of a bridge to its successor."""
    return Handover(bridge.manager, _services(bridge))


def build_adoption(bridge: Bridge) -> Adoption:
    """Return what takes over calls for a bridge."""
    lines = bridge.lines
    restored: dict[LegKind, RestoreLeg] = {
        LegKind.WEBRTC: bridge.control.browsers.restore,
        LegKind.SIMULATOR: lines.simulator.restore,
        LegKind.WHATSAPP: lines.cloud.restore,
    }
    return Adoption(bridge.manager, _services(bridge), restored)


def _services(bridge: Bridge) -> CallServices:
    control, records = bridge.control, bridge.records
    return CallServices(
        stays=(
            control.digits.collecting,
            control.voicemail_calls.has,
            records.recordings.unfinished,
        ),
        marks={
            "captured": records.recordings.automatic.captured,
            "recorded for a transcript": records.transcripts.recorded,
        },
    )
