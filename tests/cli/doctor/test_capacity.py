"""How many calls the CPU carries."""

import pytest

from bridge.audio.codec import opus
from bridge.cli.doctor import capacity
from bridge.cli.doctor.capacity import (
    Cost,
    check_capacity,
    evaluate,
    evaluate_share,
    measure,
    usable_cores,
)
from bridge.settings.model import Settings
from tests.cli.doctor.surroundings import assert_ok, assert_warns, only, surroundings

LIBRARY = opus.load(opus.candidates())


def test_packets_go_through_the_media_path_of_the_bridge():
    forwarded = measure(LIBRARY, 0.1, passthrough=True)
    decoded = measure(LIBRARY, 0.1, passthrough=False)
    assert 1e-6 < forwarded.packet_seconds < decoded.packet_seconds < 0.01
    assert 0 < decoded.share <= 1


def test_calls_follow_from_the_cost_of_a_packet():
    cost = Cost(packet_seconds=4e-5, share=1.0)
    assert cost.calls(2.5, 1) == 50
    assert cost.calls(2.5, 2) == 100


async def test_the_machine_is_measured(monkeypatch):
    monkeypatch.setattr(capacity, "SECONDS", 0.1)
    async with surroundings(Settings()) as around:
        found = await check_capacity(around)
    assert_ok(found[0], "calls of two legs at once")


def test_more_calls_than_the_machine_carries_are_told():
    assert_ok(evaluate(50, 100, limit=100, exposed=True), "50 to 100")
    assert_ok(evaluate(50, 100, limit=200, exposed=False))
    assert_warns(evaluate(50, 100, limit=200, exposed=True), "nodes = 0", setting="limits.calls")


def test_a_busy_machine_is_told():
    assert evaluate_share(0.9) == []
    assert_warns(only(evaluate_share(0.4)), "40%")


@pytest.mark.parametrize("text", ["max 100000", "", "nonsense"])
def test_without_a_quota_the_cores_are_those_of_the_process(tmp_path, text):
    (tmp_path / "cpu.max").write_text(text)
    assert usable_cores(tmp_path / "cpu.max") == usable_cores(tmp_path / "missing") >= 1


def test_a_container_may_have_less_than_a_core(tmp_path):
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    assert usable_cores(tmp_path / "cpu.max") == 1
