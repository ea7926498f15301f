"""The packet path's thread beside Python, under ThreadSanitizer: a short run of `make races`."""

import pytest

from tests.fuzz.races import RACES, build, pass_packets

pytestmark = [pytest.mark.full, pytest.mark.compiler]

PACKETS = 20_000


def program(folder, *more):
    """Return the program; skip the test without ThreadSanitizer."""
    built = build(folder, *more)
    if built is None:
        pytest.skip("the C compiler has no ThreadSanitizer")
    return built


@pytest.mark.parametrize("tick", [0, 1000])
def test_each_packet_comes_once_and_in_order_without_a_race(tmp_path, tick):
    ran = pass_packets(program(tmp_path), PACKETS, tick=tick, quiet=True)
    assert ran.returncode == 0, ran.stdout


def test_races_are_found_without_the_locks(tmp_path):
    ran = pass_packets(program(tmp_path, "-DWITHOUT_LOCKS"), PACKETS // 4, quiet=True)
    assert ran.returncode == RACES, ran.stdout
    assert "data race" in ran.stdout
