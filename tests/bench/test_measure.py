"""The numbers of the bench, from packets whose delay is known."""

import json
import math
import os
import signal
import subprocess

import numpy as np
import pytest

from tests.bench.generators.signal import BURST_FRAMES, PERIOD_FRAMES, make_loop, make_sound
from tests.bench.measure import (
    MAX_DELAY,
    HeardOnset,
    Packet,
    Run,
    Window,
    cpu_seconds,
    family,
    from_json,
    growth,
    heard_onsets,
    match,
    packet_delays,
    rate,
    resident_bytes,
    summed,
    timestamp_offset,
    to_json,
)
from tests.bench.reports.reading import Reading
from tests.support.packets.opus_packets import FRAME
from tests.support.peers.light_peer import Arrival, Departure
from tests.support.sound.speech_compare import level_db


def arrivals(packets, *, first=65_530, delay=0.005):
    return [
        Arrival(number * 0.02 + delay, (first + number) & 0xFFFF, number * 960, False, 111, 1, one)
        for number, one in enumerate(packets)
    ]


def test_every_burst_of_the_loop_is_heard_in_the_packet_that_carries_it():
    loop = make_loop(seconds=4)
    onsets = heard_onsets(arrivals(loop.packets))
    sent = [number * 0.02 for number in range(len(loop.packets)) if loop.is_onset(number)]
    assert len(sent) == 4
    assert [onset.time for onset in onsets] == pytest.approx([time + 0.005 for time in sent])
    assert all(0.0025 <= onset.offset <= 0.01 for onset in onsets)


def test_packets_that_came_in_another_order_are_decoded_in_theirs():
    loop = make_loop(seconds=3)
    came = arrivals(loop.packets)
    came[7], came[8] = came[8], came[7]
    assert len(heard_onsets(came)) == 3


def test_the_loop_is_loud_in_its_bursts_and_quiet_between_them():
    sound = make_sound(seconds=1, seed=3)
    begin = (PERIOD_FRAMES - BURST_FRAMES) * FRAME
    assert level_db(sound[:begin]) < -70
    assert level_db(sound[begin : begin + FRAME]) > -25


def test_the_loop_goes_round():
    loop = make_loop(seconds=2)
    assert loop.payload(0) == loop.payload(100)
    assert [number for number in range(150) if loop.is_onset(number)] == [20, 70, 120]


def test_an_onset_is_paired_with_the_first_one_heard_after_it():
    sent = [Departure(1.0, 0, 0), Departure(2.0, 0, 0), Departure(3.0, 0, 0)]
    heard = [HeardOnset(0.99, 0.0), HeardOnset(1.01, 0.0), HeardOnset(2.2, 0.0)]
    pairs = match(sent, heard)
    assert [time for time, _ in pairs] == [1.0, 2.0]
    assert [delay for _, delay in pairs] == pytest.approx([0.01, 0.2])


def test_a_steady_stream_has_fifty_packets_a_second_wherever_the_window_lies():
    came = arrivals([b""] * 700)
    assert rate(came, 1.0, 11.0) == pytest.approx(50.0)
    assert rate(came, 1.013, 11.013) == pytest.approx(50.0)


def test_a_gap_in_the_middle_lowers_the_rate():
    came = arrivals([b""] * 700)
    assert rate(came[:200] + came[250:], 1.0, 11.0) == pytest.approx(45.0, abs=0.1)


def test_a_stream_that_stops_before_the_end_is_not_taken_for_a_steady_one():
    came = arrivals([b""] * 300)
    assert rate(came, 1.0, 11.0) == pytest.approx(25.0, abs=0.2)


def test_a_delay_that_grows_is_told_from_one_that_stays():
    steady = [(second * 0.1, 0.01) for second in range(100)]
    growing = [(second * 0.1, 0.01 + second * 0.001) for second in range(100)]
    assert growth(steady, 0.0, 10.0) == 0.0
    assert growth(growing, 0.0, 10.0) > 0.05
    assert math.isnan(growth([], 0.0, 10.0))


def test_a_run_survives_its_journey_as_json():
    window = Window(legs=24, delays=[0.01], lag=[(0.005, 9.0), (math.inf, 10.0)], passthrough=0.5)
    window.concealed = 0.0
    window.transit = summed([0.001, math.inf])
    window.reading = Reading([40e-6], [39e-6], 0.01)
    run = Run("bridge", [0.01], [0.05], [window])
    assert from_json(json.loads(json.dumps(to_json(run)))) == run


def test_the_made_voice_is_the_same_for_the_same_seed():
    assert np.array_equal(make_sound(seconds=1, seed=5), make_sound(seconds=1, seed=5))


def test_a_quiet_loop_has_no_onset_in_it():
    loop = make_loop(seconds=3, quiet=True)
    assert len(loop.packets) == 150
    assert heard_onsets(arrivals(loop.packets)) == []


def test_what_a_process_has_started_belongs_to_it():
    with subprocess.Popen(["sh", "-c", "sleep 60 & echo; wait"], stdout=subprocess.PIPE) as shell:
        assert shell.stdout is not None
        shell.stdout.readline()
        pids = family(shell.pid)
        assert resident_bytes(pids) > resident_bytes(pids[:1]) > 0
        assert cpu_seconds(pids) >= cpu_seconds(pids[:1]) > 0
        for pid in reversed(pids):
            os.kill(pid, signal.SIGKILL)
    assert len(pids) == 2


def packets(count, *, delay=0.0, offset=0, begin=2**32 - 20 * 960):
    return [
        Packet(number * 0.02 + delay, (begin + offset + number * 960) % 2**32)
        for number in range(count)
    ]


def test_packets_are_followed_by_their_timestamps_whatever_a_server_adds_to_them():
    sent, came = packets(50), packets(50, delay=0.004, offset=123_456)
    offset = timestamp_offset(sent, came)
    assert offset == 123_456
    found = packet_delays(sent, came, offset)
    assert [moment for moment, _ in found] == [one.time for one in sent]
    assert [delay for _, delay in found] == pytest.approx([0.004] * 50)


def test_a_burst_that_came_late_does_not_hide_the_offset():
    sent = packets(50)
    came = packets(50, delay=0.001, offset=77)
    came[20:25] = [Packet(0.51, one.timestamp) for one in came[20:25]]
    assert timestamp_offset(sent, came) == 77


def test_there_is_no_offset_of_too_few_packets():
    assert timestamp_offset(packets(50), packets(5, delay=0.001)) is None


def test_a_packet_that_never_came_counts_as_the_longest_delay():
    sent = packets(100)
    found = summed([delay for _, delay in packet_delays(sent, sent[:90], 0)])
    assert (found.packets, found.lost) == (100, 10)
    assert found.p99 == found.longest == MAX_DELAY
