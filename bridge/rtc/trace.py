"""Debug logging of a peer's set-up.

Nothing here runs per packet. Addresses are personal data: only their type, IP version and whether
they are public is logged, never an address, SDP or key.
"""

import logging
from collections import Counter
from ipaddress import ip_address
from typing import Final

from bridge.audio.codec.encoder_level import EncoderLevel
from bridge.audio.codec.opus import EncoderSettings
from bridge.wire.sdp.description import RemoteAudio
from bridge.wire.sdp.rtp import RemoteRtp

log: Final = logging.getLogger(__name__)


def described(event: str, audio: RemoteAudio) -> None:
    """Log what a peer's description contains; `event` is the message."""
    if not log.isEnabledFor(logging.DEBUG):
        return
    types = Counter(candidate.type for candidate in audio.candidates)
    log.debug(
        event,
        extra={
            "media": ",".join(line.kind for line in audio.lines),
            "direction": audio.direction,
            "setup": audio.setup,
            "ice_lite": audio.ice_lite,
            "candidates": " ".join(f"{kind}={count}" for kind, count in sorted(types.items())),
            "candidates_ignored": audio.candidates_ignored,
            "codec": "opus",
            "payload_type": audio.opus_payload_type,
            "red": audio.red_payload_type is not None,
            "fec": audio.opus_parameters.get("useinbandfec") == "1",
            "bitrate": audio.opus_parameters.get("maxaveragebitrate", ""),
            "digits": ",".join(map(str, audio.telephone_events.values())),
        },
    )


def encoder_chosen(settings: EncoderSettings, level: EncoderLevel) -> None:
    """Log how audio for the peer is encoded from now on."""
    log.debug(
        "encoder.chosen",
        extra={
            "encoder_level": level.name.lower(),
            "application": settings.application.name.lower(),
            "bitrate": settings.bitrate,
            "complexity": settings.complexity,
            "fec": settings.fec,
        },
    )


def address_kind(host: str) -> dict[str, object]:
    """Return what may be logged of an address."""
    address = ip_address(host)
    return {"ip_version": address.version, "public": address.is_global}


def agreed(remote: RemoteRtp, *, encrypted: bool) -> None:
    """Note what two descriptions of plain RTP have agreed on."""
    fields = {
        "codec": remote.audio.codec.name,
        "payload_type": remote.audio.payload_type,
        "direction": remote.audio.direction,
        "encrypted": encrypted,
        "reports": "apart" if remote.rtcp else "muxed",
    }
    place = address_kind(remote.host) if remote.host else {}
    log.debug("peer.agreed", extra={**fields, **place})
