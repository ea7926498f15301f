import math

from bridge.call.limits import CallLimits

LIMITS = CallLimits(ring_seconds=60, call_seconds=3600, abandoned_seconds=60)


def test_a_call_may_want_tighter_limits():
    tight = LIMITS.tightened(ring_seconds=20, talk_seconds=300)
    assert (tight.ring_seconds, tight.talk_seconds) == (20, 300)


def test_no_call_gets_wider_limits_than_there_are():
    assert LIMITS.tightened(ring_seconds=90, talk_seconds=0) == LIMITS
    assert LIMITS.talk_seconds == math.inf
