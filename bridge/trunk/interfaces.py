"""What the parts of the SIP user agent need of each other."""

from collections.abc import Callable
from typing import Protocol

from bridge.sip.boundary import DialogId, Local, Target
from bridge.sip.core import SipCore
from bridge.trunk.trunk import TrunkAddress


class Agent(Protocol):
    """What dialogs, dialling and the supervision of trunks need of the user agent (`trunk.agent.SipAgent`)."""

    @property
    def core(self) -> SipCore:
        """The core that has the dialog."""

    @property
    def shared(self) -> bool:
        """Whether the sockets are shared with other nodes, to which dialogs can pass."""

    def claim(self, dialog: DialogId) -> None:
        """Take the messages of a suspended dialog again."""

    def forget(self, dialog: DialogId) -> None:
        """Free a dialog that another node has."""

    def now(self) -> float:
        """Return the loop's time."""

    def changed(self) -> None:
        """Perform the core's outputs in the loop's next iteration."""

    async def find(self, trunk: TrunkAddress) -> list[Target]:
        """Return the addresses of a trunk in the order to try them, or raise `LookupFailed`."""

    async def connect(self, trunk: TrunkAddress, target: Target) -> Target:
        """Return a target with the socket to reach it by, or raise `OSError`."""


class SipTransport(Protocol):
    """Sends and receives messages (`trunk.sockets.SipSockets`)."""

    @property
    def shared(self) -> bool:
        """Whether other nodes of the machine use the sockets too."""

    on_message: Callable[[bytes, Target], None]
    """Takes each whole message and where it came from."""
    on_failure: Callable[[Target], None]
    """Takes each target that could not be reached, or whose connection was lost."""

    async def run(self, opened: Callable[[], None]) -> None:
        """Receive until cancelled; calls `opened` once all listeners are open."""

    async def connect(self, target: Target, *, owner: str, name: str) -> Target:
        """Return a target with the socket to reach it by, or raise `OSError`.

        `owner` is the trunk it is for, `name` the host that a TLS certificate must name.
        """

    def send(self, data: bytes, target: Target) -> None:
        """Send a message."""

    def keep(self, target: Target) -> None:
        """Note that a connection is in use, though it has no messages."""

    def local(self, target: Target) -> Local:
        """Return the address of ours for Via and Contact that a target can reach."""

    def adopt(self, tag: str) -> None:
        """Have the messages of another node's dialog, by our tag in it, come to this one."""

    def mark_trusted(self, source: Target) -> None:
        """Keep an accepted connection when unauthenticated connections make room."""
