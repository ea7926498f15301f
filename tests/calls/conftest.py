"""Whole calls: all run on one node, and again through the wrong one of two machines and of two nodes."""

import asyncio

import pytest

from tests.support.two_nodes import nodes as nodes
from tests.support.virtual_time import VirtualTimeLoop


def pytest_asyncio_loop_factories(config, item):
    """Run calls on a virtual clock, but for one of each kind and what waits for other processes."""
    if item.get_closest_marker("real_time"):
        return {"real_time": asyncio.new_event_loop}
    return {"virtual_time": VirtualTimeLoop}


@pytest.fixture(autouse=True)
def on_both(nodes):
    """Run every test of this folder twice; those that would tell nothing new are marked so."""
    return nodes
