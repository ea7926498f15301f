"""Clusters for tests."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeAlias

import pytest

from tests.machines import available
from tests.machines.callers import calling
from tests.machines.cluster import running_cluster
from tests.machines.scene import Scene

Scenes: TypeAlias = Callable[..., AbstractAsyncContextManager[Scene]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what cannot be run here."""
    lack = available.lack()
    for item in items:
        if lack and item.get_closest_marker("cluster"):
            item.add_marker(pytest.mark.skip(reason=lack))


@pytest.fixture
def scene() -> Scenes:
    """Return what runs a cluster with callers, as `running_cluster` is called."""

    @asynccontextmanager
    async def run(**chosen: Any) -> AsyncIterator[Scene]:
        with running_cluster(**chosen) as cluster:
            async with calling(cluster.front.url, cluster.network.outside.address) as callers:
                yield Scene(cluster, callers)

    return run
