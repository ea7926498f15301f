"""Say back whatever the caller says: the smallest Pipecat program that answers a call."""

import os

import numpy as np
import uvicorn
from fastapi import FastAPI, WebSocket
from pipecat.frames.frames import Frame, InputAudioRawFrame, OutputAudioRawFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.runner.utils import parse_telephony_websocket
from pipecat.serializers.twilio import TwilioFrameSerializer
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams, FastAPIWebsocketTransport
from pipecat.workers.runner import WorkerRunner

LOUD = 300  # a sample at -40 dB
PAUSE_FRAMES = 10  # 0.2 s
PORT = int(os.environ.get("PORT", "8765"))

app = FastAPI()


class Echo(FrameProcessor):
    """Turns what was heard into what is said, but for the pauses.

    Pipecat sends at the pace of playing and never faster: only a pause makes up for a moment in which it was late.
    """

    def __init__(self) -> None:
        super().__init__()
        self._left = 0  # frames until the voice counts as paused

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Pass everything on, and a voice as audio to play."""
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            loud = np.abs(np.frombuffer(frame.audio, "<i2").astype(int)).max() > LOUD
            self._left = PAUSE_FRAMES if loud else max(0, self._left - 1)
            if not self._left:
                return
            frame = OutputAudioRawFrame(frame.audio, frame.sample_rate, frame.num_channels)
        await self.push_frame(frame, direction)


@app.websocket("/ws")
async def answer(websocket: WebSocket) -> None:
    """Talk with one caller until they hang up."""
    await websocket.accept()
    _, call = await parse_telephony_websocket(websocket)
    serializer = TwilioFrameSerializer(
        stream_sid=call["stream_id"],
        call_sid=call["call_id"],
        # With Twilio, Pipecat ends a call by Twilio's API; the bridge ends it when this socket closes.
        params=TwilioFrameSerializer.InputParams(auto_hang_up=False),
    )
    transport = FastAPIWebsocketTransport(
        websocket,
        FastAPIWebsocketParams(
            audio_in_enabled=True, audio_out_enabled=True, serializer=serializer
        ),
    )
    worker = PipelineWorker(
        Pipeline([transport.input(), Echo(), transport.output()]),
        params=PipelineParams(audio_in_sample_rate=8000, audio_out_sample_rate=8000),
        idle_timeout_secs=None,  # for Pipecat an echo is no bot that speaks
    )

    @transport.event_handler("on_client_disconnected")
    async def on_client_disconnected(_transport, _websocket) -> None:
        await worker.cancel()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=PORT, log_level="warning")
