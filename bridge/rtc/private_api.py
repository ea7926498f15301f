"""Every name with an underscore that is borrowed from aiortc, aioice and pylibsrtp.

They are not those libraries' promises: the versions are pinned, `tests/rtc/test_private_api.py` holds
each name to the shape used here, and no other module touches one.
"""

from typing import TYPE_CHECKING, Any

from aioice import Candidate, Connection
from aioice.ice import CandidatePair, StunProtocol
from aiortc import RTCCertificate, RTCDtlsTransport
from aiortc.rtcdtlstransport import SRTPProtectionProfile
from pylibsrtp import Session
from pylibsrtp._binding import ffi, lib  # type: ignore[import-not-found]
from typing_extensions import override

if TYPE_CHECKING:
    import asyncio

    from OpenSSL import SSL

# Forward secrecy only. A DTLS client has to offer the suites of every kind of certificate that a
# server may hold; aiortc offers ECDSA's alone.
_CIPHERS = b":".join(
    b"ECDHE-%s-%s" % (kind, cipher)
    for kind in (b"ECDSA", b"RSA")
    for cipher in (b"AES128-GCM-SHA256", b"CHACHA20-POLY1305", b"AES128-SHA", b"AES256-SHA")
)

srtp_ffi: Any = ffi
srtp_lib: Any = lib


def srtp_handle(session: Session) -> Any:  # noqa: ANN401
    """Give libsrtp's own context of a session, valid as long as the session lives."""
    return session._srtp[0]


class DtlsCertificate(RTCCertificate):
    """A certificate with which peers that hold an ECDSA or an RSA certificate can be met."""

    @override
    def _create_ssl_context(self, srtp_profiles: list[SRTPProtectionProfile]) -> "SSL.Context":
        context = super()._create_ssl_context(srtp_profiles)
        context.set_cipher_list(_CIPHERS)
        return context


def nominated(connection: Connection) -> CandidatePair | None:
    """Give the pair that ICE has chosen for the only component."""
    return connection._nominated.get(1)


def protocols(connection: Connection) -> list[StunProtocol]:
    """Give the connection's sockets, a list to append to while gathering."""
    return connection._protocols


def pairs(connection: Connection) -> list[CandidatePair]:
    """Give the check list, which may be changed."""
    return connection._check_list


def remote_candidates(connection: Connection) -> list[Candidate]:
    """Give the candidates of the peer, offered and learned, a list which may be changed."""
    return connection._remote_candidates


def add_remote_candidate(connection: Connection, candidate: Candidate) -> None:
    """Pair an address of the peer with our sockets; unlike the public way it never waits."""
    connection._add_remote_candidate(candidate, candidate.host)


def dtls_prepare(
    transport: RTCDtlsTransport, *, role: str, profiles: list[SRTPProtectionProfile]
) -> None:
    """Choose, before the handshake, the DTLS role (`client`, `server`) and the SRTP profiles."""
    transport._set_role(role)
    transport._srtp_profiles = profiles


def dtls_profile(transport: RTCDtlsTransport) -> bytes:
    """Give OpenSSL's name of the SRTP profile that was agreed on; empty when none was."""
    connection = transport._ssl
    name: bytes = connection.get_selected_srtp_profile() if connection is not None else b""
    return name


def dtls_cipher(transport: RTCDtlsTransport) -> str:
    """Give OpenSSL's name of the cipher suite of a finished handshake."""
    connection = transport._ssl
    return (connection.get_cipher_name() if connection is not None else None) or ""


def dtls_keying_material(transport: RTCDtlsTransport, length: int) -> bytes:
    """Export the SRTP keys of a finished handshake (RFC 5764 §4.2)."""
    connection = transport._ssl
    assert connection is not None
    material: bytes = connection.export_keying_material(b"EXTRACTOR-dtls_srtp", length)
    return material


def dtls_forget_srtp(transport: RTCDtlsTransport) -> None:
    """Free the SRTP sessions that aiortc has set up for itself."""
    transport._rx_srtp = None  # type: ignore[assignment]
    transport._tx_srtp = None  # type: ignore[assignment]


def dtls_task(transport: RTCDtlsTransport) -> "asyncio.Future[None] | None":
    """Give the task that waits for DTLS records."""
    return transport._task
