"""Rules of what is wrong with bots: the bridge's agent, and programs at sockets and streams."""

from collections.abc import Mapping
from typing import Final

from bridge.call.diagnosis.codes import Code, Hop, Rule, Severity

NOTICE, DEGRADED, BROKEN = Severity

BOTS: Final[Mapping[Code, Rule]] = {
    Code.BOT_NOT_CONNECTED: Rule(
        Hop.STREAM,
        BROKEN,
        "The bot's server has not accepted the connection for {waitedSeconds:.0f} s.",
        "Let the server answer the WebSocket handshake at once, and start models and databases after it.",
        clear_after=0.0,
    ),
    Code.BOT_REFUSED: Rule(
        Hop.STREAM,
        BROKEN,
        "The bot's server refuses the connection: it answers the handshake with {status}.",
        "Read the server's log: it must answer with 101.",
    ),
    Code.BOT_PROVIDER_REFUSED: Rule(
        Hop.STREAM,
        BROKEN,
        "The server of the bot's model returns an error: {reason} ({message}).",
        "Do what the message of the model's server asks for.",
    ),
    Code.BOT_MESSAGES_IGNORED: Rule(
        Hop.STREAM,
        BROKEN,
        "None of the bot's {ignoredMessages} messages is understood: {how}.",
        "Send what the stream's protocol documents.",
        clear_after=0.0,
    ),
    Code.BOT_SENDS_NOTHING: Rule(
        Hop.BOT,
        BROKEN,
        "The bot is connected, and has sent {how}.",
        "Check that text-to-speech runs, and that its audio is sent on this connection.",
        clear_after=0.0,
    ),
    Code.BOT_NO_ANSWER: Rule(
        Hop.BOT,
        DEGRADED,
        "The caller has spoken, and the bot has not answered for {silentSeconds:.0f} s; turns of the caller without an answer: {turns}.",
        "Check that the bot receives the caller's audio, and which of its steps (end of speech, speech-to-text, model, text-to-speech) does not finish.",
        clear_after=0.5,
    ),
    Code.BOT_NOT_HEARD: Rule(
        Hop.BOT,
        BROKEN,
        "The bot speaks, and nobody hears it: {how}.",
        "Connect it in a way in which others hear it: not muted, and not on a one-way stream.",
        after=1.0,
    ),
    Code.BOT_SPOKE_EARLY: Rule(
        Hop.BOT,
        DEGRADED,
        "The bot has spoken before anybody could hear it: its words were held and are {lateSeconds:.1f} s late, and {lostSeconds:.1f} s of them are lost.",
        "Begin to speak when the call is answered, its media is up, and what the line discloses has been spoken; 10 s are held at most.",
    ),
    Code.BOT_WRONG_FORMAT: Rule(
        Hop.BOT,
        BROKEN,
        "The bot's audio is noise: it looks like {looksLike}, and {expected} is expected.",
        "Send {expected}.",
        clear_after=3.0,
    ),
    Code.BOT_WRONG_RATE: Rule(
        Hop.BOT,
        BROKEN,
        "The bot's voice is played too {speed}: it sends {looksLike}, and {expectedHertz} Hz is expected.",
        "Convert its audio to {expectedHertz} Hz.",
        clear_after=5.0,
    ),
    Code.BOT_FALLS_BEHIND: Rule(
        Hop.BOT,
        DEGRADED,
        "The bot's words have gaps: in {windowSeconds:.0f} s its audio came too late {gaps} times, by {gapMs:.0f} ms in all.",
        "Send audio as soon as it is there, faster than real time.",
        after=2.0,
        clear_after=5.0,
    ),
    Code.BOT_CLIPS: Rule(
        Hop.BOT,
        DEGRADED,
        "The bot's voice is distorted: {clippedPercent:.0f} % of its frames reach full scale.",
        "Lower the gain of its voice by 6 dB or more, before it is converted to 16 bits.",
        after=2.0,
        clear_after=5.0,
    ),
    Code.BOT_QUIET: Rule(
        Hop.BOT,
        DEGRADED,
        "The bot's voice is too quiet to be understood: {levelDbov:.0f} dBov.",
        "Raise the gain of its voice until it is at about -20 dBov; samples between -1 and 1 have to be multiplied by 32767.",
        after=1.0,
        clear_after=5.0,
    ),
    Code.BOT_HEARS_ITSELF: Rule(
        Hop.BOT,
        DEGRADED,
        "The bot hears its own voice as an echo, {delayMs:.0f} ms later.",
        "Cancel the echo in the bot, or ignore what it hears while it speaks.",
        clear_after=5.0,
    ),
    Code.BOT_TALKS_OVER: Rule(
        Hop.BOT,
        DEGRADED,
        "The bot speaks on while the caller speaks: {overlapSeconds:.1f} s of the last {windowSeconds:.0f} s.",
        "Stop the bot when the caller speaks.",
        clear_after=5.0,
    ),
    Code.BOT_READS_SLOWLY: Rule(
        Hop.STREAM,
        DEGRADED,
        "The bot reads too slowly: {droppedSeconds:.1f} s of what the caller said were dropped.",
        "Read every message at once, and work on it in another task or thread.",
        clear_after=5.0,
    ),
    Code.BOT_FUNCTION_HANGS: Rule(
        Hop.STREAM,
        DEGRADED,
        "The function {function} of the bot has run for {functionSeconds:.0f} s, and the caller hears nothing.",
        'Let the server of realtime.tools_url answer sooner, or have the model say something first, such as "one moment".',
        clear_after=0.0,
    ),
    Code.BOT_FUNCTION_FAILED: Rule(
        Hop.STREAM,
        DEGRADED,
        "A function of the bot failed: {reason}.",
        "Read the log of the server of realtime.tools_url: it must answer with a status of 2xx within realtime.tool_seconds.",
    ),
    Code.SOCKET_SENDS_NOTHING: Rule(
        Hop.SOCKET,
        BROKEN,
        "The media socket is open, and its client has sent no audio.",
        "Send binary messages in the documented format; see the page about sockets.",
        after=3.5,
        clear_after=0.0,
    ),
    Code.SOCKET_WRONG_FORMAT: Rule(
        Hop.SOCKET,
        BROKEN,
        "The socket's audio is noise: it looks like {looksLike}, and {expected} is expected.",
        "Send {expected}, or ask for another format when the socket is opened.",
        after=1.0,
        clear_after=3.0,
    ),
    Code.SOCKET_READER_SLOW: Rule(
        Hop.SOCKET,
        DEGRADED,
        "The socket's client reads too slowly: {droppedSeconds:.1f} s of audio for it were dropped.",
        "Read every message at once, and work on it elsewhere.",
        clear_after=5.0,
    ),
    Code.STREAM_UNREACHABLE: Rule(
        Hop.STREAM,
        BROKEN,
        "The media stream ended: {reason}.",
        "Check that the stream's WebSocket server answers, and that net.allow admits its address.",
    ),
    Code.AGENT_PROVIDER_FAILED: Rule(
        Hop.AGENT,
        BROKEN,
        "The agent's {step} failed: {reason}.",
        "Check URL, key and limits of this provider in the line's agent settings.",
        clear_after=5.0,
    ),
    Code.AGENT_SLOW: Rule(
        Hop.AGENT,
        DEGRADED,
        "The agent took {replySeconds:.1f} s to reply; most of it is {slowestStep}.",
        "Use a faster provider for {slowestStep}, a streaming one, or one that is nearer.",
        clear_after=5.0,
    ),
}
