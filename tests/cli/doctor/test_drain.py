"""The time that calls have to end, and what would end them sooner."""

import pytest

from bridge.cli.doctor import drain
from bridge.cli.doctor.drain import check_drain, judge, span
from bridge.settings.model import Limits, Settings
from tests.cli.doctor.surroundings import assert_ok, assert_warns, only, surroundings


def unit(stop, mode="mixed"):
    return f"LoadState=loaded\nTimeoutStopUSec={stop}\nKillMode={mode}\n"


async def look(seconds, monkeypatch, shown=""):
    async def show(_):
        return shown

    monkeypatch.setattr(drain, "_show", show)
    monkeypatch.setattr(drain, "UNITS", ("bridge.service",))
    async with surroundings(Settings(limits=Limits(drain_seconds=seconds))) as around:
        return only(await check_drain(around))


async def test_without_a_drain_there_is_nothing_to_wait_for(monkeypatch):
    assert_ok(await look(0, monkeypatch, unit("1min 30s")), "at once")


async def test_a_unit_that_waits_long_enough_is_well(monkeypatch):
    assert_ok(await look(3600, monkeypatch, unit("1h 1min")), "waits for bridge.service")


async def test_a_unit_that_kills_calls_is_told(monkeypatch):
    found = await look(3600, monkeypatch, unit("1min 30s"))
    assert_warns(found, "after 1min 30s", "TimeoutStopSec=3660", setting="limits.drain_seconds")


def test_a_unit_that_signals_every_process_is_told():
    assert_warns(judge("bridge.service", unit("infinity", "control-group"), 60), "KillMode=mixed")


async def test_without_a_unit_it_says_how_long_to_wait(monkeypatch):
    assert_ok(await look(100, monkeypatch), "160 s")


async def test_of_a_pod_it_says_what_its_grace_period_must_be(monkeypatch):
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert_ok(await look(3600, monkeypatch), "terminationGracePeriodSeconds", "3660")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1h 1min", 3660.0), ("1min 30s", 90.0), ("500ms", 0.5), ("infinity", float("inf")), ("", 0)],
)
def test_spans_of_time_are_read_as_systemd_prints_them(text, seconds):
    assert span(text) == seconds


async def test_a_program_that_is_not_there_is_no_systemd(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert await drain._show("bridge.service") == ""
