"""Which path packets take."""

from pathlib import Path

import cffi
import pytest

from bridge.cli.doctor.packet_path import check_packet_path, judge_packet_path
from bridge.rtc.packet_path_library import (
    NOT_BUILT,
    NOT_LINUX,
    STALE,
    TURNED_OFF,
    Library,
    Unavailable,
)
from bridge.settings.model import Settings
from bridge.settings.rtc import Rtc
from tests.cli.doctor.surroundings import assert_ok, assert_warns, only, surroundings


async def test_the_setting_is_heeded():
    async with surroundings(Settings(rtc=Rtc(compiled=False))) as around:
        assert_ok(only(await check_packet_path(around)), "Python path", TURNED_OFF)


def test_where_there_is_no_compiled_path_nothing_is_to_be_done():
    assert_ok(judge_packet_path(Unavailable(NOT_LINUX)), "Python path", "Linux")


def test_the_compiled_path_is_named_with_its_file():
    found = Library(cffi.FFI(), None, Path("/somewhere/libpacket_path.so"))
    assert_ok(judge_packet_path(found), "compiled", "/somewhere/libpacket_path.so")


@pytest.mark.parametrize("reason", [NOT_BUILT, STALE, "cannot be loaded: it is no library"])
def test_a_compiled_path_that_is_missing_is_told_with_what_to_do(reason):
    finding = judge_packet_path(Unavailable(reason))
    assert_warns(finding, reason, "apt-get install gcc", "make run", setting="rtc.compiled")
