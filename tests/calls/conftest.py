"""Whole calls: all run on one node, and a second time through the wrong one of two."""

import pytest

from tests.support.two_nodes import nodes as nodes


@pytest.fixture(autouse=True)
def on_both(nodes):
    """Run every test of this folder twice; those that would tell nothing new are marked so."""
    return nodes
