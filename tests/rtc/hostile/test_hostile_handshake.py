"""DTLS with peers that are not who they should be, or want less than is safe, in both roles."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from OpenSSL import SSL

from bridge.errors import NegotiationFailed
from bridge.rtc.config import Timeouts
from tests.support.packets.hostile_datagrams import DTLS, port_of
from tests.support.packets.packet_path import caught_up
from tests.support.peers.bridge_peer import BridgePeer, Prober, Stranger, talk, value
from tests.support.peers.light_peer import LightPeer
from tests.support.waiting import until

DTLS_1_0 = 0xFEFF
PROFILES = b"SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80"
ROLES = ["actpass", "active"]
"""What the browser offers: we are the client of the first, and the server of the second."""
TIMEOUTS = Timeouts(ice=2.0, dtls=2.0, setup=4.0)


def certificate_of(browser: LightPeer) -> Any:
    dtls: Any = browser.dtls
    return dtls._RTCDtlsTransport__local_certificate


def modern(browser):
    """What a browser does."""
    context = SSL.Context(SSL.DTLS_METHOD)
    context.set_verify(SSL.VERIFY_PEER, lambda *_: True)
    certificate = certificate_of(browser)
    context.use_certificate(certificate._cert)
    context.use_privatekey(certificate._key)
    context.set_tlsext_use_srtp(PROFILES)
    return context


def without_srtp(browser):
    context = SSL.Context(SSL.DTLS_METHOD)
    certificate = certificate_of(browser)
    context.set_verify(SSL.VERIFY_PEER, lambda *_: True)
    context.use_certificate(certificate._cert)
    context.use_privatekey(certificate._key)
    return context


def without_a_certificate(browser):
    context = SSL.Context(SSL.DTLS_METHOD)
    context.set_tlsext_use_srtp(PROFILES)
    return context


def with_a_short_tag(browser):
    context = modern(browser)
    context.set_tlsext_use_srtp(b"SRTP_AES128_CM_SHA1_32")
    return context


def of_1_0(browser):
    context = modern(browser)
    context.set_cipher_list(b"ALL:@SECLEVEL=0")
    context.set_min_proto_version(DTLS_1_0)
    context.set_max_proto_version(DTLS_1_0)
    return context


def unencrypted(browser):
    context = modern(browser)
    context.set_cipher_list(b"NULL:@SECLEVEL=0")
    return context


def anonymous(browser):
    context = modern(browser)
    context.set_cipher_list(b"aNULL:@SECLEVEL=0")
    return context


async def handshake(setup: str, context: Callable[[LightPeer], SSL.Context]) -> str:
    """Let a browser with this context connect; return why it failed, or nothing."""
    async with BridgePeer(timeouts=TIMEOUTS) as bridge, LightPeer() as browser:
        certificate_of(browser)._create_ssl_context = lambda **_: context(browser)
        offer = (await browser.offer()).replace("a=setup:actpass", f"a=setup:{setup}")
        answer = await bridge.exchange(offer)
        accepting = asyncio.create_task(browser.accept(answer))
        try:
            await bridge.connected()
        except NegotiationFailed as failed:
            await until(lambda: bridge.pool.free == 4)
            return f"{failed.stage} {failed.reason}"
        finally:
            accepting.cancel()
            await asyncio.wait([accepting])
        return ""


@pytest.mark.parametrize("setup", ROLES)
async def test_what_a_browser_does_connects(setup):
    assert await handshake(setup, modern) == ""


@pytest.mark.parametrize("setup", ROLES)
@pytest.mark.parametrize(
    ("context", "reason"),
    [
        (without_srtp, "dtls srtp_profile"),
        (with_a_short_tag, "dtls srtp_profile"),
        (without_a_certificate, "dtls handshake"),
        (of_1_0, "dtls handshake"),
        (unencrypted, "dtls handshake"),
        (anonymous, "dtls handshake"),
    ],
)
async def test_insecure_dtls_fails_and_is_freed(setup, context, reason):
    assert await handshake(setup, context) == reason


@pytest.mark.parametrize("context", [of_1_0, anonymous])
async def test_two_of_these_would_connect_with_each_other(context):
    """So it is the bridge that refuses them."""
    async with LightPeer() as one, LightPeer() as other:
        client = SSL.Connection(context(one))
        server = SSL.Connection(context(other))
        client.set_connect_state()
        server.set_accept_state()
        done = set()
        for _ in range(20):
            for party, far in ((client, server), (server, client)):
                with suppress(SSL.WantReadError):
                    party.do_handshake()
                    done.add(party)
                with suppress(SSL.WantReadError):
                    far.bio_write(party.bio_read(9000))
        assert done == {client, server}


@pytest.mark.parametrize("setup", ROLES)
async def test_another_certificate_than_the_offer_names_is_refused_in_both_roles(setup):
    async with BridgePeer() as bridge, LightPeer() as browser:
        offer = (await browser.offer()).replace("a=setup:actpass", f"a=setup:{setup}")
        wrong = ":".join(["AB"] * 32)
        answer = await bridge.exchange(offer.replace(value(offer, "fingerprint")[8:], wrong))
        accepting = asyncio.create_task(browser.accept(answer))
        with pytest.raises(NegotiationFailed) as failed:
            await bridge.connected()
        await asyncio.wait([accepting])
        assert (failed.value.stage, failed.value.reason) == ("dtls", "fingerprint")
        await until(lambda: bridge.pool.free == 4)


@pytest.mark.parametrize("setup", ROLES)
@pytest.mark.parametrize("kind", DTLS)
async def test_a_spray_of_one_kind_of_record_does_not_win_the_race(setup, kind, caplog):
    async with BridgePeer() as bridge, LightPeer() as browser:
        offer = (await browser.offer()).replace("a=setup:actpass", f"a=setup:{setup}")
        answer = await bridge.exchange(offer)
        with Stranger(port_of(answer)) as stranger:
            sent = stranger.spray([DTLS[kind]], times=20)

            async def keep_spraying():
                nonlocal sent
                while True:
                    sent += stranger.spray([DTLS[kind]])
                    await asyncio.sleep(0)
                    await caught_up()

            spraying = asyncio.create_task(keep_spraying())
            await browser.accept(answer)
            await bridge.connected()
            spraying.cancel()
            await talk(browser, 3)
            await until(lambda: bridge.discarded.get("unknown_source") == sent)
            assert stranger.received() == []
    assert caplog.records == []


async def test_a_handshake_that_stops_halfway_is_freed(caplog):
    async with BridgePeer(timeouts=Timeouts(dtls=0.4)) as bridge, LightPeer() as browser:
        offer = (await browser.offer(candidates=False)).replace("actpass", "active")
        prober = await Prober.open(browser, offer, await bridge.exchange(offer))
        prober.check(nominate=True)
        await until(lambda: prober.responses)
        client = SSL.Connection(modern(browser))
        client.set_connect_state()
        with pytest.raises(SSL.WantReadError):
            client.do_handshake()
        prober.transport.sendto(client.bio_read(1500), prober.target)
        with pytest.raises(NegotiationFailed) as failed:
            await bridge.connected()
        assert (failed.value.stage, failed.value.reason) == ("dtls", "timeout")
        await until(lambda: bridge.pool.free == 4)
    assert caplog.records == []
