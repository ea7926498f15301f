"""A telephone's WebRTC stack (libwebrtc) and a WhatsApp user at a double of Meta's API."""

import numpy as np
import pytest
from scipy.signal import resample_poly

from tests.calls.whatsapp.test_cloud import world
from tests.support.sound.speech_compare import likeness
from tests.support.sound.voices import words
from tests.support.whatsapp.graph_double import USER

SECONDS = 3.0

pytestmark = [pytest.mark.full, pytest.mark.call]


@pytest.mark.libwebrtc
async def test_a_phone_and_a_whatsapp_user_understand_each_other():
    from tests.support.peers.libwebrtc_peer import LibwebrtcPeer

    phone_says, user_says = words(0, SECONDS), words(1, SECONDS)
    wide = np.clip(resample_poly(phone_says.astype(float), 3, 1), -32768, 32767).astype(np.int16)
    async with world(speech=user_says) as meta, LibwebrtcPeer.open(sound=wide) as phone:
        call_id = await meta.client.dial(USER)
        rung = meta.graph.last
        await phone.call(meta.client.exchange(call_id))
        await meta.client.until_state(call_id, "ringing")
        await meta.graph.pick_up(rung)
        await rung.media.wait_heard(0.5)
        _, samples = await phone.listen(6.0)
        heard = (resample_poly(samples, 1, 3) * 32767).astype(np.int16)
        assert likeness(phone_says, rung.media.heard) > 0.7
        assert likeness(user_says, heard) > 0.7
        await meta.graph.hang_up(rung)
        await meta.client.until_state(call_id, "gone")
