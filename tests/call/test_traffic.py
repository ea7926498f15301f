from bridge.audio.frame import SILENCE
from bridge.call.traffic import Traffic

LOUD = b"\0\x40" * 320


def test_nothing_said_and_nothing_heard_is_silence():
    traffic = Traffic()
    assert (traffic.received().packets, traffic.sent().packets) == (0, 0)
    assert traffic.received().level_dbov == traffic.sent().level_dbov


def test_frames_are_counted_each_way():
    traffic = Traffic()
    traffic.say(LOUD)
    traffic.say(SILENCE)
    traffic.hear(LOUD)
    received, sent = traffic.received(), traffic.sent()
    assert (received.packets, received.frames, received.bytes) == (2, 2, 1280)
    assert (sent.packets, sent.bytes) == (1, 640)


def test_the_level_is_that_of_the_last_frame():
    traffic = Traffic()
    traffic.say(LOUD)
    loud = traffic.received().level_dbov
    traffic.say(SILENCE)
    assert traffic.received().level_dbov < loud
