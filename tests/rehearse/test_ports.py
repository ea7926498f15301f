"""Ports for bots and media."""

import socket

import pytest

from bridge.rehearse import ports
from bridge.rehearse.ports import MEDIA_PORTS, free_port, media_ports
from bridge.rehearse.scenario_file import ScenarioError


def test_a_free_port_is_none_of_those_that_the_kernel_hands_out():
    assert ports.FIRST <= free_port() < ports.LAST


def test_a_port_in_use_is_not_free():
    with socket.create_server(("127.0.0.1", 0)) as used:
        port = used.getsockname()[1]
        with pytest.raises(ScenarioError, match="no TCP port"):
            free_port(port, port + 1)


def test_media_ports_are_a_range_between_the_limits():
    first, last = map(int, media_ports().split("-"))
    assert first >= ports.FIRST
    assert last == first + MEDIA_PORTS - 1 < ports.LAST
