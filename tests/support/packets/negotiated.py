"""What was negotiated in a test: audio of all kinds, by name."""

import dataclasses

from bridge.audio.codec.codec import PCMA, PCMU
from tests.support.packets.odd_packets import LEVEL_ID
from tests.support.packets.rtp_party import AUDIO

RED_TYPE = 63
WITH_LEVELS = dataclasses.replace(AUDIO, audio_level_id=LEVEL_ID, parameters={"useinbandfec": "1"})
AUDIOS = {
    "plain": AUDIO,
    "levels": WITH_LEVELS,
    "another payload type": dataclasses.replace(WITH_LEVELS, payload_type=96),
    "receives only": dataclasses.replace(AUDIO, direction="recvonly"),
    "sends only": dataclasses.replace(AUDIO, direction="sendonly"),
    "at most 20 ms": dataclasses.replace(AUDIO, maxptime=20),
    "little bandwidth": dataclasses.replace(AUDIO, parameters={"maxaveragebitrate": "20000"}),
    "RED": dataclasses.replace(WITH_LEVELS, red_payload_type=RED_TYPE),
    "PCMU": dataclasses.replace(AUDIO, codec=PCMU, payload_type=0, telephone_events={101: 8000}),
    "PCMA": dataclasses.replace(AUDIO, codec=PCMA, payload_type=8, telephone_events={101: 8000}),
    "PCMU in other packets": dataclasses.replace(
        AUDIO, codec=PCMU, payload_type=0, ptime=30, telephone_events={}
    ),
    "short packets": dataclasses.replace(AUDIO, ptime=10, maxptime=60),
    "no digits": dataclasses.replace(AUDIO, telephone_events={}),
    "two formats": dataclasses.replace(WITH_LEVELS, other_formats={0: PCMU}),
}
