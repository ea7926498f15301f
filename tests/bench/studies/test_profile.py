"""Where a packet's time goes."""

import pytest

from tests.bench.studies.profile import Profile, markdown, shares

REPORT = """
# Overhead  Shared Object
    35.50%  libopus-114e2b1a.so.0.11.1
    30.00%  libpython3.11.so.1.0
    15.00%  [kernel.kallsyms]
     6.00%  _binding.abi3.so
     4.00%  libc.so.6
     3.00%  loop.cpython-311-x86_64-linux-gnu.so
     1.00%  libpacket_path.so
     0.50%  libsqlite3.so.0.8.6
     0.10%  [vdso]
"""


def test_shared_objects_are_summed_up_by_what_they_belong_to():
    found = shares(REPORT)
    assert found == pytest.approx(
        {
            "compiled path": 0.01,
            "kernel": 0.15,
            "libopus": 0.355,
            "SRTP": 0.06,
            "event loop": 0.03,
            "interpreter": 0.341,
            "other": 0.005,
        }
    )


def test_shares_stand_in_a_table():
    lines = markdown([Profile("passthrough", "python", 0.4, shares(REPORT))]).splitlines()
    assert lines[2].startswith("| passthrough | python      | 0.400     | 1 % ")


def test_where_perf_tells_nothing_the_cost_stands_alone():
    assert "0.400" in markdown([Profile("passthrough", "python", 0.4, {})])
