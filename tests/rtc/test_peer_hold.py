"""Hold by renegotiation: the audio comes back, checked by its samples."""

import pytest

from tests.support.peers.bridge_peer import BridgePeer


@pytest.mark.libwebrtc
@pytest.mark.parametrize("held", ["inactive", "sendonly"])
async def test_a_native_sink_of_libwebrtc_gets_audio_again_after_hold(held):
    from tests.support.peers.libwebrtc_peer import LibwebrtcPeer, tone_level

    async with BridgePeer() as bridge, LibwebrtcPeer.open() as browser:
        await browser.call(bridge.exchange)
        await bridge.connected()
        await browser.hear(0.3)
        assert tone_level(await browser.hear(0.3)) > 0.05
        browser.transceiver.direction = held
        await browser.call(bridge.exchange)
        browser.transceiver.direction = "sendrecv"
        await browser.call(bridge.exchange)
        await browser.hear(0.5)
        assert tone_level(await browser.hear(0.3)) > 0.05
