"""The factories of the peers of all legs that carry RTP."""

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from bridge.app.packet_path import choose_packet_path
from bridge.audio.codec import opus
from bridge.audio.codec.encoder_level import EncoderBudget
from bridge.http.interfaces import default_address
from bridge.legs.peer_media import PeerFactory
from bridge.legs.sip import PlainPeerFactory
from bridge.metrics.registry import Metrics
from bridge.providers.sip.trunks import TrunkMedia
from bridge.rtc.config import PeerConfig, Timeouts
from bridge.rtc.dtls import Certificates
from bridge.rtc.packet_path import PacketPath
from bridge.rtc.peer import Peer
from bridge.rtc.plain_peer import PlainPeer
from bridge.rtc.ports import PortPool
from bridge.rtc.rtp_source import RtpSource
from bridge.settings.model import Settings
from bridge.wire.sdp.dialect import BROWSER, BROWSER_WITH_RED, WHATSAPP

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Peers:
    """Makes peers."""

    browser: PeerFactory
    whatsapp: PeerFactory
    telephone: Callable[[TrunkMedia, Sequence[str]], PlainPeerFactory]
    """Makes peers of a trunk, which bind the addresses given instead of `rtc.bind`, if any."""
    opus: opus.Opus
    """The library that all of them use."""
    packet_path: PacketPath | None
    """What the peers receive by, to be closed after them; None: the event loop."""


def make_peers(
    settings: Settings,
    ports: PortPool,
    metrics: Metrics,
    *,
    encoder_budget: EncoderBudget,
    timeouts: Timeouts,
) -> Peers:
    """Load libopus and the compiled packet path, and make all kinds of peers.

    Raises:
        OpusMissing: there is no libopus.
    """
    library = opus.load(opus.candidates(os.environ.get("OPUS_LIB")))
    log.info("opus.loaded", extra={"version": library.version})
    compiled = choose_packet_path(settings.rtc, metrics.node)
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
        packet_path=None
        if compiled is None
        else PacketPath(compiled, library, clock=timeouts.clock),
    )

    def factory(config: PeerConfig) -> PeerFactory:
        return lambda on_digit, on_restart: Peer(
            config=config,
            certificates=certificates,
            opus=library,
            on_digit=on_digit,
            on_restart=on_restart,
        )

    def on_unverified() -> None:
        log.debug("rtp.unverified_source")
        metrics.sip.unverified_source()

    def telephone(media: TrunkMedia, bind: Sequence[str]) -> PlainPeerFactory:
        external = settings.sip.external_address or config.external_address
        own = replace(
            config, bind=tuple(bind) or config.bind, external_address="" if bind else external
        )
        return lambda on_digit, signaller: PlainPeer(
            config=own,
            opus=library,
            codecs=media.codecs,
            security=media.security,
            on_digit=on_digit,
            source=RtpSource(media.source_policy, signaller=signaller, on_unverified=on_unverified),
        )

    whatsapp = factory(replace(config, dialect=WHATSAPP))
    return Peers(factory(config), whatsapp, telephone, library, config.packet_path)
