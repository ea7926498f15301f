"""Variants of the bridge that take turns."""

import argparse

import pytest

from tests.bench.slices import Condition, Plan
from tests.bench.variants import CONDITIONS, Variant, perform, variant


def test_a_variant_is_a_name_and_settings():
    found = variant("tick=rtc.media_thread:true,rtc.tick_ms:2")
    assert found == Variant(
        name="tick",
        environment={"BRIDGE_RTC__MEDIA_THREAD": "true", "BRIDGE_RTC__TICK_MS": "2"},
    )


def test_a_variant_may_have_no_settings():
    assert variant("today") == Variant(name="today")


def test_a_variant_may_be_another_server_commit_or_kind_of_call():
    found = variant("x=server:janus,ref:HEAD~1,kind:PCMU,apart:true")
    assert (found.server, found.ref, found.kind, found.apart) == ("janus", "HEAD~1", "PCMU", True)
    assert found.environment == {}


@pytest.mark.parametrize("text", ["", "=rtc.compiled:true", "x=rtc.compiled", "x=:true"])
def test_what_is_no_variant_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError):
        variant(text)


def test_stops_meet_no_multiple_of_a_frame_or_of_a_second():
    periods = [one.stops for one in CONDITIONS.values() if one.stops]
    assert all(period % 0.02 > 0.001 and 1 % period > 0.1 for period in periods)


@pytest.mark.long
@pytest.mark.load
def test_packets_are_late_while_the_event_loop_is_stopped():
    conditions = [Condition(what="talking"), Condition(what="stops", stops=0.5)]
    plan = Plan(
        builds=[], legs=2, rounds=1, seconds=2.0, seed=0, settle=1.0, bulk=True,
        conditions=conditions,
    )  # fmt: skip
    variants = [
        Variant(name="a", environment={"BRIDGE_RTC__MEDIA_THREAD": "false"}),
        Variant(name="b", environment={"BRIDGE_RTC__COMPILED": "false"}),
    ]
    (slices,) = perform("passthrough", variants, plan)
    assert {(one.build, one.what) for one in slices} == {
        (build, what) for build in "ab" for what in ("talking", "stops")
    }
    for one in slices:
        assert len(one.transit) == pytest.approx(200, rel=0.1)
        if one.what == "stops":
            assert max(one.transit) > 0.1
