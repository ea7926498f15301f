from bridge.call.bus.silence_detector import SilenceDetector
from bridge.call.events import LegResumed, LegSilent
from bridge.call.model import LegId

LEG = LegId("leg_1")


def test_a_party_that_stops_sending_is_silent_after_two_seconds_and_resumes_when_it_sends():
    watch = SilenceDetector(LEG)
    assert watch.check(10.0, 11.9) is None
    assert watch.check(10.0, 12.0) == LegSilent(LEG)
    assert watch.check(10.0, 13.0) is None
    assert watch.check(13.5, 13.6) == LegResumed(LEG)
    assert watch.check(13.5, 14.0) is None


def test_a_party_that_has_never_sent_is_not_silent():
    assert SilenceDetector(LEG).check(None, 100.0) is None
