"""The bench as a whole, with very little load: that it measures, not what it measures."""

import math

import pytest

from tests.load import janus, jobs, servers
from tests.load.generator import Step
from tests.load.jobs import Job, perform
from tests.load.rows import rows

pytestmark = pytest.mark.load


def measured(kind, *, legs=2, server="bridge", loss=0.0, **environment):
    step = Step(legs=legs, what=f"{loss:.0%}" if loss else "", loss=loss, seconds=2.0, settle=0.5)
    job = Job(target=kind, kind=kind, server=server, environment=environment, steps=[step])
    run = perform(job)
    (row,) = rows([run])
    assert row.heard > 0.5
    assert row.cpu_per_leg > 0
    assert len(run.answers) == len(run.setups) == row.legs
    return row


def test_the_stock_echo_is_measured_under_loss():
    row = measured("stock", server="stock", loss=0.2)
    assert row.rate < 50.0
    assert math.isnan(row.relayed)


def test_the_bridge_is_measured_as_the_stock_echo_is():
    row = measured("echo")
    assert row.rate == pytest.approx(50.0, abs=2.0)
    assert row.relayed == 0.0
    assert row.lag_p99 > 0
    assert row.rungs == (0.0,)


@pytest.mark.parametrize(("relay", "share"), [("true", 1.0), ("false", 0.0)])
def test_two_legs_of_a_bridge_are_measured_on_either_road(relay, share):
    assert measured("pair", BRIDGE_MEDIA__RELAY=relay).relayed == share


def test_three_legs_of_a_bridge_hear_a_mix():
    assert measured("trio", legs=3).delay_p50 > 0.005


def test_two_legs_of_a_janus_room_are_measured():
    if why := janus.missing():
        pytest.skip(why)
    assert measured("janus", server="janus").rate == pytest.approx(50.0, abs=2.0)


def test_requests_to_the_wrong_node_are_measured():
    with servers.start("bridge", core=None, BRIDGE_NODES="2") as server:
        plan = {"url": server.url, "requests": 5}
        found = jobs.child("tests.load.crossing", plan, core=None, seconds=60)
    assert len(found["right"]) == len(found["wrong"]) == 5
    assert all(seconds > 0 for seconds in found["wrong"])
