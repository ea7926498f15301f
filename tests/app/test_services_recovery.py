"""Calls of a lost node, which providers have to end."""

from typing import Any, cast

import pytest

from bridge.app.services import recover_insistently
from bridge.errors import DatabaseLost


class Database:
    """One that is lost and comes back."""

    def __init__(self):
        self.waited = 0

    async def available(self):
        self.waited += 1


@pytest.mark.virtual_time
async def test_the_calls_of_a_lost_node_are_recovered_though_the_database_is_lost_meanwhile():
    database, outcomes = Database(), [DatabaseLost("gone"), DatabaseLost("gone"), None]

    async def recover():
        if (outcome := outcomes.pop(0)) is not None:
            raise outcome

    await recover_insistently(cast("Any", database), recover, retry=1.0)
    assert (outcomes, database.waited) == ([], 2)
