"""Whole calls: all run on one node, and a second time through the wrong one of two machines."""

import asyncio
from pathlib import Path

import pytest

from tests.support.two_nodes import nodes as nodes
from tests.support.virtual_time import VirtualTimeLoop

HERE = Path(__file__).parent
ABOUT_MEDIA = {
    "test_call_features",
    "test_cloud_digits",
    "test_cloud_faults",
    "test_cloud_races",
    "test_echo",
    "test_ends",
    "test_gateway_faults",
    "test_malformed_frames",
    "test_media_streams",
    "test_sockets",
    "test_stuck_readers",
    "test_trunk_features",
}
"""Their second run, where requests are passed on once more, is left to `make test-long`."""


def pytest_asyncio_loop_factories(config, item):
    """Run calls on a virtual clock, but for one of each kind and what waits for other processes."""
    if item.get_closest_marker("real_time"):
        return {"real_time": asyncio.new_event_loop}
    return {"virtual_time": VirtualTimeLoop}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        wrong = hasattr(item, "callspec") and item.callspec.params.get("nodes") == "wrong_machine"
        if wrong and item.path.parent == HERE and item.path.stem in ABOUT_MEDIA:
            item.add_marker(pytest.mark.long)


@pytest.fixture(autouse=True)
def on_both(nodes):
    """Run every test of this folder twice; those that would tell nothing new are marked so."""
    return nodes
