import logging

import pytest

from bridge.audio.codec.encoder_level import EncoderBudget, EncoderLevel
from bridge.metrics.registry import Metrics
from bridge.node.load import Load, seconds_waited


class Node:
    """A load whose processor time the test sets."""

    def __init__(self, overload_seconds=5.0):
        self.metrics = Metrics(version="0")
        self.encoder_budget = EncoderBudget()
        self.now = 100.0
        self.used = 7.0
        self.waited = 3.0
        self.load = Load(
            encoder_budget=self.encoder_budget,
            metrics=self.metrics,
            overload_seconds=overload_seconds,
            processor=lambda: self.used,
            waited=lambda: self.waited,
        )
        self.load.update(self.now)

    def seconds(self, count, *, cpu=0.1, waited=0.0, lags=(0.0,)):
        for _ in range(count):
            for lag in lags:
                self.load.probe(lag)
            self.now += 1.0
            self.used += cpu
            self.waited += waited
            self.load.update(self.now)

    def encoder_level_shown(self):
        lines = self.metrics.render().decode().splitlines()
        return next(line for line in lines if line.startswith("bridge_encoder_level "))


@pytest.fixture
def node():
    return Node()


def test_an_idle_node_takes_calls_at_the_normal_encoder_level(node):
    node.seconds(30)
    assert not node.load.refusing
    assert node.encoder_budget.level is EncoderLevel.NORMAL
    assert node.encoder_level_shown() == "bridge_encoder_level 0.0"


def test_a_busy_processor_raises_the_level_of_all_encoders(node):
    node.seconds(4, cpu=0.85)
    assert node.encoder_budget.level is EncoderLevel.REDUCED
    assert node.encoder_level_shown() == "bridge_encoder_level 1.0"


@pytest.mark.parametrize("busy", [{"cpu": 0.95}, {"lags": (0.0, 0.05, 0.0)}])
def test_lasting_overload_refuses_calls_until_it_is_over(node, busy):
    node.seconds(6, **busy)
    assert node.load.refusing
    node.seconds(4)
    assert not node.load.refusing


def test_a_node_with_little_to_do_takes_calls_beside_programs_that_hold_the_cores(node):
    node.seconds(60, cpu=0.05, waited=0.3, lags=(0.0, 0.05, 0.08))
    assert not node.load.refusing


def test_a_node_with_little_to_do_encodes_as_ever_beside_programs_that_hold_the_cores(node):
    node.seconds(60, cpu=0.05, waited=0.3, lags=(0.0, 0.05, 0.08))
    assert node.load.level is EncoderLevel.NORMAL


def test_a_node_that_waits_for_most_of_its_work_lowers_the_level_of_all_encoders(node):
    node.seconds(4, cpu=0.4, waited=0.45)
    assert node.load.level is EncoderLevel.REDUCED


def test_a_node_that_hardly_gets_a_core_refuses_calls_and_names_the_machine(node):
    node.seconds(6, cpu=0.3, waited=0.65, lags=(0.2,))
    assert "the machine is too busy" in node.load.refusal
    node.seconds(6, cpu=0.95)
    assert "the bridge has too much to do" in node.load.refusal
    node.seconds(4)
    assert node.load.refusal == ""


def test_waiting_for_a_core_is_measured_of_the_calling_thread():
    before = seconds_waited()
    assert 0.0 <= before <= seconds_waited()


def test_a_late_timer_counts_in_its_own_second_only(node):
    node.seconds(1, lags=(0.5,))
    node.seconds(10)
    assert node.encoder_budget.level is EncoderLevel.NORMAL


def test_processor_time_before_the_start_does_not_count():
    node = Node()
    node.used += 1_000.0
    fresh = Load(
        encoder_budget=node.encoder_budget,
        metrics=node.metrics,
        overload_seconds=5.0,
        processor=lambda: node.used,
    )
    fresh.update(200.0)
    fresh.update(201.0)
    assert not fresh.refusing


def test_without_overload_seconds_nothing_is_refused():
    node = Node(overload_seconds=0.0)
    node.seconds(60, cpu=1.0)
    assert not node.load.refusing


def test_a_change_is_logged_once(node, caplog):
    with caplog.at_level(logging.WARNING):
        node.seconds(30, cpu=0.85)
    assert [record.message for record in caplog.records] == ["node.load", "node.load"]
    assert caplog.records[-1].encoder_level == "minimal"
