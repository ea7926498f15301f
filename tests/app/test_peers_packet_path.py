"""Which path packets take, as the log and the metrics say it."""

import logging

import pytest

from bridge.app import peers
from bridge.metrics.registry import Metrics
from bridge.rtc.packet_path_library import NOT_BUILT, STALE, Library, Unavailable
from bridge.settings.rtc import Rtc


@pytest.fixture
def metrics():
    return Metrics(version="0")


@pytest.fixture
def told(caplog):
    """What the log has been told, as `level, path, reason`."""
    caplog.set_level(logging.INFO, logger=peers.log.name)
    return lambda: [
        (record.levelname, record.path, getattr(record, "reason", ""))
        for record in caplog.records
        if record.message == "packet_path.chosen"
    ]


def paths(metrics):
    text = metrics.render().decode()
    return [line for line in text.splitlines() if line.startswith("bridge_packet_path_info{")]


@pytest.mark.compiled
def test_the_compiled_path_is_taken_where_it_was_built(metrics, told):
    assert isinstance(peers.choose_packet_path(Rtc(), metrics.node), Library)
    assert told() == [("INFO", "compiled", "")]
    assert paths(metrics) == ['bridge_packet_path_info{path="compiled"} 1.0']


def test_the_setting_turns_it_off(metrics, told):
    assert peers.choose_packet_path(Rtc(compiled=False), metrics.node) is None
    assert told() == [("INFO", "python", "turned off by rtc.compiled")]
    assert paths(metrics) == ['bridge_packet_path_info{path="python"} 1.0']


@pytest.mark.parametrize(
    ("level", "reason"),
    [("INFO", NOT_BUILT), ("WARNING", STALE), ("WARNING", "cannot be loaded: …")],
)
def test_a_missing_one_is_logged_with_the_reason(metrics, told, monkeypatch, level, reason):
    monkeypatch.setattr(peers, "load", lambda *, compiled: Unavailable(reason))
    assert peers.choose_packet_path(Rtc(), metrics.node) is None
    assert told() == [(level, "python", reason)]
    assert paths(metrics) == ['bridge_packet_path_info{path="python"} 1.0']
