"""The bench as a whole, with very little load: that it measures, not what it measures."""

import asyncio
import math
import sys

import pytest

from tests.bench import jobs, measure, servers, services
from tests.bench.generators import janus
from tests.bench.generators.generator import Step, wait_children_ended
from tests.bench.generators.playing import Played
from tests.bench.generators.socket_programs import PROGRAMS
from tests.bench.generators.sockets import SocketLoad
from tests.bench.generators.talks import Talked
from tests.bench.jobs import Job, perform
from tests.bench.reports.rows import rows
from tests.bench.reports.targets import Results
from tests.bench.studies import machines, paths
from tests.bench.studies.machines import Machines
from tests.support.waiting import until

pytestmark = pytest.mark.load


def measured(kind, *, legs=2, server="bridge", loss=0.0, **environment):
    step = Step(legs=legs, what=f"{loss:.0%}" if loss else "", loss=loss, seconds=2.0, settle=0.5)
    job = Job(target=kind, kind=kind, server=server, environment=environment, steps=[step])
    run = perform(job)
    (row,) = rows([run])
    (window,) = run.windows
    assert window.reading is not None
    assert len(window.reading.wall) == 2
    assert row.heard > 0.5
    assert row.cpu_per_leg > 0
    assert len(run.answers) == len(run.setups) == row.legs
    return row


@pytest.mark.long
def test_the_stock_echo_is_measured_under_loss():
    row = measured("stock", server="stock", loss=0.2)
    assert row.rate < 50.0
    assert math.isnan(row.passthrough)


@pytest.mark.long
@pytest.mark.libwebrtc
def test_libwebrtc_echoes_with_the_program_of_the_stock_one():
    assert measured("stock", server="wrtc").rate == pytest.approx(50.0, abs=10.0)


def test_the_bridge_is_measured_as_the_stock_echo_is():
    row = measured("echo")
    assert row.rate == pytest.approx(50.0, abs=10.0)
    assert row.passthrough == 0.0
    assert row.lag_p99 > 0
    assert row.encoder_levels


@pytest.mark.long
def test_every_packet_of_many_legs_is_followed_while_they_talk():
    steps = [
        Step(legs=4, seconds=1.5, settle=0.5, scrape=0.5, what="scraped"),
        Step(legs=4, seconds=1.0, settle=0.5, silent=True, what="silent"),
        Step(legs=4, seconds=1.0, settle=0.5),
    ]
    scraped, silent, again = perform(Job(target="x", kind="pair", steps=steps, bulk=True)).windows
    for window in (scraped, again):
        assert window.transit is not None
        assert window.transit.packets == pytest.approx(200 * window.seconds, rel=0.1)
        assert window.transit.lost == 0
        assert 0 < window.transit.p50 < window.transit.p99 <= window.transit.longest
        assert len(window.delays) > 0
    assert len(scraped.scrapes) >= 2
    assert scraped.at_scrapes is not None
    assert again.at_scrapes is None
    assert max(silent.rates) == 0.0
    assert silent.transit is None


@pytest.mark.long
def test_a_load_that_is_refused_says_how_far_it_came():
    steps = [Step(legs=legs, seconds=1.0, settle=0.5) for legs in (2, 4)]
    few = {"BRIDGE_LIMITS__CALLS": "1"}
    run = perform(
        Job(target="x", kind="pair", steps=steps, bulk=True, stop_at_lag=9.0, environment=few)
    )
    assert [window.legs for window in run.windows] == [2]
    assert run.broke_off.startswith("2 legs")


@pytest.mark.long
def test_servers_take_turns_on_either_packet_path():
    without = paths.run("echo", 2, rounds=1, seconds=1.0, with_janus=False)
    others = (paths.PYTHON, paths.LIBWEBRTC)
    names = {paths.what("echo", 2, paths.OURS, other) for other in others}
    names.add(paths.what("echo", 2, paths.PYTHON, paths.LIBWEBRTC))
    names.add(paths.what("echo", 2, paths.TICK, paths.OURS))
    assert {one.load for one in without} <= names
    assert all(one.ratio > 0 for one in without)


@pytest.mark.long
@pytest.mark.parametrize(("passthrough", "share"), [("true", 1.0), ("false", 0.0)])
def test_two_legs_of_a_bridge_are_measured_on_either_road(passthrough, share):
    assert measured("pair", BRIDGE_MEDIA__PASSTHROUGH=passthrough).passthrough == share


@pytest.mark.long
def test_three_legs_of_a_bridge_hear_a_mix():
    assert measured("trio", legs=3).delay_p50 > 0.005


@pytest.mark.long
def test_two_legs_of_a_janus_room_are_measured():
    if why := janus.missing():
        pytest.skip(why)
    assert measured("janus", server="janus").rate == pytest.approx(50.0, abs=2.0)


@pytest.mark.long
def test_requests_to_the_wrong_node_are_measured():
    with servers.start("bridge", core=None, BRIDGE_NODES="2") as server:
        plan = {"url": server.url, "requests": 5}
        found = jobs.child("tests.bench.studies.crossing", plan, core=None, seconds=60)
    assert len(found["right"]) == len(found["wrong"]) == 5
    assert all(seconds > 0 for seconds in found["wrong"])


def child(module, environment=None, **plan):
    with servers.start("bridge", core=None, **(environment or {})) as server:
        whole = {"url": server.url, **plan}
        if "talks" not in module:
            whole["pid"] = server.pid
        return jobs.child(f"tests.bench.generators.{module}", whole, core=None, seconds=60)


LOCAL = {"BRIDGE_NET__ALLOW": '["127.0.0.0/8"]'}


@pytest.mark.long
@pytest.mark.parametrize("kind", PROGRAMS)
def test_media_sockets_are_measured(kind):
    found = child("sockets", LOCAL, kind=kind, sockets=2, seconds=2.0, settle=1.0)
    load = SocketLoad(**found)
    assert load.sockets == 2
    assert len(load.delays) > 0
    assert load.rate > 0.5
    assert load.cpu_per_socket > 0


@pytest.mark.long
def test_playing_is_measured(tmp_path):
    root = str(tmp_path)
    played = Played(**child("playing", {"BRIDGE_MEDIA__ROOT": root}, root=root, starts=2))
    assert len(played.starts) == played.asked == 2
    assert len(played.hour_starts) == 5
    assert played.hour_bytes > 0


@pytest.mark.long
def test_agents_are_measured():
    talked = Talked(**child("talks", LOCAL, calls=1, turns=2))
    assert talked.turns == len(talked.own) == 2
    assert len(talked.stops) > 0
    assert min(talked.answers) > talked.end_seconds / 2


@pytest.mark.long
@pytest.mark.examples
def test_speech_through_pipecat_is_measured():
    results = Results()
    services.measure(["pipecat"], results, seconds=5.0, quick=True)
    assert results.pipecat is not None
    assert results.pipecat.onsets_sent == 5 * services.PIPECAT_CALLS
    assert len(results.pipecat.delays) >= 0.9 * results.pipecat.onsets_sent


@pytest.mark.long
def test_calls_are_recorded_while_they_are_measured():
    turns = ("", "recorded", "")
    steps = [Step(legs=2, what=what, recorded=bool(what), seconds=2.0) for what in turns]
    packets = {"BRIDGE_RECORDING__PASSTHROUGH": "opus"}
    job = Job(target="kept", kind="pair", environment=packets, steps=steps)
    plain, recorded = rows([perform(job)])
    assert (plain.passthrough, recorded.passthrough) == (1.0, 1.0)
    assert recorded.cpu_per_leg > 0


async def test_a_window_waits_until_a_server_has_no_children_any_more():
    program = "import subprocess, time; subprocess.run(['sleep', '0.3']); time.sleep(60)"
    server = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
    await until(lambda: len(measure.family(server.pid)) > 1)
    await wait_children_ended(server.pid, 1)
    assert measure.family(server.pid) == [server.pid]
    server.kill()
    await server.wait()


@pytest.mark.cluster
@pytest.mark.long
def test_three_machines_are_measured_beside_one():
    if why := machines.missing():
        pytest.skip(why)
    plan = {"legs": 3, "rounds": 2, "seconds": 1.0, "requests": 5}
    found = Machines(**jobs.child("tests.bench.studies.machines", plan, core=None, seconds=120))
    assert len(found.one) == len(found.three) == 2
    assert min(found.one + found.three) > 0
    assert len(found.right) == len(found.wrong) == 5
