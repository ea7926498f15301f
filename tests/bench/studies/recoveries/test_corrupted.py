"""Damaged ledgers and copies: how they are damaged, and that a successor outlives a few thousand."""

import random
import subprocess
import sys

import pytest

from bridge.wire.rtp import used_numbers
from tests.bench.studies.recoveries.corrupted import Found, damaged, ledger_of, strange, try_ledgers


def test_a_whole_ledger_tells_what_was_used():
    told = used_numbers.read(ledger_of({7: (70_000, 5), 8: (1, 0)}))
    assert {
        ssrc: one.packet > packet
        for (ssrc, one), packet in zip(told.items(), (70_000, 1), strict=True)
    } == {
        7: True,
        8: True,
    }


def test_of_damaged_ledgers_some_streams_are_doubtful_and_none_begins_too_low():
    found = Found()
    try_ledgers(100, random.Random(1), found)
    assert found.faults == []
    assert found.ledgers["refused"] > 20


def test_damage_changes_bytes_and_values():
    chance = random.Random(2)
    data = bytes(range(200))
    assert sum(damaged(data, chance) != data for _ in range(100)) > 80
    values = [strange({"a": [1, {"b": b"xy"}], "c": "d"}, chance) for _ in range(100)]
    assert len({repr(one) for one in values}) > 20


@pytest.mark.full
def test_a_successor_outlives_whatever_it_is_given():
    name = "tests.bench.studies.recoveries.corrupted"
    tried = subprocess.run(
        [sys.executable, "-m", name, "--cases", "3000", "--seed", "3"],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert tried.returncode == 0, tried.stdout + tried.stderr
