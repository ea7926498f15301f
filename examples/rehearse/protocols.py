"""How streams of calls are written: as the bridge does by itself, as Twilio, and as OpenAI's realtime interface."""

from base64 import b64decode, b64encode
from typing import Any

import numpy as np
from conversation import Conversation
from speech import Pcm, from_mulaw, to_mulaw

Message = dict[str, Any]


class Native:
    """Signed 16-bit at 24 kHz; keys are not sent."""

    RATE = 24_000

    def read(self, message: Message, bot: Conversation) -> None:
        match message["event"]:
            case "start":
                bot.greet()
            case "media":
                bot.hear(self.decode(b64decode(message["media"]["payload"])))
            case "dtmf":
                bot.press(message["dtmf"]["digit"])

    def write(self, pcm: Pcm) -> list[Message]:
        return [{"event": "media", "media": {"payload": self.encoded(pcm)}}]

    def clear(self) -> list[Message]:
        return [{"event": "clear"}]

    def decode(self, data: bytes) -> Pcm:
        return np.frombuffer(data, "<i2")

    def encode(self, pcm: Pcm) -> bytes:
        return pcm.astype("<i2").tobytes()

    def encoded(self, pcm: Pcm) -> str:
        return b64encode(self.encode(pcm)).decode()


class Twilio(Native):
    """The same messages with mu-law at 8 kHz."""

    RATE = 8000
    decode = staticmethod(from_mulaw)
    encode = staticmethod(to_mulaw)


class Realtime(Native):
    """A speech-to-speech model: the bridge drops what is queued when it is told that the caller speaks."""

    item = "item"

    def read(self, message: Message, bot: Conversation) -> None:
        match message["type"]:
            case "session.update":
                bot.greet()
            case "input_audio_buffer.append":
                bot.hear(self.decode(b64decode(message["audio"])))
            case "conversation.item.create":
                bot.press(message["item"]["content"][0]["text"][-2])  # The caller pressed 5.

    def write(self, pcm: Pcm) -> list[Message]:
        told = {"type": "response.output_audio.delta", "delta": self.encoded(pcm)}
        return [{**told, "response_id": self.item, "item_id": self.item, "content_index": 0}]

    def clear(self) -> list[Message]:
        self.item += "0"  # nothing more is played of the one before
        return [{"type": "input_audio_buffer.speech_started"}]


def protocol_of(message: Message) -> Native:
    """Return what a connection's first message belongs to."""
    twilio = message.get("protocol") == "Call"
    return Realtime() if "type" in message else Twilio() if twilio else Native()
