"""Targets of recording, sockets, playback, agents and telephones: each can be missed by itself."""

from typing import Any

import pytest

from tests.bench.generators.dialling import Dialled
from tests.bench.generators.playing import Played
from tests.bench.generators.sockets import SocketLoad
from tests.bench.generators.talks import Talked
from tests.bench.measure import Run, Window
from tests.bench.reports.comparison import Comparison
from tests.bench.reports.rows import rows
from tests.bench.reports.service_targets import (
    agents,
    calling,
    events,
    pipecat,
    playback,
    recording,
    sockets,
    telephones,
)
from tests.bench.studies.event_path import EventLoad
from tests.bench.studies.pipecat_echo import PipecatEcho


def missed(found):
    return [one.what for one in found if one.missed]


def kept(load, plain, recorded):
    windows = [
        Window(legs=48, what=what, seconds=5.0, cpu_per_leg=cpu, delays=[0.001], rates=[50.0])
        for what, cpu in (("", plain), ("recorded", recorded), ("", plain), ("recorded", recorded))
    ]
    return Run(f"{load} kept", [0.01] * 48, [0.05] * 48, windows)


@pytest.mark.parametrize(("recorded", "misses"), [(0.57, 0), (0.58, 1)])
def test_recording_may_cost_little_more_than_not_recording(recorded, misses):
    assert len(missed(recording(rows([kept("pcm", 0.5, recorded)])))) == misses


@pytest.mark.parametrize(("recorded", "misses"), [(0.2, 0), (0.21, 1)])
def test_a_recorded_passthrough_call_is_held_against_one_through_pcm(recorded, misses):
    table = rows([kept("pcm", 0.5, 0.5), kept("passthrough", 0.1, recorded)])
    assert len(missed(recording(table))) == misses


def test_what_was_not_recorded_is_not_judged():
    assert list(recording(rows([kept("passthrough", 0.1, 0.2)]))) == []
    assert list(playback(None)) == list(agents(None)) == list(pipecat(None)) == []


def echoed(delays=(0.1,) * 40):
    return PipecatEcho(calls=3, delays=list(delays), onsets_sent=40)


@pytest.mark.parametrize(
    ("delays", "misses"), [([0.15] * 40, 0), ([0.151] * 40, 1), ([0.1] * 37, 1), ([], 1)]
)
def test_what_went_through_pipecat_comes_back_in_time(delays, misses):
    assert len(missed(pipecat(echoed(delays)))) == misses


def load(**more):
    figures: dict[str, Any] = {
        "kind": "zuckzapgo",
        "sockets": 50,
        "seconds": 10.0,
        "cpu_per_socket": 0.4,
        "delays": [0.1] * 40,
        "onsets_sent": 40,
        "rate": 1.0,
        "dropped_seconds": 0.0,
        "lag_p99": 0.001,
        "generator_cpu": 20.0,
        "lateness": 0.001,
    }
    return SocketLoad(**figures | more)


@pytest.mark.parametrize(
    ("figures", "misses"),
    [
        ({}, []),
        ({"cpu_per_socket": 1.1}, ["CPU per socket"]),
        ({"cpu_per_socket": 0.61}, []),
        ({"cpu_per_socket": 0.61, "kind": "twilio"}, ["CPU per socket"]),
        ({"delays": [0.16] * 40}, ["there and back p95"]),
        ({"delays": [0.1] * 39}, ["there and back p95"]),
        ({"dropped_seconds": 0.02}, ["sound dropped"]),
    ],
)
def test_each_target_of_sockets_can_be_missed_by_itself(figures, misses):
    found = missed(sockets([load(**figures)]))
    assert [what.partition(": ")[2] for what in found] == misses


def played(**more):
    figures: dict[str, Any] = {
        "starts": [0.05] * 20,
        "replies": [0.04] * 20,
        "asked": 20,
        "hour_starts": [0.1] * 5,
        "hour_replies": [0.1] * 5,
        "hour_asked": 5,
        "hour_lead": 0.02,
        "hour_bytes": 1_000_000,
    }
    return Played(**figures | more)


@pytest.mark.parametrize(
    ("figures", "misses"),
    [
        ({}, 0),
        ({"starts": [0.11] * 20}, 1),
        ({"starts": [0.05] * 18}, 1),
        ({"hour_starts": [0.21] * 5}, 1),
        ({"hour_bytes": 5_000_000}, 1),
    ],
)
def test_each_target_of_playback_can_be_missed_by_itself(figures, misses):
    assert len(missed(playback(played(**figures)))) == misses


@pytest.mark.parametrize(
    ("figures", "misses"),
    [
        ({}, 0),
        ({"stops": [0.11] * 20}, 1),
        ({"stops": [0.05] * 18}, 1),
        ({"own": [0.16] * 20}, 1),
        ({"answers": [2.0] * 20}, 0),
    ],
)
def test_each_target_of_agents_can_be_missed_by_itself(figures, misses):
    whole = {"turns": 20, "stops": [0.05] * 20, "own": [0.02] * 20, "answers": [0.8] * 20}
    assert len(missed(agents(Talked(**whole | figures)))) == misses


def telephone(ratio, *, rate=50.0):
    return Comparison(
        load="a telephone",
        rounds=15,
        cost=ratio,
        cost_before=1.0,
        ratio=ratio,
        lower=ratio - 0.1,
        upper=ratio + 0.1,
        delay_p95=0.002,
        delay_p95_before=0.002,
        worst_rate=rate,
    )


def dialled(overhead=0.010, *, seconds=0.8):
    return Dialled(overheads=[overhead] * 40, dials=40, burst=50, burst_seconds=seconds)


def test_a_telephone_may_cost_a_fifth_more_than_a_browser():
    assert missed(telephones([telephone(0.95)])) == []
    assert missed(telephones([telephone(0.96)])) == ["CPU per leg, a telephone"]


def test_a_telephone_that_loses_packets_is_noticed():
    assert missed(telephones([telephone(0.9, rate=48)])) == ["packets/s, a telephone"]


def test_dialling_has_a_time_and_a_rate_to_reach():
    assert missed(calling(dialled())) == []
    assert len(missed(calling(dialled(0.021)))) == 1
    assert len(missed(calling(dialled(seconds=1.01)))) == 1
    assert list(calling(None)) == []


@pytest.mark.parametrize(
    ("delays", "misses"), [([0.01] * 100, 0), ([0.01] * 99, 1), ([0.03] * 100, 1)]
)
def test_every_event_is_on_the_disk_in_time(delays, misses):
    load = EventLoad(database="SQLite", sent=100, delays=delays)
    assert len(missed(events([load]))) == misses
