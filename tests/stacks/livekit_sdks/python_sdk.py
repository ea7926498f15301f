"""A party made of LiveKit's Python SDK; its commands stand in tests/stacks/livekit_sdks/party.py."""

import asyncio
import base64
from typing import Any

import numpy as np
from livekit import rtc

from tests.stacks.livekit_sdks.party import EVENTS, PEAK, SDK_RATE
from tests.stacks.program import serve

FRAME = SDK_RATE // 100


class Party:
    """One room, joined by a command."""

    def __init__(self) -> None:
        self._events: list[list[str]] = []
        self._pieces: list[Any] | None = None
        """What is heard, while that is asked for."""
        self._tasks: list[asyncio.Task[None]] = []
        self._hertz = 0.0
        self.room = rtc.Room()
        for event in EVENTS:
            self.room.on(event, lambda *all_, event=event: self._note(event, all_))

    async def run(self, name: str, options: dict[str, Any]) -> dict[str, Any]:
        """Run a command."""
        reply: dict[str, Any] | None = await getattr(self, name)(**options)
        return reply or {}

    async def join(self, url: str, token: str, single: bool = True) -> dict[str, Any]:
        options = rtc.RoomOptions(single_peer_connection=single)
        await self.room.connect(url, token, options)
        others = self.room.remote_participants.values()
        return {"others": [[one.identity, one.kind, one.attributes] for one in others]}

    async def publish(self, hertz: float) -> None:
        self._hertz = hertz
        source = rtc.AudioSource(SDK_RATE, 1)
        self.track = rtc.LocalAudioTrack.create_audio_track("microphone", source)
        self._tasks.append(asyncio.create_task(self._speak(source)))
        microphone = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        await self.room.local_participant.publish_track(self.track, microphone)

    async def mute(self, muted: bool) -> None:
        if muted:
            self.track.mute()
        else:
            self.track.unmute()

    async def hear(self, seconds: float) -> dict[str, Any]:
        self._pieces = []
        await asyncio.sleep(seconds)
        pieces, self._pieces = self._pieces, None
        pcm = np.concatenate([np.zeros(0, np.int16), *pieces])
        return {"offset": 0.0, "rate": SDK_RATE, "pcm": base64.b64encode(pcm.tobytes()).decode()}

    async def events(self) -> dict[str, Any]:
        return {"events": self._events}

    async def send(self, text: str) -> None:
        await self.room.local_participant.publish_data(text, reliable=True)

    async def leave(self) -> None:
        await self.room.disconnect()

    async def _speak(self, source: rtc.AudioSource) -> None:
        moments = np.arange(FRAME)
        while True:
            wave = PEAK * np.sin(2 * np.pi * self._hertz * moments / SDK_RATE)
            pcm = wave.astype("<i2").tobytes()
            await source.capture_frame(rtc.AudioFrame(pcm, SDK_RATE, 1, FRAME))
            moments += FRAME

    async def _listen(self, track: rtc.Track) -> None:
        async for event in rtc.AudioStream(track, sample_rate=SDK_RATE, num_channels=1):
            if self._pieces is not None:
                self._pieces.append(np.frombuffer(event.frame.data, np.int16))

    def _note(self, event: str, told: tuple[Any, ...]) -> None:
        words = [event]
        if event == "disconnected":
            words.append(rtc.DisconnectReason.Name(told[0]))
        elif event in ("track_muted", "track_unmuted"):
            words.append(told[0].identity)
        elif event == "participant_attributes_changed":
            words += [f"{name}={value}" for name, value in told[0].items()]
        self._events.append(words)
        if event == "track_subscribed":
            self._tasks.append(asyncio.create_task(self._listen(told[0])))


async def main() -> None:
    """Serve a party; the SDK's objects belong to the event loop in which they are made."""
    await serve(Party().run)


if __name__ == "__main__":
    asyncio.run(main())
