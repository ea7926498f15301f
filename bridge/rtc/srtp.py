"""SRTP through libsrtp with reused buffers; only the result is allocated.

pylibsrtp's `Session.protect` allocates buffers for every packet, so its library is called directly.
"""

from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from functools import partial
from itertools import chain
from typing import Any, Final, Self, TypeAlias

from pylibsrtp import Policy, Session

from bridge.errors import HandoverRefused, LocalProtocolError
from bridge.rtc.limits import MAX_SOURCES
from bridge.rtc.private_api import srtp_ffi as ffi
from bridge.rtc.private_api import srtp_handle, srtp_rollovers
from bridge.rtc.private_api import srtp_lib as lib
from bridge.wire.rtp.packet import HEADER
from bridge.wire.rtp.used_numbers import UsedNumbers
from bridge.wire.sdp.crypto import SUITES
from bridge.wire.snapshot.peer import SrtpSnapshot

PROFILES: Final[Mapping[str, int]] = {
    "AES_CM_128_HMAC_SHA1_80": Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    "AES_CM_128_HMAC_SHA1_32": Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
    "AEAD_AES_128_GCM": Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
}
"""By the name of the suite in `a=crypto` (RFC 4568, RFC 7714)."""

_WINDOW: Final = 256
"""Packets that may come late, which is what a socket keeps; a process that goes on with a call marks each of them as used."""
_BUFFER_BYTES: Final = 2048
_MAX_PLAIN: Final = 1350
_OK: Final = 0
# Bytes of the authentication tag of an RTP packet (RFC 3711 §4.2, RFC 5764 §4.1.2, RFC 7714).
_TAG_BYTES: Final = {
    Policy.SRTP_PROFILE_AES128_CM_SHA1_80: 10,
    Policy.SRTP_PROFILE_AES128_CM_SHA1_32: 4,
    Policy.SRTP_PROFILE_AEAD_AES_128_GCM: 16,
    Policy.SRTP_PROFILE_AEAD_AES_256_GCM: 16,
}
# srtp_err_status_replay_fail and srtp_err_status_replay_old (srtp.h).
_REPLAYED: Final = (9, 10)
_IN_WINDOW: Final = _REPLAYED[0]
_REPORT_TAG_BYTES: Final = 10
"""Of an RTCP packet, unless it is AEAD: then the index comes last (RFC 7714 §9.2)."""
_INDEX_BYTES: Final = 4
_INDEX: Final = 0x7FFF_FFFF
_STRIDE: Final = 0x4000
"""An index may follow another one by so much: libsrtp's guess of the roll-overs stays right."""
_USED_UP_AT_ONCE: Final = 5000
"""Indexes of reports that are used up before a report: a few milliseconds."""

NO_CALL: Final = SrtpSnapshot(
    profile="AES_CM_128_HMAC_SHA1_80",
    send_key=bytes(30),
    receive_key=bytes(30),
    ssrc=1,
    index=1,
    report_index=0,
    received={2: 1},
    received_reports={},
)
"""Of a call that never was."""

_PROTECT, _PROTECT_RTCP, _UNPROTECT, _UNPROTECT_RTCP = range(4)
"""What is done with a packet: SRTP_* in packet_path.h."""

Protection: TypeAlias = Callable[[int, int, int], Callable[[], int]]
"""Returns a function that does one of these in a buffer, given its address and that of the length, and returns
libsrtp's status."""


class Refusal(Enum):
    """Why a received packet was refused; the value is the discard reason."""

    BAD = "bad_srtp"
    REPLAYED = "replayed"
    TOO_MANY_SOURCES = "too_many_sources"


class Srtp:
    """Both directions of one DTLS association, or of the keys that two descriptions exchanged.

    libsrtp refuses to protect an RTP sequence number twice: two payloads encrypted with the same key
    stream would reveal each other. `profile` is one of pylibsrtp's `Policy.SRTP_PROFILE_*`; each key
    is a master key and its salt.
    """

    __slots__ = (
        "_buffer",
        "_keys",
        "_length",
        "_newest",
        "_owed",
        "_profile",
        "_protect",
        "_protect_rtcp",
        "_receive",
        "_receive_session",
        "_report_index",
        "_reports",
        "_reports_before",
        "_reserved",
        "_send",
        "_send_session",
        "_source",
        "_sources",
        "_tag",
        "_unprotect",
        "_unprotect_rtcp",
        "_used",
        "_view",
    )

    def __init__(self, profile: int, *, send_key: bytes, receive_key: bytes) -> None:
        self._profile = profile
        self._send_session = _session(profile, send_key, Policy.SSRC_ANY_OUTBOUND)
        self._send = srtp_handle(self._send_session)
        self._buffer = ffi.new("unsigned char[]", _BUFFER_BYTES)
        self._view = ffi.buffer(self._buffer)
        self._length = ffi.new("int *")
        self._tag = _TAG_BYTES[profile]
        self._protect: Callable[[], int] = partial(
            lib.srtp_protect, self._send, self._buffer, self._length
        )
        self._protect_rtcp: Callable[[], int] = partial(
            lib.srtp_protect_rtcp, self._send, self._buffer, self._length
        )
        self._keys = send_key, receive_key
        self._report_index = 0
        """Of our last report."""
        self._reserved = 0
        self._used: UsedNumbers | None = None
        """Where it is noted which reports were sent, for a process that goes on after this one."""
        self._owed = 0
        """Indexes that another process has used, and this libsrtp has not passed yet."""
        self.set_receive_key(receive_key)

    @property
    def send_handle(self) -> int:
        """Address of libsrtp's context for sending, valid while this object lives."""
        return int(ffi.cast("uintptr_t", self._send))

    @property
    def receive_handle(self) -> int:
        """Address of libsrtp's context for receiving, valid until `set_receive_key`."""
        return int(ffi.cast("uintptr_t", self._receive))

    def set_receive_key(self, key: bytes) -> object:
        """Receive with another key from now on; what is sent goes on under its own.

        Returns:
            What was used before, and has to live until a packet path that uses it has been told.
        """
        before = getattr(self, "_receive_session", None)
        self._keys = self._keys[0], key
        self._receive_session: Session = _session(self._profile, key, Policy.SSRC_ANY_INBOUND)
        self._receive = srtp_handle(self._receive_session)
        given = self._receive, self._buffer, self._length
        self._unprotect: Callable[[], int] = partial(lib.srtp_unprotect, *given)
        self._unprotect_rtcp: Callable[[], int] = partial(lib.srtp_unprotect_rtcp, *given)
        self._source = b""
        self._sources: set[bytes] = set()
        self._newest = b""
        """The last packet, protected."""
        self._reports: dict[bytes, int] = {}
        """By SSRC, the highest index of reports."""
        self._reports_before: dict[bytes, int] = {}
        """The same of those that came to another process: libsrtp does not know that they were there."""
        return before

    def lock_by(self, protection: Protection) -> None:
        """Do everything by the packet path from now on, which uses the same contexts in another thread."""
        buffer, length = (int(ffi.cast("uintptr_t", one)) for one in (self._buffer, self._length))
        self._protect, self._protect_rtcp, self._unprotect, self._unprotect_rtcp = (
            protection(operation, buffer, length)
            for operation in (_PROTECT, _PROTECT_RTCP, _UNPROTECT, _UNPROTECT_RTCP)
        )

    def protect(self, packet: bytes) -> bytes | None:
        """Protect an RTP packet; return None if its sequence number was already used.

        Raises:
            LocalProtocolError: it does not fit a datagram.
        """
        size = len(packet)
        if size > _MAX_PLAIN:
            raise LocalProtocolError(f"a packet of {size} bytes does not fit a datagram")
        view, length = self._view, self._length
        view[:size] = packet
        length[0] = size
        if self._protect():
            return None
        protected: bytes = view[: size + self._tag]
        return protected

    def note_in(self, used: UsedNumbers | None) -> None:
        """Note in a ledger which reports may have been sent, before they are; those of before at once."""
        self._used = used
        if used is not None:
            self._reserved = used.reserve_reports(self._report_index)

    def protect_rtcp(self, packet: bytes) -> bytes | None:
        """Protect a compound RTCP packet; return None if libsrtp refuses.

        Raises:
            LocalProtocolError: it does not fit a datagram.
        """
        size = len(packet)
        if size > _MAX_PLAIN:
            raise LocalProtocolError(f"a report of {size} bytes does not fit a datagram")
        if self._owed and not self._use_up(packet):
            return None
        if self._used is not None and self._report_index >= self._reserved:
            self._reserved = self._used.reserve_reports(self._report_index)
        self._view[0:size] = packet
        self._length[0] = size
        if self._protect_rtcp():
            return None
        self._report_index += 1
        protected: bytes = self._view[0 : self._length[0]]
        return protected

    def unprotect(self, packet: bytes) -> bytes | Refusal:
        """Verify and decrypt an RTP packet of at most 1500 bytes."""
        source = packet[8:12]
        if source != self._source and not self._admits(source):
            return Refusal.TOO_MANY_SOURCES
        size = len(packet)
        view, length = self._view, self._length
        view[:size] = packet
        length[0] = size
        status = self._unprotect()
        if status:
            return Refusal.REPLAYED if status in _REPLAYED else Refusal.BAD
        if source != self._source:
            self._source = source
            self._sources.add(source)
        self._newest = packet
        plain: bytes = view[: size - self._tag]
        return plain

    def unprotect_rtcp(self, packet: bytes) -> bytes | Refusal:
        """Verify and decrypt a compound RTCP packet of at most 1500 bytes."""
        if not self._admits(packet[4:8]):
            return Refusal.TOO_MANY_SOURCES
        size, source, index = len(packet), packet[4:8], self._index_of(packet)
        if index <= self._reports_before.get(source, -1):
            return Refusal.REPLAYED
        self._view[0:size] = packet
        self._length[0] = size
        status = self._unprotect_rtcp()
        if status == _OK:
            self._sources.add(source)
            self._reports[source] = max(index, self._reports.get(source, 0))
            plain: bytes = self._view[0 : self._length[0]]
            return plain
        return Refusal.REPLAYED if status in _REPLAYED else Refusal.BAD

    def snapshot(self, sent: tuple[int, int | None], heard: tuple[int, int] | None) -> SrtpSnapshot:
        """Return keys and indexes; nothing must be sent or received any more.

        Args:
            sent: SSRC of our stream, and number of its last packet; None before the first.
            heard: SSRC and highest sequence number of the peer's stream.

        Raises:
            HandoverRefused: libsrtp stands elsewhere.
        """
        received: dict[int, int] = {}
        ssrc, sequence = sent
        if heard is not None:
            source, *numbers = heard
            if int.from_bytes(self._newest[8:12], "big") == source:
                # Later than what the session has seen, or long past where the packet path took all since.
                newest = int.from_bytes(self._newest[2:4], "big")
                if (newest - numbers[0]) & 0xFFFF < 0x8000:
                    numbers.insert(0, newest)
            stands = self._stands(self._receive_session, self._unprotect, source, *numbers)
            received = {} if stands is None else {source: stands}
        return SrtpSnapshot(
            profile=next(name for name, one in PROFILES.items() if one == self._profile),
            send_key=self._keys[0],
            receive_key=self._keys[1],
            ssrc=ssrc,
            index=(
                None
                if sequence is None
                else self._stands(self._send_session, self._protect, ssrc, sequence & 0xFFFF)
            ),
            report_index=self._report_index,
            received=received,
            received_reports={
                int.from_bytes(source, "big"): index
                for source, index in (self._reports_before | self._reports).items()
            },
        )

    @classmethod
    def restored(cls, stood: SrtpSnapshot) -> Self:
        """Go on where another process stopped: no index is used twice, none is taken twice.

        Raises:
            HandoverRefused: the keys are of no profile, or libsrtp does not take the numbers.
        """
        profile, keys = PROFILES.get(stood.profile), (stood.send_key, stood.receive_key)
        if profile is None or any(len(key) != SUITES[stood.profile] for key in keys):
            raise HandoverRefused("the SRTP profile of the call is not supported here")
        made = cls(profile, send_key=keys[0], receive_key=keys[1])
        made.follow(stood)
        return made

    def follow(self, stood: SrtpSnapshot) -> None:
        """Count all that was sent and received before as used; of fresh contexts, with the same keys.

        Raises:
            HandoverRefused: libsrtp does not take the numbers.
        """
        if (last := stood.index) is not None:
            _pass(self._send, None, stood.ssrc, chain(range(0, last, _STRIDE), (last,)))
        for source, last in stood.received.items():
            # All numbers of the window, so that none of them is taken again.
            first = max(0, last + 1 - _WINDOW)
            numbers = chain(range(0, first, _STRIDE), range(first, last + 1))
            theirs = _session(self._profile, stood.receive_key, Policy.SSRC_ANY_OUTBOUND)
            _pass(srtp_handle(theirs), self._receive, source, numbers)
            self._sources.add(source.to_bytes(4, "big"))
        self._report_index = self._owed = stood.report_index
        self._reports_before = {
            source.to_bytes(4, "big"): index for source, index in stood.received_reports.items()
        }

    def _stands(
        self, session: Session, use: Callable[[], int], ssrc: int, *sequences: int
    ) -> int | None:
        """Return the index of the newest packet of a stream, None before its first; `sequences` are what it may be, the latest first."""
        rollovers = srtp_rollovers(session, ssrc)
        if rollovers is None:
            return None
        for sequence in sequences:
            self._view[: HEADER.size + self._tag] = _header(ssrc, sequence) + bytes(self._tag)
            self._length[0] = HEADER.size if use is self._protect else HEADER.size + self._tag
            if use() == _IN_WINDOW:
                return rollovers << 16 | sequence
        raise HandoverRefused("the numbers of a stream do not agree")

    def _use_up(self, packet: bytes) -> bool:
        """Let libsrtp pass the indexes of earlier reports, of which it cannot be told; return whether it has."""
        self._view[:8] = b"\x80\xc9\0\1" + packet[4:8]
        length, use = self._length, self._protect_rtcp
        for _ in range(min(self._owed, _USED_UP_AT_ONCE)):
            length[0] = 8
            use()
            self._owed -= 1
        return not self._owed

    def _index_of(self, packet: bytes) -> int:
        """Return the index of a protected RTCP packet."""
        end = len(packet)
        if self._profile != PROFILES["AEAD_AES_128_GCM"]:
            end -= _REPORT_TAG_BYTES
        return int.from_bytes(packet[max(0, end - _INDEX_BYTES) : max(0, end)], "big") & _INDEX

    def _admits(self, source: bytes) -> bool:
        # libsrtp keeps state for every SSRC that was authenticated.
        return source in self._sources or len(self._sources) < MAX_SOURCES


def _session(profile: int, key: bytes, direction: int) -> Session:
    policy = Policy(key=key, ssrc_type=direction, srtp_profile=profile)
    policy.window_size = _WINDOW
    policy.allow_repeat_tx = False
    return Session(policy)


def _header(ssrc: int, sequence: int) -> bytes:
    header: bytes = HEADER.pack(0x80, 0, sequence & 0xFFFF, 0, ssrc)
    return header


def _pass(send: Any, receive: Any, ssrc: int, indexes: Iterable[int]) -> None:  # noqa: ANN401
    """Let one or two contexts of libsrtp pass indexes, with packets that go nowhere."""
    packet, length = ffi.new("unsigned char[]", _BUFFER_BYTES), ffi.new("int *")
    view = ffi.buffer(packet)
    for index in indexes:
        view[: HEADER.size] = _header(ssrc, index)
        length[0] = HEADER.size
        if lib.srtp_protect(send, packet, length) or (
            receive is not None and lib.srtp_unprotect(receive, packet, length)
        ):
            raise HandoverRefused("libsrtp rejects the packet indexes of a stream")
