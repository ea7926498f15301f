"""What the author of a bot does about a problem, by kind of bot; for other kinds the rule of the code says it."""

from collections.abc import Mapping
from typing import Final

from bridge.call.diagnosis.codes import Code
from bridge.call.diagnosis.observation import BotKind

AGENT, SOCKET, NATIVE, TWILIO, REALTIME, PEER = BotKind

BOT_MENDS: Final[Mapping[Code, Mapping[BotKind, str]]] = {
    Code.BOT_NOT_CONNECTED: {
        REALTIME: "Check the url of [lines.NAME.realtime] and what lies between it and the bridge: the TCP connection is accepted, but the handshake is not answered.",
    },
    Code.BOT_REFUSED: {
        NATIVE: "Have the server accept a WebSocket at the path of stream_url; where it checks signatures, give it the secret of lines.NAME.stream.secret.",
        TWILIO: "Have the server accept a WebSocket at the path of stream_url; where it checks X-Twilio-Signature, use the secret of lines.NAME.stream.secret as its auth token, and the URL with wss.",
        REALTIME: "401 and 403: set a valid key in lines.NAME.realtime.key, of a project that may use the model. 404: check url and model there. 429: raise the limits of the account.",
    },
    Code.BOT_PROVIDER_REFUSED: {
        REALTIME: "Do what the message of the model's server asks for: another key, a higher limit, or the name of a model that exists, in lines.NAME.realtime.",
    },
    Code.BOT_MESSAGES_IGNORED: {
        NATIVE: 'Send JSON text {{"event":"media","media":{{"payload":"<base64>"}}}}; stream_id may be left out, and must be that of start if it is there.',
        TWILIO: 'Send JSON text {{"event":"media","streamSid":"<that of start>","media":{{"payload":"<base64>"}}}}; streamSid may be left out.',
        REALTIME: "Check that the server speaks OpenAI's realtime interface: response.output_audio.delta with base64 audio.",
    },
    Code.BOT_SENDS_NOTHING: {
        SOCKET: "Send the samples of the voice in binary messages: what comes is silence. Check that text-to-speech writes to this socket.",
        NATIVE: "Send the voice in media messages with base64 payloads to the connection that the bridge has opened; check the bot's log for errors of text-to-speech, such as a wrong key.",
        TWILIO: "Send the voice in media messages of base64 mu-law at 8 kHz to the connection that the bridge has opened; check the bot's log for errors of text-to-speech, such as a wrong key.",
        REALTIME: "Set greeting so that the model speaks first, turn detection in its session, and audio among its output modalities.",
        PEER: "Add the track of its voice before the offer, and check that text-to-speech writes to it.",
    },
    Code.BOT_NO_ANSWER: {
        AGENT: "Lower the limits stt_seconds, llm_seconds and tts_seconds of the line's agent, and choose faster providers; GET /calls/{{callId}}/turns shows the steps.",
        SOCKET: "Check that the program takes the binary messages that it gets for the caller's audio, in the format of the socket, and that it detects the end of speech.",
        NATIVE: "Check that the server decodes media.payload with the format of start.media_format, and that it detects the end of speech.",
        TWILIO: "Check that the server decodes media.payload as mu-law at 8 kHz, and that it detects the end of speech.",
        REALTIME: "Leave turn_detection of the session on with create_response, or send response.create after each input_audio_buffer.committed.",
        PEER: "Check that the bot subscribes to the caller's track, and that it detects the end of speech.",
    },
    Code.BOT_NOT_HEARD: {
        NATIVE: 'Start the stream with "stream_type": "twoway": what a server sends on a one-way stream is dropped.',
        TWILIO: "Start it with <Connect><Stream>, or as a two-way stream: what a server sends on <Start><Stream> is dropped.",
        SOCKET: "Unmute the leg (POST /call/mute with its legID), or open the socket of this call and not of another.",
        PEER: "Unmute the leg (POST /call/mute with its legID), and join as a near party.",
    },
    Code.BOT_SPOKE_EARLY: {
        SOCKET: "Send the greeting when the first message of audio has come, where the line discloses something when the event disclosure.spoken has: what comes earlier is held, 10 s at most.",
        PEER: "Speak when the event call.active has come, where the line discloses something when disclosure.spoken has: what comes earlier is held, 10 s at most.",
    },
    Code.BOT_WRONG_FORMAT: {
        NATIVE: "Send {expected} without a header, as start.media_format says, or ask for another format when the stream is started.",
        TWILIO: "Send mu-law at 8 kHz without a header (output_format ulaw_8000, mulaw or g711_ulaw of most text-to-speech services).",
        REALTIME: "Set audio.output.format of the session to audio/pcm at 24000 Hz, which the bridge asks for.",
    },
    Code.BOT_WRONG_RATE: {
        SOCKET: "Convert the voice to {expectedHertz} Hz, or open the socket with the sampleRate of the voice.",
        NATIVE: "Convert the voice to {expectedHertz} Hz, the sample_rate of start.media_format, or start the stream with that of the voice.",
        TWILIO: "Request mu-law at 8000 Hz from text-to-speech: converting 16 or 24 kHz to mu-law alone leaves the rate as it is.",
        REALTIME: "Set the rate of audio.output.format of the session to 24000.",
    },
    Code.BOT_FALLS_BEHIND: {
        AGENT: "Choose a text-to-speech provider that is faster than real time and streams its response; check the load of its server.",
        REALTIME: "Check the load of the model's server and the network between it and the bridge.",
        PEER: "Check the load of the bot's machine: its track must deliver 20 ms of audio every 20 ms.",
    },
    Code.BOT_QUIET: {
        SOCKET: "Raise the gain of its voice until it is at about -20 dBov. In s16le samples reach 32767: those between -1 and 1 need f32le.",
    },
    Code.BOT_HEARS_ITSELF: {
        AGENT: 'Ask the caller to use a headset, or not to use a loudspeaker; with agent.interruptions = "meant" an echo stops the agent less often.',
        REALTIME: "Set audio.input.noise_reduction of the session to far_field, and raise the threshold of turn_detection.",
    },
    Code.BOT_TALKS_OVER: {
        SOCKET: 'Stop sending when the caller speaks, and drop what is buffered (a text message {{"type":"clear"}} where the socket has text).',
        NATIVE: 'Send {{"event":"clear"}} when the caller speaks, and nothing more of that answer.',
        TWILIO: 'Send {{"event":"clear","streamSid":"…"}} when the caller speaks, and nothing more of that answer.',
        REALTIME: "Leave turn_detection of the session on with interrupt_response.",
        AGENT: "Check agent.interruptions and the level of the caller: its voice does not stop the agent.",
        PEER: "Stop the track's voice when the caller speaks, and drop what is buffered.",
    },
}
"""Texts for `str.format`, filled in with the evidence."""

AGENT_MENDS: Final[Mapping[str, str]] = {
    "missing": "Set the URL of the agent's {step}: callAgentConfig of PUT /call/config, or the line's agent settings.",
    "unreachable": "Start the server at the URL of {step}, and check its host, port and scheme.",
    "blocked": "Allow the address of the {step} URL in net.allow, or use a public one.",
    "status": "Read the log of the {step} provider. 401 and 403: its key; 404: the URL or the name of the model; 429: its quota.",
    "timeout": "Raise {step}_seconds of the agent settings, or use a {step} provider that is faster.",
    "garbage": "Check that the URL of {step} ends in the path of the interface that the provider has.",
}
"""By the reason for which a step of the bridge's agent failed."""


def mend(code: Code, kind: BotKind | None) -> str:
    """Return the text for `Finding.fix`, before its evidence is filled in; empty where the rule's applies."""
    return "" if kind is None else BOT_MENDS.get(code, {}).get(kind, "")
