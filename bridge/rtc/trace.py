"""What a peer's set-up goes through, told in the log at debug level and only where it changes.

Nothing here is called for every packet. Addresses of peers are people's data: their type, their IP
version and whether they are public is told, never the address itself, nor SDP or keys.
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
    """Tell what a peer's description offers or answers; `event` is the log's message."""
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
    """Tell that we answered, with our DTLS role and how many candidates of ours."""
    log.debug("peer.answered", extra={"role": role, "candidates": candidates})


def probing(candidates: int) -> None:
    """Tell how many of the peer's candidates are checked from now on."""
    log.debug("ice.probing", extra={"candidates": candidates})


def first_check(host: str) -> None:
    """Tell that the peer's first check has come, from what kind of address."""
    log.debug("ice.first_check", extra=_kind(host))


def pair_chosen(*, remote_type: str, host: str, changed: bool) -> None:
    """Tell where packets go from now on.

    Args:
        remote_type: Of the peer's candidate: `prflx` is one that its check showed.
        host: The peer's address, of which only the kind is told.
        changed: Whether another pair was in use before.
    """
    fields = {"remote": remote_type, "changed": changed, **_kind(host)}
    log.debug("ice.pair_chosen", extra=fields)


def dtls_connected(*, role: str, cipher: str, profile: str) -> None:
    """Tell what the handshake agreed on."""
    log.debug("dtls.connected", extra={"role": role, "cipher": cipher, "profile": profile})


def encoder_chosen(settings: EncoderSettings, level: EncoderLevel) -> None:
    """Tell how sound for the peer is encoded from now on, where it has to be."""
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
    """Return what takes the place of `then` for one call, and tells of it.

    Args:
        event: The log's message.
        then: What is called in the end; returned as it is where nobody reads debug messages.
        settle: Puts `then` back in its place.
    """
    if not log.isEnabledFor(logging.DEBUG):
        return then

    def tell(*arguments: Any) -> None:  # noqa: ANN401 - handed on
        settle()
        log.debug(event)
        then(*arguments)

    return tell


def _kind(host: str) -> dict[str, object]:
    address = ip_address(host)
    return {"ip_version": address.version, "public": address.is_global}
