"""The names of hosts(5)."""

import os

import pytest

from bridge.http.resolver import CHECK_SECONDS, MAX_BYTES, Hosts, parse_hosts

FILE = """\
127.0.0.1 localhost localhost.localdomain  # this machine
::1 localhost ip6-localhost
\t10.0.0.7\tGateway.Internal gw.
# 10.0.0.8 gone
fe80::1%eth0 router
nonsense name
10.0.0.9
"""


@pytest.mark.parametrize(
    ("name", "addresses"),
    [
        ("localhost", ["127.0.0.1", "::1"]),
        ("gateway.internal", ["10.0.0.7"]),
        ("gw", ["10.0.0.7"]),
        ("router", ["fe80::1"]),
        ("gone", []),
        ("name", []),
    ],
)
def test_a_name_has_the_addresses_of_its_lines(name, addresses):
    assert [str(address) for address in parse_hosts(FILE.splitlines()).get(name, [])] == addresses


def test_a_name_is_found_in_any_case(tmp_path):
    path = tmp_path / "hosts"
    path.write_text(FILE)
    assert [str(address) for address in Hosts(path).find("GATEWAY.internal")] == ["10.0.0.7"]


def test_the_file_is_read_again_when_it_has_changed(tmp_path):
    path, times = tmp_path / "hosts", [0.0]
    path.write_text("10.0.0.1 gateway\n")
    hosts = Hosts(path, now=lambda: times[0])
    assert hosts.find("gateway")
    path.write_text("10.0.0.22 gateway\n")
    assert [str(address) for address in hosts.find("gateway")] == ["10.0.0.1"]
    times[0] = CHECK_SECONDS
    assert [str(address) for address in hosts.find("gateway")] == ["10.0.0.22"]


def test_a_file_that_is_gone_leaves_what_was_read(tmp_path):
    path, times = tmp_path / "hosts", [0.0]
    path.write_text("10.0.0.1 gateway\n")
    hosts = Hosts(path, now=lambda: times[0])
    assert hosts.find("gateway")
    os.unlink(path)
    times[0] = CHECK_SECONDS
    assert hosts.find("gateway")
    assert Hosts(path).find("gateway") == []


def test_of_a_file_without_end_the_beginning_counts(tmp_path):
    path = tmp_path / "hosts"
    path.write_text("10.0.0.1 first\n" + "#" * MAX_BYTES + "\n10.0.0.2 last\n")
    hosts = Hosts(path)
    assert hosts.find("first")
    assert hosts.find("last") == []
