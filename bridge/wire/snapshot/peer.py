"""Snapshots of peers: addresses, keys and indexes below an RTP session.

They hold keys, so they go from process to process over a socket and nowhere else; what is printed of one names none.
"""

from typing import Annotated, Literal, Self, TypeAlias

import msgspec
from typing_extensions import override

from bridge.wire.sdp.crypto import Crypto
from bridge.wire.sdp.own_rtp import OwnRtp
from bridge.wire.sdp.rtp import RemoteRtp
from bridge.wire.snapshot.session import AudioSnapshot, SessionSnapshot, codec_named
from bridge.wire.snapshot_fields import copied, restored

Port: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=65_535)]
Ssrc: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=0xFFFF_FFFF)]
Index: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=0x7FFF_FFFF)]
"""Of a packet or report: more would take a year of sound, and long to pass."""
Place: TypeAlias = tuple[str, Port]


class Sealed(msgspec.Struct, frozen=True, kw_only=True):
    """Has keys, none of which is printed."""

    @override
    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"


class SrtpSnapshot(Sealed, frozen=True, kw_only=True):
    """The keys of both directions, and where their indexes stand."""

    profile: str
    """As `a=crypto` names it."""
    send_key: bytes
    receive_key: bytes
    ssrc: Ssrc
    """Of our stream."""
    index: Index | None
    """Of our last packet, with its roll-overs; None before the first."""
    report_index: Index
    """Of our last report."""
    received: dict[Ssrc, Index]
    """By SSRC of the peer: the highest index that came."""
    received_reports: dict[Ssrc, Index]
    """The same of its reports."""


class DtlsSnapshot(Sealed, frozen=True, kw_only=True):
    """What reads and writes the records of an association after its handshake."""

    cipher: str
    """OpenSSL's name."""
    client_key: bytes
    server_key: bytes
    client_iv: bytes
    server_iv: bytes


class IceSnapshot(Sealed, frozen=True, kw_only=True):
    """A connection with a nominated pair."""

    ufrag: str
    pwd: str
    remote_ufrag: str
    remote_pwd: str
    remote_lite: bool
    controlling: bool
    tie_breaker: int
    local: list[str]
    """Our candidates as SDP writes them, one for each socket, in their order."""
    nominated: int
    """Index of the socket in use."""
    remote: str
    """The peer's candidate in use."""
    verified: list[tuple[str, Port, float]]
    """The peer's addresses, and when each was last verified."""
    checks_received: int
    responses_received: int
    public_candidates: bool


class TransportSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A DTLS association, with ICE below and SRTP above."""

    role: Literal["client", "server"]
    fingerprint: str
    """Of the peer's certificate."""
    own_fingerprint: str
    ice_seconds: float
    dtls_seconds: float
    alive_at: float
    """When anything last came that proves the peer alive."""
    ice: IceSnapshot
    srtp: SrtpSnapshot
    dtls: DtlsSnapshot | None
    """None for a cipher suite that only OpenSSL's own association reads: the peer's end is noticed by consent then."""


class PeerSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A `rtc.peer.Peer`."""

    session_id: int
    session_version: int
    setup: dict[str, float]
    """When the leg began, and when the steps of its set-up were done, in seconds since (`SetupClock.done`)."""
    discarded: dict[str, int]
    transport: TransportSnapshot
    session: SessionSnapshot


class RemoteSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The peer's last description, but for its lines."""

    audio: AudioSnapshot
    host: str
    port: Annotated[int, msgspec.Meta(ge=0, le=65_535)]
    rtcp: Place | None
    rare_reports: bool
    protocol: str
    crypto: Crypto | None

    @classmethod
    def of(cls, remote: RemoteRtp) -> Self:
        """Return the snapshot of a description."""
        return copied(cls, remote, audio=AudioSnapshot.of(remote.audio))

    def remote(self) -> RemoteRtp:
        """Return the description.

        Raises:
            HandoverRefused: a codec is not spoken here.
        """
        return copied(RemoteRtp, self, audio=self.audio.negotiated())


class SourceSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The addresses of a peer (`rtc.rtp_source.RtpSource`)."""

    target: Place | None
    current: Place | None
    verified: bool
    behind_nat: bool
    heard_at: float
    named: Place | None
    signaller: str
    ssrc: bytes
    payload_types: frozenset[int]
    locked: bool
    followed: bool
    moved_at: float | None


class PlainTransportSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Sockets, addresses and keys of a peer without ICE."""

    host: str
    """The address that the sockets are bound to."""
    srtp: SrtpSnapshot | None
    source: SourceSnapshot
    rtcp_named: Place | None
    rtcp_target: Place | None
    alive_at: float


class OwnRtpSnapshot(Sealed, frozen=True, kw_only=True):
    """Our descriptions of a session without ICE (`OwnRtp`)."""

    session_id: int
    version: int
    written: str
    direction: str
    formats: dict[str, int]
    """Payload types, by codec."""
    cryptos: tuple[Crypto, ...]

    @classmethod
    def of(cls, own: OwnRtp) -> Self:
        """Return the snapshot of descriptions."""
        return copied(cls, own, formats={codec.name: kind for codec, kind in own.formats.items()})

    def own(self) -> OwnRtp:
        """Return the descriptions.

        Raises:
            HandoverRefused: a codec is not spoken here.
        """
        formats = {codec_named(name): kind for name, kind in self.formats.items()}
        made = restored(OwnRtp(self.session_id), self, without=["formats"])
        made.formats = formats
        return made


class PlainPeerSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A `rtc.plain_peer.PlainPeer`."""

    own: OwnRtpSnapshot
    remote: RemoteSnapshot
    crypto: Crypto | None
    """What we encrypt with."""
    held: bool
    setup: dict[str, float]
    """As that of `PeerSnapshot`."""
    discarded: dict[str, int]
    transport: PlainTransportSnapshot
    session: SessionSnapshot


def restore_counts(counts: dict[str, int], found: dict[str, int]) -> None:
    """Set the counts that this version has, in place."""
    for name in counts.keys() & found.keys():
        counts[name] = found[name]
