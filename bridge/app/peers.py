"""What makes the WebRTC peers of all legs."""

import logging
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace

from bridge.audio import libopus, opus
from bridge.audio.encoder_level import EncoderBudget
from bridge.legs.peer_media import PeerFactory
from bridge.rtc.config import PeerConfig, Timeouts
from bridge.rtc.dtls import Certificates
from bridge.rtc.peer import Peer
from bridge.rtc.ports import PortPool
from bridge.settings.model import Settings
from bridge.wire.sdp_dialect import BROWSER, BROWSER_WITH_RED, WHATSAPP

log = logging.getLogger(__name__)

DOCUMENTATION_ADDRESS = "192.0.2.1"
"""Never reached (RFC 5737); the kernel only says which of our addresses would be used."""


@dataclass(frozen=True, slots=True)
class Peers:
    """Makes peers."""

    browser: PeerFactory
    whatsapp: PeerFactory


def make_peers(
    settings: Settings, ports: PortPool, *, encoder_budget: EncoderBudget, timeouts: Timeouts
) -> Peers:
    """Load libopus and make both kinds of peers.

    Raises:
        OpusMissing: there is no libopus.
    """
    library = opus.load(libopus.candidates(os.environ.get("OPUS_LIB")))
    log.info("opus.loaded", extra={"version": library.version})
    certificates = Certificates()
    config = PeerConfig(
        bind=tuple(settings.rtc.bind) or (default_address(),),
        external_address=settings.rtc.external_address,
        ports=ports,
        probe_private=settings.rtc.probe_private,
        timeouts=timeouts,
        relay=settings.media.relay,
        dialect=BROWSER_WITH_RED if settings.media.red else BROWSER,
        encoder_budget=encoder_budget,
    )

    def factory(config: PeerConfig) -> PeerFactory:
        def peer(on_digit: Callable[[str], None], on_restart: Callable[[bool], None]) -> Peer:
            return Peer(
                config=config,
                certificates=certificates,
                opus=library,
                on_digit=on_digit,
                on_restart=on_restart,
            )

        return peer

    return Peers(factory(config), factory(replace(config, dialect=WHATSAPP)))


def default_address() -> str:
    """Return the address of the default route, else loopback; sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((DOCUMENTATION_ADDRESS, 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])
