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
    """Give each operation that Schemathesis tests an id of its own: workers share tests by id."""
    if isinstance(item, SchemathesisFunction):
        item._id = item.id.with_params(item.name.partition("[")[2].removesuffix("]"))
