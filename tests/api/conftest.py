"""A bridge for tests of the HTTP API."""

import pytest

from tests.support.inprocess import running


@pytest.fixture
async def client():
    async with running() as client:
        yield client
