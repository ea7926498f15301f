"""What was negotiated, as data and back."""

import msgspec
import pytest

from bridge.audio.codec.codec import CODECS, G722, OPUS, PCMA
from bridge.errors import HandoverRefused
from bridge.wire.sdp.negotiated_audio import NegotiatedAudio
from bridge.wire.snapshot.session import AudioSnapshot, codec_named


def test_what_was_negotiated_comes_back_as_it_was():
    audio = NegotiatedAudio(
        codec=OPUS,
        payload_type=111,
        direction="sendonly",
        parameters={"useinbandfec": "1", "cbr": ""},
        telephone_events={110: 48_000, 126: 8_000},
        ptime=20,
        maxptime=60,
        red_payload_type=63,
        audio_level_id=3,
        other_formats={8: PCMA, 9: G722},
        refused_types=frozenset({96, 97}),
    )
    data = msgspec.msgpack.encode(AudioSnapshot.of(audio))
    assert msgspec.msgpack.decode(data, type=AudioSnapshot).negotiated() == audio


def test_a_codec_is_known_by_its_name():
    assert [codec_named(codec.name) for codec in CODECS] == [*CODECS]
    with pytest.raises(HandoverRefused):
        codec_named("speex")
