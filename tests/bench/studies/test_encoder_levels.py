import numpy as np
import pytest

from bridge.audio.codec.encoder_level import NORMAL, EncoderLevel, choose
from bridge.audio.codec.opus import Application, Encoder, EncoderSettings, candidates, load
from tests.bench.studies.encoder_levels import (
    EXPECTED_LOSS,
    PAGE,
    VOICES,
    Row,
    Sound,
    costs,
    frames,
    grid,
    heard,
    lost_packets,
    name,
    table,
)
from tests.docs.measured import BELOW
from tests.support.peers.stock_peer import read_wav

FEC = EncoderSettings(Application.VOIP, 48_000, 1, fec=True, expected_loss=10)


@pytest.fixture(scope="module")
def opus():
    return load(candidates())


@pytest.fixture(scope="module")
def said():
    return read_wav(VOICES[0])[: 3 * 16_000]


def packets(opus, settings, said):
    encoder = Encoder(opus, settings)
    return [encoder.encode(frame) for frame in frames(said)]


def error(one, other):
    return float(np.mean((one.astype(float) - other.astype(float)) ** 2))


def test_there_are_three_voices_or_more():
    assert len(VOICES) >= 3


def test_every_setting_that_the_bridge_chooses_is_in_the_table():
    measured = set(grid())
    for maximum in (None, 48_000, 40_000, 32_000, 24_000, 20_000):
        for level in EncoderLevel:
            assert choose(maximum, level=level) in measured
            assert choose(maximum, level=level, expected_loss=EXPECTED_LOSS) in measured


def test_the_same_packets_are_lost_for_every_setting():
    assert lost_packets(500, 0.05, 1) == lost_packets(500, 0.05, 1)
    assert lost_packets(500, 0.05, 1) != lost_packets(500, 0.05, 2)
    assert 0 not in lost_packets(500, 1.0, 1)


@pytest.mark.parametrize("share", [0.03, 0.05, 0.10])
def test_as_many_are_lost_as_are_asked_for(share):
    counts = [len(lost_packets(2000, share, seed)) / 2000 for seed in range(5)]
    assert np.mean(counts) == pytest.approx(share, rel=0.15)


def test_a_lost_packet_is_heard_and_fec_makes_it_good(opus, said):
    lost = frozenset(range(20, 140, 10))
    sent = packets(opus, FEC, said)
    clean = heard(opus, sent, frozenset())
    bare = packets(opus, EncoderSettings(Application.VOIP, 48_000, 1), said)
    with_fec = error(heard(opus, sent, lost), clean)
    without = error(heard(opus, bare, lost), heard(opus, bare, frozenset()))
    assert 0 < with_fec < 0.5 * without


def test_a_frame_costs_something(opus):
    (cost,) = costs([NORMAL], rounds=1)
    assert 1 < cost < 10_000


def test_the_table_says_what_was_measured():
    row = Row(FEC, 54.3, 39_300.0, 0.78, 0.0065, tuple(Sound(3.5, 0.98) for _ in range(4)))
    line = table([row]).splitlines()[-1]
    assert line.startswith("| SILK + FEC | 48 | 1 | 54.3 | 39.3 | 78% | 6.5 | 3.50 |")
    assert name(NORMAL) == "CELT"


def test_the_page_has_a_line_for_every_setting():
    lines = PAGE.read_text(encoding="utf-8").partition(BELOW)[2].splitlines()
    found = {
        tuple(line.split(" | ")[:3]) for line in lines if line.startswith(("| CELT", "| SILK"))
    }
    wanted = {(f"| {name(one)}", str(one.bitrate // 1000), str(one.complexity)) for one in grid()}
    assert found == wanted
