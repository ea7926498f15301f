"""The stock-aiortc echo server that the bench compares with: the pattern most projects use.

One `RTCPeerConnection` a caller; what it says is brought to 16 kHz mono, as a speech service would
want it, and sent back. `POST /offer {"type": "offer", "sdp": …}` is answered with the same form.

    python -m tests.load.stock_echo --port 8090
"""

import argparse
from fractions import Fraction

import av
from aiohttp import web
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack
from typing_extensions import override

RATE = 16_000
PEERS: web.AppKey[set[RTCPeerConnection]] = web.AppKey("peers")


class EchoTrack(MediaStreamTrack):
    """Gives back what another track says, as 16 kHz mono."""

    kind = "audio"

    def __init__(self, heard: MediaStreamTrack) -> None:
        super().__init__()
        self._heard = heard
        self._resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
        self._pts = 0

    @override
    async def recv(self) -> av.AudioFrame:
        while True:
            frame = await self._heard.recv()
            assert isinstance(frame, av.AudioFrame)
            for part in self._resampler.resample(frame):
                return self._echo(part)

    def _echo(self, part: av.AudioFrame) -> av.AudioFrame:
        pcm = part.to_ndarray()
        frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout="mono")
        frame.sample_rate = RATE
        frame.pts = self._pts
        frame.time_base = Fraction(1, RATE)
        self._pts += pcm.shape[1]
        return frame


async def answer(request: web.Request) -> web.Response:
    """Answer one offer."""
    offer = await request.json()
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    peers = request.app[PEERS]
    peers.add(connection)

    def on_track(track: MediaStreamTrack) -> None:
        connection.addTrack(EchoTrack(track))

    async def on_state() -> None:
        if connection.connectionState in ("failed", "closed"):
            await connection.close()
            peers.discard(connection)

    connection.on("track", on_track)
    connection.on("connectionstatechange", on_state)
    await connection.setRemoteDescription(RTCSessionDescription(offer["sdp"], "offer"))
    await connection.setLocalDescription(await connection.createAnswer())
    return web.json_response({"type": "answer", "sdp": connection.localDescription.sdp})


async def ready(_: web.Request) -> web.Response:
    """Say that the server listens."""
    return web.Response(text="ready")


async def close_all(app: web.Application) -> None:
    """End every call."""
    peers = app[PEERS]
    for connection in tuple(peers):
        await connection.close()


def make_app() -> web.Application:
    """Make the server."""
    app = web.Application()
    app[PEERS] = set()
    app.router.add_post("/offer", answer)
    app.router.add_get("/readyz", ready)
    app.on_shutdown.append(close_all)
    return app


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    web.run_app(make_app(), host=options.host, port=options.port, print=None)


if __name__ == "__main__":
    main()
