"""Strangers who ask and do not read, who open connections and say nothing, who want all there are.

On loopback, whose addresses 127.0.0.2 and so on stand for other people's.
"""

import asyncio
import json
import re
import resource
import socket
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.support.server import running

READERS = 300
STRANGER = "127.0.0.2"


@contextmanager
def soft_descriptor_limit(count):
    before, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (before, hard))


@pytest.fixture(scope="module")
def bridge(tmp_path_factory):
    with ExitStack() as stack:
        with soft_descriptor_limit(256):
            server = stack.enter_context(running(tmp_path_factory.mktemp("bridge")))
        yield server


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    limits = {"LIMITS__CONNECTIONS": "40", "LIMITS__UNAUTHENTICATED_REQUESTS": "5"}
    with running(tmp_path_factory.mktemp("small"), **limits) as server:
        yield server


def connected(stack, port, address=STRANGER):
    """Connect from an address with as small a window as the kernel gives."""
    client = stack.enter_context(socket.socket())
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    client.bind((address, 0))
    client.settimeout(10)
    client.connect(("127.0.0.1", port))
    return client


def request(path, **headers):
    lines = [f"GET {path} HTTP/1.1", "Host: localhost"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def resident(server):
    """Return the bytes of memory that the process has."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return number(r"VmRSS:\s+(\d+) kB", status) * 1024


def number(pattern, text):
    found = re.search(pattern, text)
    assert found, text
    return int(found[1])


def established(server):
    """Count the connections that the process still has with strangers."""
    port = f":{server.port:04X}"
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ours = [row for row in rows if row[1].endswith(port) and row[3] == "01"]
    return sum(1 for row in ours if row[2].startswith("0200007F"))


def within(seconds, condition):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)


@pytest.mark.full
def test_strangers_who_do_not_read_hold_little_memory_and_are_cut_off(bridge):
    bridge.text("/openapi.json")  # what the document itself costs is paid once
    before = resident(bridge)
    with ExitStack() as stack:
        for _ in range(READERS):
            connected(stack, bridge.port).sendall(request("/openapi.json"))
        began = time.monotonic()
        within(5, lambda: bridge.text("/healthz"))
        held = resident(bridge) - before
        assert held < 40_000_000, f"{held / 1e6:.0f} MB"
        within(16, lambda: established(bridge) == 0)
        assert time.monotonic() - began < 16
    cut = [row for row in bridge.text("/metrics").splitlines() if 'reason="slow_reader"' in row]
    assert sum(row.startswith("bridge_http_connections_cut_total") for row in cut) == 1


def test_one_address_has_so_many_requests_without_a_key_and_a_key_is_always_answered(small):
    bridge = small
    with ExitStack() as stack:
        clients = [connected(stack, bridge.port) for _ in range(8)]
        for client in clients[:5]:
            client.sendall(request("/openapi.json"))
            assert client.recv(12) == b"HTTP/1.1 200"
        clients[5].sendall(request("/openapi.json"))
        refused = clients[5].recv(4096)
        assert refused.startswith(b"HTTP/1.1 429")
        assert b"Retry-After: 1" in refused
        assert b"limits.unauthenticated_requests" in refused

        clients[6].sendall(request("/call/status", token="demo"))
        assert clients[6].recv(12) == b"HTTP/1.1 200"
        clients[7].sendall(request("/call/status", token="wrong"))
        assert clients[7].recv(12) == b"HTTP/1.1 429"
        elsewhere = connected(stack, bridge.port, "127.0.0.3")
        elsewhere.sendall(request("/openapi.json"))
        assert elsewhere.recv(12) == b"HTTP/1.1 200"
        assert bridge.log().count("request.refused") == 1


def test_connections_that_say_nothing_give_way_and_those_with_a_key_stay(small):
    bridge = small
    with ExitStack() as stack:
        keyed = connected(stack, bridge.port)
        keyed.sendall(request("/call/status", token="demo"))
        assert keyed.recv(12) == b"HTTP/1.1 200"
        keyed.recv(4096)
        for _ in range(200):
            connected(stack, bridge.port)

        assert bridge.get("/call/status") == {"calls": []}
        keyed.sendall(request("/call/status", token="demo"))
        assert keyed.recv(12) == b"HTTP/1.1 200"
        within(10, lambda: established(bridge) <= 40)
        assert 'bridge_http_connections_cut_total{reason="no_room"' in bridge.text("/metrics")


def test_the_soft_limit_of_open_files_is_raised_at_the_start(bridge):
    limits = Path(f"/proc/{bridge.process.pid}/limits").read_text()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert number(r"Max open files\s+(\d+)", limits) == min(hard, 65_536)


async def test_an_event_stream_and_its_events_outlive_a_crowd_of_strangers(small):
    bridge = small
    with ExitStack() as stack:
        reader, writer = await asyncio.open_connection("127.0.0.1", bridge.port)
        writer.write(request("/events", token="demo"))
        await reader.readuntil(b"\r\n\r\n")
        for _ in range(100):
            connected(stack, bridge.port)
        call_id = await asyncio.to_thread(bridge.post, "/call/dial", {"phone": "15550100003"})
        async with asyncio.timeout(5):
            while True:
                line = await reader.readuntil(b"\n")
                if line.startswith(b"data:"):
                    break
        assert call_id["callId"] in json.dumps(json.loads(line[5:]))
        writer.close()
