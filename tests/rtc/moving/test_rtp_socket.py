"""The sockets of a peer of plain RTP; whole peers are in test_plain."""

import socket
from itertools import count

import pytest

from bridge.errors import LegError
from bridge.rtc import rtp_socket
from bridge.rtc.ports import PortPool
from bridge.rtc.rtp_socket import RtpSockets
from bridge.rtc.udp_socket import read_by_the_loop


async def test_sockets_that_cannot_be_polled_stay_the_callers_and_no_port_is_kept(monkeypatch):
    numbers = count()

    def refuse_the_second(transport):
        if next(numbers):
            raise LegError("no memory")
        return read_by_the_loop(transport)

    monkeypatch.setattr(rtp_socket, "read_by_the_loop", refuse_the_second)
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as first,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as second,
    ):
        for one in (first, second):
            one.bind(("127.0.0.1", 0))
        pool = PortPool([one.getsockname()[1] for one in (first, second)])
        receive = lambda _data, _sender: None  # noqa: E731
        made = RtpSockets("127.0.0.1", pool, on_rtp=receive, on_rtcp=receive, discarded={})
        with pytest.raises(LegError):
            made.take([first, second])
        assert min(first.fileno(), second.fileno()) >= 0
        assert (pool.used, pool.free, made.rtp) == (0, 2, None)
