from bridge.audio.jitter import Receiver
from bridge.rtc.meter import Meter
from bridge.rtc.tally import Tally
from bridge.wire.reception import ReceptionStatistics


def test_before_the_first_packet_everything_is_nothing():
    figures = Tally().figures(None, Receiver(), Meter())
    assert (figures.packets, figures.lost, figures.jitter_seconds) == (0, 0, 0.0)


def test_what_earlier_sources_lost_is_added_to_what_this_one_has():
    reception = ReceptionStatistics(ssrc=1)
    for number in (1, 2, 5):
        reception.count(number, 960 * number, 0.02 * number)
    tally = Tally(packets=10, octets=600, lost_before=3)
    figures = tally.figures(reception, Receiver(), Meter())
    assert (figures.packets, figures.bytes, figures.lost) == (10, 600, 5)


def test_made_up_sound_is_told_in_frames():
    tally = Tally(concealed_samples=700, fec_samples=320)
    figures = tally.figures(None, Receiver(), Meter())
    assert (figures.concealed_frames, figures.fec_frames) == (2, 1)
