"""Candidates (bridge.wire.sdp.transport); the rest of it is tested with whole offers."""

import pytest
from aiortc.sdp import candidate_from_sdp

from bridge.wire.sdp.description import parse_offer
from bridge.wire.sdp.transport import Candidate, write_candidate
from tests.support.packets.offers import offer


def read(value: str) -> tuple[tuple[Candidate, ...], int]:
    audio = parse_offer(offer("minimal") + f"a=candidate:{value}\r\n")
    return audio.candidates, audio.candidates_ignored


@pytest.mark.parametrize("kind", ["host", "srflx", "prflx", "relay"])
def test_a_udp_candidate_is_read_whole(kind: str) -> None:
    value = f"842163049 1 UDP 1677729535 192.0.2.44 60513 typ {kind} raddr 0.0.0.0 rport 0"
    candidate = Candidate("842163049", 1, "udp", 1677729535, "192.0.2.44", 60_513, kind)
    assert read(value) == ((candidate,), 0)


def test_an_ipv6_candidate_is_read_in_its_short_form() -> None:
    (candidate,), _ = read("1 1 udp 1 2001:DB8:0:0:0:0:0:1 5000 typ host")
    assert candidate.host == "2001:db8::1"


@pytest.mark.parametrize(
    "value",
    [
        "1 1 udp 1 a8a6c8c-6e9a-4d3e-8f79-5d0f1a86a9d2.local 5000 typ host",
        "1 1 udp 1 example.com 5000 typ host",
        "1 1 udp 1 dead.beef 5000 typ host",
        "1 1 tcp 1 192.0.2.44 9 typ host tcptype active",
        "1 1 ssltcp 1 192.0.2.44 443 typ host",
        "1 2 udp 1 192.0.2.44 5000 typ host",
        "1 1 udp 1 192.0.2.44 0 typ host",
        "1 1 udp 1 192.0.2.44 65536 typ host",
        "1 1 udp 4294967296 192.0.2.44 5000 typ host",
        "1 1 udp 1 192.0.2.444 5000 typ host",
        "1 1 udp 1 0.0.0.0 5000 typ host",
        "1 1 udp 1 :: 5000 typ host",
        "1 1 udp 1 224.0.0.251 5353 typ host",
        "1 1 udp 1 ff02::fb 5353 typ host",
        "1 1 udp 1 ::ffff:192.0.2.44 5000 typ host",
        "1 1 udp 1 fe80::1%eth0 5000 typ host",
        "1 1 udp 1 192.0.2.44 5000 typ magic",
        "1 1 udp 1 192.0.2.44 5000",
        "1 1 udp 1 192.0.2.44 \u0665000 typ host",
        "",
    ],
)
def test_a_candidate_of_no_use_is_counted_and_left_out(value: str) -> None:
    assert read(value) == ((), 1)


@pytest.mark.parametrize(
    "candidate",
    [
        Candidate("1", 1, "udp", 2130706431, "203.0.113.80", 20_004, "host"),
        Candidate("2", 1, "udp", 1694498815, "203.0.113.80", 20_004, "srflx"),
        Candidate("3", 1, "udp", 16777215, "2001:db8::80", 20_004, "relay"),
    ],
)
def test_a_written_candidate_is_read_back(candidate: Candidate) -> None:
    assert read(write_candidate(candidate)) == ((candidate,), 0)
    other = candidate_from_sdp(write_candidate(candidate))
    assert (other.ip, other.port, other.type) == (candidate.host, candidate.port, candidate.type)
