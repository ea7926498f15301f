"""What differs between kinds of WebRTC peers: their descriptions, and what follows from those."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from bridge.wire.sdp.description import LocalAudio, RemoteAudio, parse_offer, write_answer
from bridge.wire.sdp.offer import parse_plain_offer, write_offer, write_plain_answer
from bridge.wire.sdp.split_audio import parse_split_offer, write_split_answer


@dataclass(frozen=True, slots=True)
class SdpDialect:
    """How to exchange descriptions with one kind of peer, and what it expects of the session."""

    parse_offer: Callable[[str], RemoteAudio]
    write_answer: Callable[[RemoteAudio, LocalAudio], str]
    continuous: bool
    """Whether it expects no packet before the call is accepted, and no pause afterwards: silence
    is then sent where there is nothing else."""
    trusted_candidates: bool
    """Whether its descriptions come in signed messages, so that every candidate may be probed."""
    write_offer: Callable[[LocalAudio], str] = write_offer


BROWSER: Final = SdpDialect(parse_offer, write_answer, continuous=False, trusted_candidates=False)
BROWSER_WITH_RED: Final = replace(BROWSER, parse_offer=partial(parse_offer, red=True))
"""Accepts redundant audio (RFC 2198) where it is offered."""
LIVEKIT: Final = replace(
    BROWSER,
    parse_offer=parse_split_offer,
    write_answer=write_split_answer,
    write_offer=partial(write_offer, direction="sendonly"),
)
"""LiveKit's client SDKs: on one peer connection, which they offer, or on one that we offer for what they hear and one of
theirs for what they say."""
WHATSAPP: Final = SdpDialect(
    parse_plain_offer, write_plain_answer, continuous=True, trusted_candidates=True
)
"""Meta's media servers, described in the plain form of `wire.sdp.offer`."""
