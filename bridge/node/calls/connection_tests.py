"""Test calls: a client finds out how a call would sound, before one is made and without a provider."""

from typing import Final

from bridge.call.model import CallDetails, LineName
from bridge.errors import TooManyTests
from bridge.legs.simulator import ECHO
from bridge.node.manager import Manager
from bridge.node.runner import CallRunner

TEST_SECONDS: Final = 30.0
"""How long a test call lasts at most."""


class ConnectionTests:
    """The test calls of a node."""

    def __init__(self, manager: Manager, *, per_line: int) -> None:
        """`per_line` is `limits.tests_per_line`."""
        self._manager = manager
        self._per_line = per_line

    async def open(self, line: LineName) -> CallRunner:
        """Begin a call to the echo inside the bridge, whatever the line's provider is.

        Raises:
            LineDisabled: the line makes no calls now.
            TooManyTests: the line has its maximum of test calls.
            LimitExceeded: no more calls are taken.
        """
        calls = (runner.facts for runner in self._manager.calls())
        if sum(call.line == line and call.details.test for call in calls) >= self._per_line:
            raise TooManyTests(
                f"the line has {self._per_line} test calls already (limits.tests_per_line)"
            )
        details = CallDetails(talk_seconds=TEST_SECONDS, test=True)
        return await self._manager.dial(line, ECHO, details)
