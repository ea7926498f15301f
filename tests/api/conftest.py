"""A bridge for tests of the HTTP API."""

import pytest
from schemathesis.pytest.plugin import SchemathesisFunction

from tests.support.inprocess import running
from tests.support.two_nodes import nodes as nodes


@pytest.fixture
async def client():
    async with running() as client:
        yield client


def pytest_itemcollected(item):
    """Give each operation that Schemathesis asks an id of its own, by which workers share them."""
    if isinstance(item, SchemathesisFunction):
        item._nodeid = f"{item.parent.nodeid}::{item.name}"
