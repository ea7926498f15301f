"""Which path packets take."""

from pathlib import Path

import cffi
import pytest

from bridge.cli.doctor.machine import (
    check_packet_path,
    evaluate_media_thread,
    evaluate_packet_path,
)
from bridge.rtc.packet_path_library import (
    NOT_BUILT,
    NOT_LINUX,
    STALE,
    TURNED_OFF,
    Library,
    Unavailable,
)
from bridge.rtc.packet_poller import Scheduling
from bridge.settings.model import Settings
from bridge.settings.rtc import Rtc
from tests.cli.doctor.surroundings import assert_ok, assert_warns, only, surroundings


async def test_the_setting_is_heeded():
    async with surroundings(Settings(rtc=Rtc(compiled=False))) as around:
        assert_ok(only(await check_packet_path(around)), "Python path", TURNED_OFF)


def test_where_there_is_no_compiled_path_nothing_is_to_be_done():
    assert_ok(evaluate_packet_path(Unavailable(NOT_LINUX)), "Python path", "Linux")


def test_the_compiled_path_is_named_with_its_file():
    found = Library(cffi.FFI(), None, Path("/somewhere/libpacket_path.so"))
    assert_ok(evaluate_packet_path(found), "compiled", "/somewhere/libpacket_path.so")


@pytest.mark.compiled
async def test_the_media_thread_is_tried_and_its_scheduling_told():
    async with surroundings(Settings()) as around:
        _, thread = await check_packet_path(around)
    assert_ok(thread, "media thread")


@pytest.mark.compiled
async def test_no_thread_is_tried_where_none_is_wanted():
    async with surroundings(Settings(rtc=Rtc(media_thread=False))) as around:
        assert_ok(only(await check_packet_path(around)), "compiled")


def test_realtime_that_the_system_refuses_is_told_with_what_to_do():
    wanted = Scheduling(thread=True, realtime=True)
    assert_ok(evaluate_media_thread("realtime", wanted), "SCHED_FIFO")
    refused = evaluate_media_thread("slice", wanted)
    assert_warns(refused, "short slice", "LimitRTPRIO=1", setting="rtc.realtime")


def test_without_realtime_a_short_slice_is_as_wanted():
    assert_ok(evaluate_media_thread("slice", Scheduling(thread=True)), "short slice")


@pytest.mark.parametrize("reason", [NOT_BUILT, STALE, "cannot be loaded: it is no library"])
def test_a_compiled_path_that_is_missing_is_told_with_what_to_do(reason):
    finding = evaluate_packet_path(Unavailable(reason))
    assert_warns(finding, reason, "apt-get install gcc", "make run", setting="rtc.compiled")
