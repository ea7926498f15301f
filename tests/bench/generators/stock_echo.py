"""The echo server of stock aiortc that the bench compares with: the pattern most projects use.

One `RTCPeerConnection` a caller; what it says is brought to 16 kHz mono, as a speech service would
want it, and sent back. `POST /offer {"type": "offer", "sdp": …}` is answered with the same form.
The same program runs on libwebrtc, whose bindings (PyPI's `wrtc`) offer aiortc's interface.

    python -m tests.bench.generators.stock_echo --port 8090 [--library webrtc.aiortc]
"""

import argparse
import importlib
from fractions import Fraction
from types import ModuleType
from typing import Any

import aiortc
import av
from aiohttp import web

RATE = 16_000
PEERS: web.AppKey[set[Any]] = web.AppKey("peers")
LIBRARY: web.AppKey[ModuleType] = web.AppKey("library")


def echo_track(library: ModuleType, heard: Any) -> Any:
    """Make the track that gives back what another one says, as 16 kHz mono."""

    class EchoTrack(library.MediaStreamTrack):  # type: ignore[name-defined,misc]
        kind = "audio"

        def __init__(self) -> None:
            super().__init__()
            self._resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
            self._pts = 0

        async def recv(self) -> av.AudioFrame:
            while True:
                frame = await heard.recv()
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

    return EchoTrack()


async def answer(request: web.Request) -> web.Response:
    """Answer one offer."""
    offer = await request.json()
    library, peers = request.app[LIBRARY], request.app[PEERS]
    connection = library.RTCPeerConnection(library.RTCConfiguration(iceServers=[]))
    peers.add(connection)

    def on_track(track: Any) -> None:
        connection.addTrack(echo_track(library, track))

    async def on_state() -> None:
        if connection.connectionState in ("failed", "closed"):
            await connection.close()
            peers.discard(connection)

    connection.on("track", on_track)
    connection.on("connectionstatechange", on_state)
    await connection.setRemoteDescription(library.RTCSessionDescription(offer["sdp"], "offer"))
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


def make_app(library: ModuleType = aiortc) -> web.Application:
    """Make the server on aiortc, or on what has its interface."""
    app = web.Application()
    app[PEERS], app[LIBRARY] = set(), library
    app.router.add_post("/offer", answer)
    app.router.add_get("/readyz", ready)
    app.on_shutdown.append(close_all)
    return app


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--library", default="aiortc", help="or webrtc.aiortc")
    options = parser.parse_args()
    library = importlib.import_module(options.library)
    if options.library == "webrtc.aiortc":
        importlib.import_module("webrtc").allow_loopback()
    web.run_app(make_app(library), host=options.host, port=options.port, print=None)


if __name__ == "__main__":
    main()
