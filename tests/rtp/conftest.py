"""Tests with an RTP session run on both packet paths."""

from tests.support.packets.packet_path import choose_path, needs_session, parametrize_paths

SESSIONS = ("Party", "Talk")
"""A module that has one of these names tests sessions; `TwoPaths` has both paths at once."""


def pytest_generate_tests(metafunc):
    if needs_session(metafunc.module, SESSIONS):
        parametrize_paths(metafunc)


path = choose_path
