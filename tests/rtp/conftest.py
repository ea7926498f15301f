"""Tests with an RTP session run on every packet path."""

from tests.support.packets.packet_path import (
    choose_path,
    needs_session,
    parametrize_compiled_paths,
    parametrize_paths,
)

SESSIONS = ("Party", "Talk")
"""A module that has one of these names tests sessions."""
BOTH = ("TwoPaths",)
"""Likewise sessions on a compiled path and on Python's at once."""


def pytest_generate_tests(metafunc):
    if needs_session(metafunc.module, SESSIONS):
        parametrize_paths(metafunc)
    elif needs_session(metafunc.module, BOTH):
        parametrize_compiled_paths(metafunc)


path = choose_path
