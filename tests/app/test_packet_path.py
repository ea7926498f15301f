"""Which path packets take, as the log and the metrics say it."""

import logging

import pytest

from bridge.app import packet_path
from bridge.metrics.registry import Metrics
from bridge.rtc.packet_path_library import NOT_BUILT, Library, Unavailable
from bridge.settings.rtc import Rtc


@pytest.fixture
def metrics():
    return Metrics(version="0")


@pytest.fixture
def told(caplog):
    """What the log has been told, as `event, path, reason`."""
    caplog.set_level(logging.INFO, logger=packet_path.log.name)
    return lambda: [
        (record.message, record.path, getattr(record, "reason", "")) for record in caplog.records
    ]


def paths(metrics):
    text = metrics.render().decode()
    return [line for line in text.splitlines() if line.startswith("bridge_packet_path_info{")]


@pytest.mark.compiled
def test_the_compiled_path_is_taken_where_it_was_built(metrics, told):
    assert isinstance(packet_path.choose_packet_path(Rtc(), metrics.node), Library)
    assert told() == [("packet_path.chosen", "compiled", "")]
    assert paths(metrics) == ['bridge_packet_path_info{path="compiled"} 1.0']


def test_the_setting_turns_it_off(metrics, told):
    assert packet_path.choose_packet_path(Rtc(compiled=False), metrics.node) is None
    assert told() == [("packet_path.chosen", "python", "turned off by rtc.compiled")]
    assert paths(metrics) == ['bridge_packet_path_info{path="python"} 1.0']


def test_what_cannot_be_had_is_logged_with_the_reason(metrics, told, monkeypatch):
    monkeypatch.setattr(packet_path, "load", lambda *, compiled: Unavailable(NOT_BUILT))
    assert packet_path.choose_packet_path(Rtc(), metrics.node) is None
    assert told() == [("packet_path.chosen", "python", NOT_BUILT)]
    assert paths(metrics) == ['bridge_packet_path_info{path="python"} 1.0']
