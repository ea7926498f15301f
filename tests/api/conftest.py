"""A bridge for tests of the HTTP API."""

import pytest

from tests.support.inprocess import running
from tests.support.two_nodes import nodes as nodes


@pytest.fixture
async def client():
    async with running() as client:
        yield client
