"""Peers with ECDSA and with RSA certificates, of two stacks, in both DTLS roles."""

from typing import Any

import pytest
from aiortc import RTCCertificate
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from OpenSSL import SSL
from typing_extensions import override

from tests.support.peers.bridge_peer import BridgePeer, talk, value
from tests.support.peers.light_peer import LightPeer

SETUPS = ("actpass", "active", "passive")
"""What the peer offers; it is the DTLS client where it says `active`, else the server."""


class RsaCertificate(RTCCertificate):
    """An RSA certificate as GStreamer makes them, with suites that such a server can speak."""

    @override
    def _create_ssl_context(self, srtp_profiles):
        context: SSL.Context = super()._create_ssl_context(srtp_profiles)
        context.set_cipher_list(b"ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256")
        return context


def rsa_certificate():
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    template = RTCCertificate.generateCertificate()._cert
    certificate = (
        x509.CertificateBuilder()
        .subject_name(template.subject)
        .issuer_name(template.issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(template.not_valid_before_utc)
        .not_valid_after(template.not_valid_after_utc)
        .sign(key, hashes.SHA256())
    )
    unusual: Any = key  # aiortc makes none of these itself
    return RsaCertificate(unusual, certificate)


@pytest.mark.parametrize("setup", SETUPS)
@pytest.mark.parametrize("make", [RTCCertificate.generateCertificate, rsa_certificate])
async def test_a_stock_peer_connects_with_either_certificate_in_either_role(make, setup):
    async with BridgePeer() as bridge, LightPeer(certificate=make()) as browser:
        offer = (await browser.offer()).replace("a=setup:actpass", f"a=setup:{setup}")
        await browser.accept(await bridge.exchange(offer))
        await bridge.connected()
        await talk(browser, 3)


@pytest.mark.libwebrtc
@pytest.mark.parametrize("setup", SETUPS)
@pytest.mark.parametrize("certificate", ["ecdsa", "rsa"])
async def test_libwebrtc_connects_with_either_certificate_in_either_role(certificate, setup):
    from tests.support.peers.libwebrtc_peer import LibwebrtcPeer, tone_level

    async with BridgePeer() as bridge, LibwebrtcPeer.open(certificate) as browser:

        async def exchange(offer):
            answer = await bridge.exchange(offer.replace("a=setup:actpass", f"a=setup:{setup}"))
            assert value(answer, "setup") == ("passive" if setup == "active" else "active")
            return answer

        await browser.call(exchange)
        await bridge.connected()
        await browser.hear(0.3)
        assert tone_level(await browser.hear(0.3)) > 0.05
