"""The factories of the peers of all legs that carry RTP."""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

from bridge.audio.codec import opus
from bridge.audio.codec.encoder_level import EncoderBudget
from bridge.http.interfaces import default_address
from bridge.legs.peer_media import PeerFactory
from bridge.legs.sip_media import PlainPeerFactory
from bridge.media.stream_frames import compiled_conversion
from bridge.metrics.node import NodeMetrics
from bridge.metrics.registry import Metrics
from bridge.node.clock import Clock
from bridge.node.load import Load
from bridge.providers.sip.trunks import TrunkMedia
from bridge.rtc.config import PeerConfig, Timeouts
from bridge.rtc.dtls import Certificates
from bridge.rtc.packet_path import PacketPath
from bridge.rtc.packet_path_library import Library, load
from bridge.rtc.packet_poller import Scheduling
from bridge.rtc.peer import Peer
from bridge.rtc.plain_peer import PlainPeer
from bridge.rtc.ports import PortPool
from bridge.rtc.rtp_source import RtpSource
from bridge.settings.model import Settings, port_range
from bridge.settings.rtc import Rtc
from bridge.wire.rtp.used_numbers import Ledger
from bridge.wire.sdp.dialect import BROWSER, BROWSER_WITH_RED, LIVEKIT, WHATSAPP
from bridge.wire.stream.media_format import IN_PYTHON, Conversion

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Peers:
    """Makes peers."""

    browser: PeerFactory
    livekit: PeerFactory
    """For LiveKit's client SDKs."""
    whatsapp: PeerFactory
    telephone: Callable[[TrunkMedia, Sequence[str]], PlainPeerFactory]
    """Makes peers of a trunk, which bind the addresses given instead of `rtc.bind`, if any."""
    opus: opus.Opus
    """The library that all of them use."""
    conversion: Conversion
    """Converts the audio of media sockets and streams."""
    packet_path: PacketPath | None
    """What the peers receive by, to be closed after them; None: the event loop."""

    async def warm_up(self) -> None:
        """Spare the first call, which another process may pass on in the middle of a word, what a process does once."""
        await self.browser(lambda _: None, lambda _: None).warm_up()


class MediaPlane(NamedTuple):
    """What carries the audio of all calls."""

    clock: Clock
    load: Load
    peers: Peers
    ports: PortPool


def build_media_plane(
    settings: Settings, metrics: Metrics, timeouts: Timeouts, ledger: Ledger | None = None
) -> MediaPlane:
    """Make the clock, the peers and their ports within the running loop; raises as `make_peers`."""
    budget, ports = EncoderBudget(), PortPool(port_range(settings.rtc.ports))
    overload_seconds = settings.limits.overload_seconds
    return MediaPlane(
        Clock(asyncio.get_running_loop(), partial(metrics.steps.took, "clock")),
        Load(encoder_budget=budget, metrics=metrics, overload_seconds=overload_seconds),
        make_peers(
            settings, ports, metrics, encoder_budget=budget, timeouts=timeouts, ledger=ledger
        ),
        ports,
    )


def make_peers(
    settings: Settings,
    ports: PortPool,
    metrics: Metrics,
    *,
    encoder_budget: EncoderBudget,
    timeouts: Timeouts,
    ledger: Ledger | None = None,
) -> Peers:
    """Load libopus and the compiled packet path, and make all kinds of peers.

    Raises:
        OpusMissing: there is no libopus.
    """
    library = opus.load(opus.candidates(os.environ.get("OPUS_LIB")))
    log.info("opus.loaded", extra={"version": library.version})
    compiled = choose_packet_path(settings.rtc, metrics.node)
    path = None
    if compiled is not None:
        polled = scheduling(settings.rtc, timeouts.clock)
        marks = None if ledger is None else ledger.marks
        path = PacketPath(compiled, library, clock=timeouts.clock, scheduling=polled, marks=marks)
    config = PeerConfig(
        bind=tuple(settings.rtc.bind) or (default_address(),),
        external_address=settings.rtc.external_address,
        ports=ports,
        probe_private=settings.rtc.probe_private,
        timeouts=timeouts,
        passthrough=settings.media.passthrough,
        dialect=BROWSER_WITH_RED if settings.media.red else BROWSER,
        encoder_budget=encoder_budget,
        packet_path=path,
        ledger=ledger,
    )
    certificates = Certificates()
    external = settings.sip.external_address or config.external_address
    return Peers(
        browser=_factory(config, certificates, library),
        livekit=_factory(replace(config, dialect=LIVEKIT), certificates, library),
        whatsapp=_factory(replace(config, dialect=WHATSAPP), certificates, library),
        telephone=_telephones(replace(config, external_address=external), library, metrics),
        opus=library,
        conversion=IN_PYTHON if compiled is None else compiled_conversion(compiled),
        packet_path=path,
    )


def _factory(config: PeerConfig, certificates: Certificates, library: opus.Opus) -> PeerFactory:
    return lambda on_digit, on_restart: Peer(
        config=config,
        certificates=certificates,
        opus=library,
        on_digit=on_digit,
        on_restart=on_restart,
    )


def _telephones(
    config: PeerConfig, library: opus.Opus, metrics: Metrics
) -> Callable[[TrunkMedia, Sequence[str]], PlainPeerFactory]:
    def on_unverified() -> None:
        log.debug("rtp.unverified_source")
        metrics.sip.unverified_source()

    def telephone(media: TrunkMedia, bind: Sequence[str]) -> PlainPeerFactory:
        own = replace(config, bind=tuple(bind), external_address="") if bind else config
        return lambda on_digit, signaller: PlainPeer(
            config=own,
            opus=library,
            codecs=media.codecs,
            security=media.security,
            on_digit=on_digit,
            source=RtpSource(media.source_policy, signaller=signaller, on_unverified=on_unverified),
        )

    return telephone


def scheduling(rtc: Rtc, clock: Callable[[], float]) -> Scheduling:
    """Return who polls the media sockets; a thread knows the machine's clock alone."""
    thread = rtc.media_thread and clock is time.monotonic
    return Scheduling(thread, rtc.tick_ms, rtc.realtime)


def choose_packet_path(rtc: Rtc, metrics: NodeMetrics) -> Library | None:
    """Return the compiled packet path, or None for Python; log which it is and why, and say it in the metrics."""
    found = load(compiled=rtc.compiled)
    if isinstance(found, Library):
        log.info("packet_path.chosen", extra={"path": "compiled"})
        metrics.set_packet_path(1, "compiled")
        return found
    level = logging.INFO if found.expected else logging.WARNING
    log.log(level, "packet_path.chosen", extra={"path": "python", "reason": found.reason})
    metrics.set_packet_path(1, "python")
    return None
