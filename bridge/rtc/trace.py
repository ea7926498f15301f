"""Debug logging of a peer's set-up.

Nothing here runs per packet. Addresses are personal data: only their type, IP version and whether
they are public is logged, never an address, SDP or key.
"""

import logging
from collections import Counter
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any, Final

from bridge.audio.encoder_level import EncoderLevel
from bridge.audio.opus import EncoderSettings
from bridge.wire.sdp import RemoteAudio

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


def answered(*, role: str, candidates: int) -> None:
    """Log our answer: our DTLS role and number of candidates."""
    log.debug("peer.answered", extra={"role": role, "candidates": candidates})


def probing(candidates: int) -> None:
    """Log how many of the peer's candidates are probed from now on."""
    log.debug("ice.probing", extra={"candidates": candidates})


def first_check(host: str) -> None:
    """Log the peer's first check and the kind of address it came from."""
    log.debug("ice.first_check", extra=_kind(host))


def pair_chosen(*, remote_type: str, host: str, changed: bool) -> None:
    """Log the nominated pair.

    Args:
        remote_type: Type of the peer's candidate; `prflx` was learned from a check.
        host: The peer's address; only its kind is logged.
        changed: Whether another pair was in use before.
    """
    fields = {"remote": remote_type, "changed": changed, **_kind(host)}
    log.debug("ice.pair_chosen", extra=fields)


def dtls_connected(*, role: str, cipher: str, profile: str) -> None:
    """Log the outcome of the handshake."""
    log.debug("dtls.connected", extra={"role": role, "cipher": cipher, "profile": profile})


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


def first(event: str, then: Callable[..., None], settle: Callable[[], None]) -> Callable[..., None]:
    """Return a function to be called once in place of `then`, which logs that call.

    Args:
        event: The message.
        then: Called in the end; returned as it is unless debug messages are logged.
        settle: Puts `then` back in its place.
    """
    if not log.isEnabledFor(logging.DEBUG):
        return then

    def log_first(*arguments: Any) -> None:  # noqa: ANN401 - passed on
        settle()
        log.debug(event)
        then(*arguments)

    return log_first


def _kind(host: str) -> dict[str, object]:
    address = ip_address(host)
    return {"ip_version": address.version, "public": address.is_global}
