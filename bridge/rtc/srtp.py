"""SRTP through libsrtp with reused buffers; only the result is allocated.

pylibsrtp's `Session.protect` allocates buffers for every packet, so its library is called directly.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from functools import partial
from typing import Final, TypeAlias

from pylibsrtp import Policy, Session

from bridge.errors import LocalProtocolError
from bridge.rtc.limits import MAX_SOURCES
from bridge.rtc.private_api import srtp_ffi as ffi
from bridge.rtc.private_api import srtp_handle
from bridge.rtc.private_api import srtp_lib as lib

PROFILES: Final[Mapping[str, int]] = {
    "AES_CM_128_HMAC_SHA1_80": Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    "AES_CM_128_HMAC_SHA1_32": Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
    "AEAD_AES_128_GCM": Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
}
"""By the name of the suite in `a=crypto` (RFC 4568, RFC 7714)."""

_WINDOW: Final = 1024
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
        "_length",
        "_profile",
        "_protect",
        "_protect_rtcp",
        "_receive",
        "_receive_session",
        "_send",
        "_send_session",
        "_source",
        "_sources",
        "_tag",
        "_unprotect",
        "_unprotect_rtcp",
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
        self._receive_session: Session | None = None
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
        before = self._receive_session
        self._receive_session = _session(self._profile, key, Policy.SSRC_ANY_INBOUND)
        self._receive = srtp_handle(self._receive_session)
        given = self._receive, self._buffer, self._length
        self._unprotect: Callable[[], int] = partial(lib.srtp_unprotect, *given)
        self._unprotect_rtcp: Callable[[], int] = partial(lib.srtp_unprotect_rtcp, *given)
        self._source = b""
        self._sources: set[bytes] = set()
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

    def protect_rtcp(self, packet: bytes) -> bytes | None:
        """Protect a compound RTCP packet; return None if libsrtp refuses.

        Raises:
            LocalProtocolError: it does not fit a datagram.
        """
        size = len(packet)
        if size > _MAX_PLAIN:
            raise LocalProtocolError(f"a report of {size} bytes does not fit a datagram")
        self._view[0:size] = packet
        self._length[0] = size
        if self._protect_rtcp():
            return None
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
        plain: bytes = view[: size - self._tag]
        return plain

    def unprotect_rtcp(self, packet: bytes) -> bytes | Refusal:
        """Verify and decrypt a compound RTCP packet of at most 1500 bytes."""
        if not self._admits(packet[4:8]):
            return Refusal.TOO_MANY_SOURCES
        size = len(packet)
        self._view[0:size] = packet
        self._length[0] = size
        status = self._unprotect_rtcp()
        if status == _OK:
            self._sources.add(packet[4:8])
            plain: bytes = self._view[0 : self._length[0]]
            return plain
        return Refusal.REPLAYED if status in _REPLAYED else Refusal.BAD

    def _admits(self, source: bytes) -> bool:
        # libsrtp keeps state for every SSRC that was authenticated.
        return source in self._sources or len(self._sources) < MAX_SOURCES


def _session(profile: int, key: bytes, direction: int) -> Session:
    policy = Policy(key=key, ssrc_type=direction, srtp_profile=profile)
    policy.window_size = _WINDOW
    policy.allow_repeat_tx = False
    return Session(policy)
