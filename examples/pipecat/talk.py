"""Hold a conversation that the caller can interrupt: a Pipecat bot as Pipecat's own telephone examples build it."""

import os

import uvicorn
from fastapi import FastAPI, WebSocket
from local_services import LocalLanguageModel, LocalSpeechToText, LocalTextToSpeech
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.frames.frames import OutputTransportMessageFrame, TTSSpeakFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.runner.utils import parse_telephony_websocket
from pipecat.serializers.twilio import TwilioFrameSerializer
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams, FastAPIWebsocketTransport
from pipecat.workers.runner import WorkerRunner

PORT = int(os.environ.get("PORT", "8765"))
GREETING = "Hello, this is Pipecat."
INVITATION = (
    "Interrupt me whenever you like, or press a key. Until then I count. "
    "One, two, three, four, five, six, seven, eight, nine, ten, eleven, twelve."
)

app = FastAPI()


@app.websocket("/ws")
async def answer(websocket: WebSocket) -> None:
    """Talk with one caller until they hang up."""
    await websocket.accept()
    _, call = await parse_telephony_websocket(websocket)
    stream_sid = call["stream_id"]
    serializer = TwilioFrameSerializer(
        stream_sid=stream_sid,
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
    # Your services go here, for example DeepgramSTTService, OpenAILLMService and CartesiaTTSService.
    stt, llm, tts = LocalSpeechToText(), LocalLanguageModel(), LocalTextToSpeech()
    user, assistant = LLMContextAggregatorPair(
        LLMContext(), user_params=LLMUserAggregatorParams(vad_analyzer=SileroVADAnalyzer())
    )
    worker = PipelineWorker(
        Pipeline([transport.input(), stt, user, llm, tts, transport.output(), assistant]),
        params=PipelineParams(audio_in_sample_rate=8000, audio_out_sample_rate=8000),
    )

    @transport.event_handler("on_client_connected")
    async def on_client_connected(_transport, _websocket) -> None:
        # The mark comes back when the caller has heard the greeting; Pipecat itself does not wait for it.
        mark = {"event": "mark", "streamSid": stream_sid, "mark": {"name": "greeted"}}
        await worker.queue_frames([TTSSpeakFrame(GREETING), OutputTransportMessageFrame(mark)])
        await worker.queue_frame(TTSSpeakFrame(INVITATION))

    @transport.event_handler("on_client_disconnected")
    async def on_client_disconnected(_transport, _websocket) -> None:
        await worker.cancel()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=PORT, log_level="warning")
