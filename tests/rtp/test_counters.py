from bridge.audio.buffer.reorder import ReorderBuffer
from bridge.rtp.counters import ReceiveCounters
from bridge.rtp.level_meter import LevelMeter
from bridge.wire.rtp.reception import ReceptionStatistics


def test_before_the_first_packet_everything_is_zero():
    statistics = ReceiveCounters().statistics(None, ReorderBuffer(), LevelMeter())
    assert (statistics.packets, statistics.lost, statistics.jitter_seconds) == (0, 0, 0.0)


def test_losses_of_earlier_sources_are_added():
    reception = ReceptionStatistics(ssrc=1)
    for number in (1, 2, 5):
        reception.count(number, 960 * number, 0.02 * number)
    counters = ReceiveCounters(packets=10, octets=600, lost_before=3)
    statistics = counters.statistics(reception, ReorderBuffer(), LevelMeter())
    assert (statistics.packets, statistics.bytes, statistics.lost) == (10, 600, 5)


def test_concealed_and_recovered_audio_is_counted_in_frames():
    counters = ReceiveCounters(concealed_samples=700, fec_samples=320)
    statistics = counters.statistics(None, ReorderBuffer(), LevelMeter())
    assert (statistics.concealed_frames, statistics.fec_frames) == (2, 1)
