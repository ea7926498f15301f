from bridge.audio.reorder import ReorderBuffer
from bridge.rtp.counters import ReceiveCounters
from bridge.rtp.level_meter import LevelMeter
from bridge.wire.reception import ReceptionStatistics


def test_before_the_first_packet_everything_is_nothing():
    figures = ReceiveCounters().figures(None, ReorderBuffer(), LevelMeter())
    assert (figures.packets, figures.lost, figures.jitter_seconds) == (0, 0, 0.0)


def test_what_earlier_sources_lost_is_added_to_what_this_one_has():
    reception = ReceptionStatistics(ssrc=1)
    for number in (1, 2, 5):
        reception.count(number, 960 * number, 0.02 * number)
    tally = ReceiveCounters(packets=10, octets=600, lost_before=3)
    figures = tally.figures(reception, ReorderBuffer(), LevelMeter())
    assert (figures.packets, figures.bytes, figures.lost) == (10, 600, 5)


def test_made_up_sound_is_told_in_frames():
    tally = ReceiveCounters(concealed_samples=700, fec_samples=320)
    figures = tally.figures(None, ReorderBuffer(), LevelMeter())
    assert (figures.concealed_frames, figures.fec_frames) == (2, 1)
