"""The time that calls have to end, and what would end them sooner."""

import pytest

from bridge.cli.doctor.drain import check_drain, evaluate, span
from bridge.settings.model import Limits, Settings
from tests.cli.doctor.surroundings import assert_ok, assert_warns, only, surroundings


def unit(stop, mode="mixed"):
    return f"LoadState=loaded\nTimeoutStopUSec={stop}\nKillMode={mode}\n"


@pytest.fixture
def systemctl(monkeypatch, tmp_path):
    """A program in the real one's place; writes what it is to say of bridge.service."""
    program, shown = tmp_path / "systemctl", tmp_path / "shown"
    program.write_text(f'#!/bin/sh\ncase "$*" in "show bridge.service "*) cat {shown} ;; esac\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    shown.write_text("")
    return shown


async def look(seconds):
    async with surroundings(Settings(limits=Limits(drain_seconds=seconds))) as around:
        return only(await check_drain(around))


async def test_without_a_drain_there_is_nothing_to_wait_for(systemctl):
    systemctl.write_text(unit("1min 30s"))
    assert_ok(await look(0), "at once")


async def test_a_unit_that_waits_long_enough_is_well(systemctl):
    systemctl.write_text(unit("1h 1min"))
    assert_ok(await look(3600), "waits for bridge.service")


async def test_a_unit_that_kills_calls_is_told(systemctl):
    systemctl.write_text(unit("1min 30s"))
    found = await look(3600)
    assert_warns(found, "after 1min 30s", "TimeoutStopSec=3660", setting="limits.drain_seconds")


def test_a_unit_that_signals_every_process_is_told():
    assert_warns(
        evaluate("bridge.service", unit("infinity", "control-group"), 60), "KillMode=mixed"
    )


async def test_without_a_unit_it_says_how_long_to_wait(systemctl):
    assert systemctl.read_text() == ""
    assert_ok(await look(100), "160 s")


async def test_of_a_pod_it_says_what_its_grace_period_must_be(monkeypatch):
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert_ok(await look(3600), "terminationGracePeriodSeconds", "3660")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1h 1min", 3660.0), ("1min 30s", 90.0), ("500ms", 0.5), ("infinity", float("inf")), ("", 0)],
)
def test_spans_of_time_are_read_as_systemd_prints_them(text, seconds):
    assert span(text) == seconds


async def test_a_program_that_is_not_there_is_no_systemd(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert_ok(await look(100), "160 s")
