"""Certificates, and the DTLS handshake that gives a call its SRTP keys (RFC 5763, RFC 5764)."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, cast

from aiortc import (
    RTCCertificate,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCDtlsTransport,
    RTCIceTransport,
)
from aiortc.rtcdtlstransport import SRTP_AEAD_AES_128_GCM, SRTP_AES128_CM_SHA1_80

from bridge.errors import NegotiationFailed
from bridge.rtc import private_api, trace
from bridge.rtc.link import IceLink
from bridge.rtc.srtp import Srtp

_RENEW_SECONDS: Final = 86_400.0
_ALGORITHM: Final = "sha-256"
# The cheapest first; keys of 256 bits would cost a fifth more per packet and win nothing here.
_PROFILES: Final = [SRTP_AEAD_AES_128_GCM, SRTP_AES128_CM_SHA1_80]


@dataclass(frozen=True, slots=True)
class Certificate:
    """A self-signed P-256 certificate with its key."""

    stock: RTCCertificate
    fingerprint: str
    """SHA-256, upper-case hexadecimal with colons."""


class Certificates:
    """One certificate at a time, renewed daily; calls keep the one they began with."""

    def __init__(self) -> None:
        self._current: Certificate | None = None
        self._made_at = 0.0

    def current(self, now: float) -> Certificate:
        """Give the certificate for new associations; makes one when the last is a day old.

        Args:
            now: Monotonic seconds.
        """
        if self._current is None or now - self._made_at >= _RENEW_SECONDS:
            stock = private_api.DtlsCertificate.generateCertificate()
            prints = {one.algorithm: one.value for one in stock.getFingerprints()}
            self._current = Certificate(stock, prints[_ALGORITHM])
            self._made_at = now
        return self._current


class Dtls:
    """One DTLS association over a link.

    Args:
        link: What records travel on.
        certificate: Ours.
        role: From the session description, never from ICE.
        on_closed: Called once when the peer ends an established association.
    """

    def __init__(
        self,
        link: IceLink,
        certificate: Certificate,
        *,
        role: Literal["client", "server"],
        on_closed: Callable[[], None],
    ) -> None:
        self._role = role
        self._on_closed = on_closed
        self._established = False
        self._stock = RTCDtlsTransport(cast("RTCIceTransport", link), [certificate.stock])
        private_api.dtls_prepare(self._stock, role=role, profiles=_PROFILES)
        self._stock.add_listener("statechange", self._state_changed)

    async def connect(self, fingerprint: str) -> Srtp:
        """Shake hands, hold the peer's certificate to its fingerprint and derive the keys.

        Args:
            fingerprint: SHA-256 from the peer's description.

        Raises:
            NegotiationFailed: `fingerprint`, `srtp_profile` or `handshake`.
        """
        expected = RTCDtlsFingerprint(algorithm=_ALGORITHM, value=fingerprint)
        await self._stock.start(RTCDtlsParameters(fingerprints=[expected]))
        if self._stock.state != "connected":
            raise NegotiationFailed("DTLS failed", stage="dtls", reason=self._failure())
        self._established = True
        trace.dtls_connected(
            role=self._role,
            cipher=private_api.dtls_cipher(self._stock),
            profile=private_api.dtls_profile(self._stock).decode(),
        )
        return self._keys()

    async def aclose(self) -> None:
        """Tell the peer (close_notify) and stop; safe to repeat and in any state."""
        self._established = False
        task = private_api.dtls_task(self._stock)
        await self._stock.stop()
        if task is not None:
            await asyncio.gather(task, return_exceptions=True)
        self._stock.remove_all_listeners()

    def _failure(self) -> str:
        if not self._stock.encrypted:
            return "handshake"
        return "fingerprint" if private_api.dtls_profile(self._stock) else "srtp_profile"

    def _keys(self) -> Srtp:
        agreed = private_api.dtls_profile(self._stock)
        profile = next(one for one in _PROFILES if one.openssl_profile == agreed)
        length = 2 * (profile.key_length + profile.salt_length)
        material = private_api.dtls_keying_material(self._stock, length)
        private_api.dtls_forget_srtp(self._stock)
        client, server = (profile.get_key_and_salt(material, side) for side in (0, 1))
        ours, theirs = (client, server) if self._role == "client" else (server, client)
        return Srtp(profile.libsrtp_profile, send_key=ours, receive_key=theirs)

    def _state_changed(self) -> None:
        if self._established and self._stock.state == "closed":
            self._established = False
            self._on_closed()
