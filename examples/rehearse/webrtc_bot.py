"""The same bot as a WebRTC peer, by aiortc: it offers, and greets as soon as it hears the call.

    media-bridge rehearse SCENARIO.toml --listen --protocol webrtc

with `command = "python examples/rehearse/webrtc_bot.py"` below `[bot]` in the scenario. Keys that are pressed do not reach it:
aiortc has no telephone events.
"""

import asyncio
import time
from contextlib import suppress
from fractions import Fraction

import aiohttp
import aioice.ice
import av
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from bridge_call import CALL_ID, hang_up, post
from conversation import Conversation

aioice.ice.get_host_addresses = lambda *_, **__: ["127.0.0.1"]  # where aiortc looks for no peer

RATE = 48_000
FRAME = RATE // 50


class Voice(MediaStreamTrack):
    """What the bot says: 20 ms at a time, in real time."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.waiting = np.zeros(0, np.int16)
        self.sent = 0
        self.began = time.monotonic()

    async def recv(self) -> av.AudioFrame:
        await asyncio.sleep(max(0.0, self.began + self.sent / RATE - time.monotonic()))
        samples = np.zeros((1, FRAME), np.int16)
        pcm, self.waiting = self.waiting[:FRAME], self.waiting[FRAME:]
        samples[0, : len(pcm)] = pcm
        frame = av.AudioFrame.from_ndarray(samples, layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), self.sent
        self.sent += FRAME
        return frame


async def main() -> None:
    bot, voice = Conversation(RATE), Voice()
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    connection.addTrack(voice)
    async with aiohttp.ClientSession() as session:
        await connection.setLocalDescription(await connection.createOffer())
        offer = {"callID": CALL_ID, "sdp": connection.localDescription.sdp, "machine": True}
        answer = await post(session, "/call/webrtc/offer", offer)
        await connection.setRemoteDescription(RTCSessionDescription(answer["sdp"], "answer"))
        caller = connection.getReceivers()[0].track
        await caller.recv()
        bot.greet()
        with suppress(MediaStreamError):  # the caller has hung up
            while not bot.over:
                frame = await caller.recv()
                bot.hear(frame.to_ndarray()[0, :: len(frame.layout.channels)])
                if bot.queue.cut:
                    voice.waiting, bot.queue.cut = voice.waiting[:0], False
                voice.waiting = np.concatenate([voice.waiting, bot.queue.due()])
            await hang_up(session)
        await connection.close()


if __name__ == "__main__":
    asyncio.run(main())
