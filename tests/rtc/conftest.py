"""Tests with a peer run on every packet path."""

from tests.support.packets.packet_path import choose_path, needs_session, parametrize_paths

PEERS = ("BridgePeer", "RoamingPeer", "PlainPeer")
"""A module that has one of these names tests peers."""


def pytest_generate_tests(metafunc):
    if needs_session(metafunc.module, PEERS):
        parametrize_paths(metafunc)


path = choose_path
