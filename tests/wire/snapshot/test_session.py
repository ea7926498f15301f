"""What was negotiated, as data and back."""

import msgspec
import pytest

from bridge.audio.codec.codec import CODECS, G722, OPUS, PCMA
from bridge.errors import HandoverRefused
from bridge.wire.rtp.reception import ReceptionStatistics
from bridge.wire.rtp.stream import Numbering
from bridge.wire.rtp.telephone_event import NewestEvent
from bridge.wire.sdp.negotiated_audio import NegotiatedAudio
from bridge.wire.snapshot.session import (
    AudioSnapshot,
    DtmfSnapshot,
    MeterSnapshot,
    ReceiverSnapshot,
    SenderSnapshot,
    codec_named,
)


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


def sender(**numbers):
    first = {
        "ssrc": 7, "payload_type": 111, "clock_rate": 48_000, "sequence": 5, "timestamp": 9,
        "end": 9, "last_time": 1.0, "packets": 1, "octets": 80, "dropped": 0,
    }  # fmt: skip
    meter = MeterSnapshot(
        level_dbov=-20.0, silent_seconds=0.0, quiet_since=None, levels=1, quiet=0, measured=1, clipped=0
    )  # fmt: skip
    dtmf = DtmfSnapshot(queue=numbers.pop("queue", "12"))
    return SenderSnapshot(
        numbering=Numbering(**(first | numbers)),
        started=True,
        covered=None,
        counters={},
        meter=meter,
        dtmf=dtmf,
    )


@pytest.mark.parametrize(
    "numbers",
    [
        {"ssrc": -1},
        {"ssrc": 1 << 32},
        {"clock_rate": 0},
        {"sequence": -1},
        {"sequence": 1 << 60},
        {"last_time": float("nan")},
        {"last_time": float("inf")},
        {"queue": "x"},
    ],
    ids=str,
)
def test_numbers_that_no_stream_has_are_refused(numbers):
    assert sender().numbering.ssrc == 7
    with pytest.raises(ValueError, match="impossible"):
        sender(**numbers)


def test_a_source_that_cannot_be_is_refused():
    stood = ReceptionStatistics(ssrc=7)
    stood.count(5, 100, 1.0)
    good = stood.stand()
    assert received(good).reception == good
    for changes in ({"ssrc": -1}, {"clock_rate": 0}, {"jitter": float("nan")}, {"highest": -2}):
        with pytest.raises(ValueError, match="impossible"):
            received(msgspec.structs.replace(good, **changes))


def received(reception):
    return ReceiverSnapshot(
        ssrc=7,
        previous_ssrc=-1,
        payload_type=111,
        last_received=1.0,
        reception=reception,
        event=NewestEvent(None, "", 0, False),
        counters={},
        late=0,
        reordered=0,
        unknown=0,
        refused=0,
        malformed=0,
        meter=sender().meter,
    )
