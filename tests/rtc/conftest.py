"""Tests with a peer run on both packet paths."""

from tests.support.packets.packet_path import choose_path, needs_session, parametrize_paths

PEERS = ("BridgePeer", "RoamingPeer")
"""A module that has one of these names tests peers."""


def pytest_generate_tests(metafunc):
    if needs_session(metafunc.module, PEERS):
        parametrize_paths(metafunc)


path = choose_path
