"""Whether a provider accepts a dial: a leg's first event decides, and whoever dialled waits for it."""

import asyncio

from bridge.call.model import EndReason
from bridge.errors import BridgeError, LegError, LimitExceeded


class DialOutcome:
    """The outcome of one dial; the first one counts."""

    def __init__(self) -> None:
        # A result in any case: who dialled may have gone away, and an exception would be logged.
        self._outcome: asyncio.Future[BridgeError | None] = (
            asyncio.get_running_loop().create_future()
        )

    async def wait(self) -> None:
        """Wait until the provider accepts.

        Raises:
            BridgeError: it refuses, or the leg has ended before.
        """
        if (error := await self._outcome) is not None:
            raise error

    def accepted(self) -> None:
        """Note that the provider accepts."""
        self._set(None)

    def ended(self, reason: EndReason, refusal: BridgeError | None) -> None:
        """Note that the leg has ended, with the provider's error where that is why."""
        if refusal is not None:
            self._set(refusal)
        elif reason is EndReason.DRAINED:
            text = "the bridge is shutting down and takes no new calls"
            self._set(LimitExceeded(text, limit="draining"))
        else:
            self._set(LegError(f"the call ended before its provider accepted the dial: {reason}"))

    def _set(self, outcome: BridgeError | None) -> None:
        if not self._outcome.done():
            self._outcome.set_result(outcome)
