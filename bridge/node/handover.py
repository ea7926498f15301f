"""Passing live calls whole to another process of this machine, and taking them over from one."""

from bridge.call.model import CallId
from bridge.errors import HandoverRefused
from bridge.node.manager import Manager


class Handover:
    """Passes live calls of this node to its successor, one after the other."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager

    def movable(self) -> list[CallId]:
        """Return the calls whose legs can all move now, the oldest first."""
        return []

    def suspend(self, call_id: CallId) -> tuple[bytes, list[int]]:
        """Stop a call; return its snapshot and the descriptors that go with it, in order.

        The descriptors stay this process's own: they are to be duplicated, not closed. `resume` or `abandon`
        must follow at once.

        Raises:
            HandoverRefused: the call cannot move now, or has ended; it goes on as it was.
        """
        raise HandoverRefused("the call cannot move")

    def resume(self, call_id: CallId) -> None:
        """Let a suspended call go on here: nobody has taken it."""

    async def abandon(self, call_id: CallId) -> None:
        """Forget a suspended call that the successor has taken: free what it has here, and report nothing."""


class Adoption:
    """Takes over calls of another process of this machine."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager

    def adopt(self, snapshot: bytes, descriptors: list[int]) -> CallId:
        """Go on with a suspended call of another process; all of it, or nothing.

        The descriptors become this process's own when it returns, and stay the caller's when it raises.

        Raises:
            HandoverRefused: the snapshot cannot be restored here.
        """
        raise HandoverRefused("the call cannot be taken over")
