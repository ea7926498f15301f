"""Every private name of aiortc, aioice and pylibsrtp that the bridge uses.

The versions are pinned, `tests/rtc/test_private_api.py` checks each name, and no other module uses one.
"""

import asyncio
import ctypes
from typing import TYPE_CHECKING, Any

from aioice import Candidate, Connection
from aioice.ice import CandidatePair, StunProtocol
from aiortc import RTCCertificate, RTCDtlsTransport
from aiortc.rtcdtlstransport import SRTPProtectionProfile
from pylibsrtp import Session, _binding
from pylibsrtp._binding import ffi, lib  # type: ignore[import-not-found]
from typing_extensions import override

if TYPE_CHECKING:
    from OpenSSL import SSL

# Forward secrecy only. A DTLS client must offer suites for every kind of server certificate; aiortc
# offers those for ECDSA alone.
_CIPHERS = b":".join(
    b"ECDHE-%s-%s" % (kind, cipher)
    for kind in (b"ECDSA", b"RSA")
    for cipher in (b"AES128-GCM-SHA256", b"CHACHA20-POLY1305", b"AES128-SHA", b"AES256-SHA")
)

srtp_ffi: Any = ffi
srtp_lib: Any = lib


def srtp_handle(session: Session) -> Any:  # noqa: ANN401
    """Return libsrtp's context of a session, valid while the session lives."""
    return session._srtp[0]


def srtp_rollovers(session: Session, ssrc: int) -> int | None:
    """Return how often the sequence of a stream has begun anew; None for one without packets."""
    # pylibsrtp's library has the function, but does not declare it.
    library = ctypes.CDLL(_binding.__file__)
    found, handle = ctypes.c_uint32(), int(ffi.cast("uintptr_t", session._srtp[0]))
    status = library.srtp_get_stream_roc(
        ctypes.c_void_p(handle), ctypes.c_uint32(ssrc), ctypes.byref(found)
    )
    return None if status else found.value


class DtlsCertificate(RTCCertificate):
    """A certificate usable with peers that have an ECDSA or an RSA certificate."""

    @override
    def _create_ssl_context(self, srtp_profiles: list[SRTPProtectionProfile]) -> "SSL.Context":
        context = super()._create_ssl_context(srtp_profiles)
        context.set_cipher_list(_CIPHERS)
        return context


def nominated(connection: Connection) -> CandidatePair | None:
    """Return the nominated pair of the only component."""
    return connection._nominated.get(1)


def protocols(connection: Connection) -> list[StunProtocol]:
    """Return the connection's sockets, to be appended to while gathering."""
    return connection._protocols


def restore_pair(
    connection: Connection, pair: CandidatePair, local: list[Candidate], tie_breaker: int
) -> None:
    """Let a new connection stand as after `connect`, with a pair that is nominated."""
    connection._tie_breaker = tie_breaker
    connection._local_candidates[:] = local
    connection._local_candidates_start = connection._local_candidates_end = True
    connection._remote_candidates[:] = [pair.remote_candidate]
    connection._remote_candidates_end = True
    pair.nominated, pair.state = True, CandidatePair.State.SUCCEEDED
    pair.remote_candidate._network_host = pair.remote_candidate.host
    connection._check_list[:] = [pair]
    connection._nominated[1] = pair
    connection._check_list_done = connection._early_checks_done = True


def set_credentials(connection: Connection, ufrag: str, password: str) -> None:
    """Set our user fragment and password, before there are sockets."""
    connection._local_username, connection._local_password = ufrag, password


def tie_breaker(connection: Connection) -> int:
    """Return what decides between two agents of the same role."""
    return connection._tie_breaker


def start_consent(connection: Connection) -> None:
    """Begin to query consent, as after `connect`."""
    loop = asyncio.get_running_loop()
    connection._query_consent_task = loop.create_task(connection.query_consent())


def stop_consent(connection: Connection) -> None:
    """Query consent no more."""
    if connection._query_consent_task is not None:
        connection._query_consent_task.cancel()


def pairs(connection: Connection) -> list[CandidatePair]:
    """Return the check list, which may be changed."""
    return connection._check_list


def remote_candidates(connection: Connection) -> list[Candidate]:
    """Return the peer's candidates, offered and peer-reflexive; the list may be changed."""
    return connection._remote_candidates


def add_remote_candidate(connection: Connection, candidate: Candidate) -> None:
    """Pair a candidate with our sockets; unlike the public method, it does not await."""
    connection._add_remote_candidate(candidate, candidate.host)


def dtls_prepare(
    transport: RTCDtlsTransport, *, role: str, profiles: list[SRTPProtectionProfile]
) -> None:
    """Set the DTLS role (`client`, `server`) and the SRTP profiles before the handshake."""
    transport._set_role(role)
    transport._srtp_profiles = profiles


def dtls_profile(transport: RTCDtlsTransport) -> bytes:
    """Return OpenSSL's name of the negotiated SRTP profile; empty without one."""
    connection = transport._ssl
    name: bytes = connection.get_selected_srtp_profile() if connection is not None else b""
    return name


def dtls_cipher(transport: RTCDtlsTransport) -> str:
    """Return OpenSSL's name of the cipher suite after the handshake."""
    connection = transport._ssl
    return (connection.get_cipher_name() if connection is not None else None) or ""


def dtls_keying_material(transport: RTCDtlsTransport, length: int) -> bytes:
    """Export the SRTP keys after the handshake (RFC 5764 §4.2)."""
    connection = transport._ssl
    assert connection is not None
    material: bytes = connection.export_keying_material(b"EXTRACTOR-dtls_srtp", length)
    return material


def dtls_secrets(transport: RTCDtlsTransport) -> tuple[str, bytes, bytes, bytes] | None:
    """Return version, master secret, and the randoms of client and server after the handshake; None before."""
    connection = transport._ssl
    if connection is None:
        return None
    client, server = connection.client_random(), connection.server_random()
    secret = connection.master_key()
    if secret is None or client is None or server is None:
        return None
    return connection.get_protocol_version_name(), secret, client, server


def dtls_discard_srtp(transport: RTCDtlsTransport) -> None:
    """Free aiortc's own SRTP sessions."""
    transport._rx_srtp = None  # type: ignore[assignment]
    transport._tx_srtp = None  # type: ignore[assignment]


def dtls_task(transport: RTCDtlsTransport) -> "asyncio.Future[None] | None":
    """Return the task that reads DTLS records."""
    return transport._task
