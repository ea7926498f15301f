"""The network that clusters are run on."""

import socket

import pytest

from tests.machines.network import network
from tests.machines.programs import Program

pytestmark = pytest.mark.cluster


def test_hosts_that_are_cut_apart_lose_every_packet_until_that_is_mended(tmp_path):
    with network(["a", "b"]) as net:
        listener = Program(net.hosts["a"], ("python3", "-m", "http.server", "80"), tmp_path)
        listener.start()

        def reached() -> bool:
            try:
                socket.create_connection((net.hosts["a"].address, 80), timeout=0.3).close()
            except OSError:
                return False
            return True

        try:
            while not reached():
                pass
            net.cut(net.outside, net.hosts["b"])
            assert reached()
            net.cut(net.hosts["a"], net.outside)
            assert not reached()
            net.mend(net.outside, net.hosts["a"])
            assert reached()
        finally:
            listener.kill()
