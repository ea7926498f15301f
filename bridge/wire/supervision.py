"""Messages between a supervisor and its nodes: JSON objects, one to a line, over a pipe each way.

Each has the version `v` and its `kind`. A supervisor may be older or newer than a node: unknown kinds and
unknown fields are ignored, another version is refused. An empty line from a node is a heartbeat.
"""

from typing import Final, TypeAlias, TypeVar

import msgspec

from bridge.errors import RemoteProtocolError

VERSION: Final = 1
MAX_LINE: Final = 1 << 20
"""Bytes of a line; the settings are in it."""
CONTROL_SOCKET: Final = "control.sock"
"""In the folder of the nodes' sockets."""
BEAT: Final = b"\n"
PASSED: Final = b"\n"
"""The message that descriptors of an inherited call come with (`Slot.passed`)."""
MAX_STRIKES: Final = 2
"""A call with so many is not gone on with: it ends."""
HEARTBEAT_SECONDS: Final = 1.0
"""A node sends two heartbeats in this time."""


class Process(msgspec.Struct, frozen=True):
    """One process of a node."""

    node: int
    boot: str
    """16 hex digits, different for every process."""
    draining: bool = False


class _Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    v: int = VERSION


class Roster(_Message, frozen=True, kw_only=True, tag="roster"):
    """The processes of this machine; sent whenever it changes."""

    nodes: list[Process]
    """Those that run, or are being restarted."""
    lost: list[Process] = []
    """Those that have ended, oldest first; the last ones if there are many."""
    spares: int = 0
    """Processes that wait to be started as nodes."""


class Inherited(msgspec.Struct, frozen=True, kw_only=True):
    """A call of a process that has died, which the one that is started in its place may go on with."""

    call_id: str
    provider_keys: list[str] = []
    """Keys of its calls at the WhatsApp provider."""
    node: int
    boots: list[str]
    """Of the process that has died, then of those before it that may not have come to register what they inherited."""
    died_at: float
    """On the monotonic clock: nothing was sent after."""
    hung: float = 0.0
    """For how many seconds it had hung before; 0 if it did not."""
    ledger: int
    """File descriptor of what the process may have used (`wire.rtp.used_numbers`)."""
    snapshot: int
    """File descriptor of the call's snapshot."""
    descriptors: list[int]
    """The claim, as of an `Offer`, then those of the call."""
    strikes: int = 0
    """How many processes have died while they worked on it."""


class Prepare(_Message, frozen=True, kw_only=True, tag="prepare"):
    """Load what a node needs, say `Prepared`, and wait for the slot of a node: the first line of a spare."""

    settings: msgspec.Raw
    """As JSON; those that the slot will have."""
    pipe: int
    """File descriptor for messages to the supervisor."""
    keep: int = -1
    """As in a slot."""


class Slot(_Message, frozen=True, kw_only=True, tag="slot"):
    """What a node is and may use; its first line, unless it was a spare."""

    node: int
    boot: str
    run: str
    """16 hex digits of the supervisor's own process."""
    count: int
    """How many nodes there are when all of them run."""
    listeners: list[int]
    """File descriptors of the listening sockets that all nodes share."""
    core: int | None = None
    """The CPU to run on; None for any."""
    ports: str
    """UDP ports for media."""
    settings: msgspec.Raw
    """As JSON."""
    roster: Roster = Roster(nodes=[])
    pipe: int = -1
    """File descriptor for messages to the supervisor; -1 for none."""
    accepts: bool = True
    """Whether to accept connections at once, or wait for `Accept`."""
    stuck: int = 0
    """Previous processes killed because they were stuck."""
    lost: int = 0
    """Previous processes lost for other reasons."""
    keep: int = -1
    """File descriptor of the socket to which copies of its calls are sent (`Keep`); -1 for none."""
    inherited: list[Inherited] = []
    passed: bool = False
    """Whether the descriptors of `inherited` follow over `keep`, those of each call with one message, in this order."""


class Accept(_Message, frozen=True, kw_only=True, tag="accept"):
    """Accept connections from now on, or leave them to the other nodes."""

    on: bool


class BeginDrain(_Message, frozen=True, kw_only=True, tag="drain"):
    """Take no new calls, and exit once the live ones have ended."""

    seconds: float | None = None
    """After which live calls are ended; None for never."""
    reason: str = ""


class HandOver(_Message, frozen=True, kw_only=True, tag="handover"):
    """Pass live calls to another node of this machine; what cannot move stays. A node that is too old ignores it."""

    node: int


class Stop(_Message, frozen=True, kw_only=True, tag="stop"):
    """End the live calls as `drained`, and exit."""


class Prepared(_Message, frozen=True, kw_only=True, tag="prepared"):
    """The spare can take a slot."""

    memory: int = 0
    """Bytes that no other process shares with it; 0 where that is not known."""


class Ready(_Message, frozen=True, kw_only=True, tag="ready"):
    """The node takes calls, or would if it accepted connections."""

    node: int


class Calls(_Message, frozen=True, kw_only=True, tag="calls"):
    """How many calls the node has."""

    calls: int
    draining: bool = False
    seconds: float | None = None
    """Until a drain ends them; None for no drain or no limit."""
    handed: int = 0
    """How many calls it has passed to another node."""
    media_thread: int = 0
    """The id of the thread that receives packets; 0 without one."""


class Drained(_Message, frozen=True, kw_only=True, tag="drained"):
    """The node has drained, has no calls left, and is about to exit."""


class Keep(_Message, frozen=True, kw_only=True, tag="keep"):
    """Keep what a successor needs to go on with a call, instead of what was kept of it before.

    One message of the socket, with file descriptors: the snapshot, the claim and those of the call. The supervisor reads
    none of it. A node that does not want the call to go on from a copy any more takes its claim.
    """

    call_id: str
    provider_keys: list[str] = []


class KeepLedger(_Message, frozen=True, kw_only=True, tag="ledger"):
    """Keep what the node may have used; with its file descriptor, and before the first `Keep`."""


class Forget(_Message, frozen=True, kw_only=True, tag="forget"):
    """Keep nothing of a call any more."""

    call_id: str


class DrainNodes(_Message, frozen=True, kw_only=True, tag="drain"):
    """On the control socket: drain one node, or all and exit."""

    node: int | None = None
    seconds: float | None = None
    """None for `limits.drain_seconds`."""


class Upgrade(_Message, frozen=True, kw_only=True, tag="upgrade"):
    """On the control socket: replace the nodes by new ones, with the code and the settings on disk."""


class Inspect(_Message, frozen=True, kw_only=True, tag="inspect"):
    """On the control socket: tell what there is for nodes that die."""


class Spares(_Message, frozen=True, kw_only=True, tag="spares"):
    """On the control socket: the processes that wait to be started as nodes."""

    ready: int
    memory: int = 0
    """Bytes that they have for themselves alone."""
    why_not: str = ""
    """Why there are to be none; empty where they are wanted."""


class Progress(_Message, frozen=True, kw_only=True, tag="progress"):
    """On the control socket: what is being done."""

    text: str
    begun: bool = False
    """Whether it goes on by itself from now on, and cannot fail any more."""


class Done(_Message, frozen=True, kw_only=True, tag="done"):
    """On the control socket: what was asked for is done."""

    text: str = ""


class Failed(_Message, frozen=True, kw_only=True, tag="failed"):
    """On the control socket: what was asked for is refused, or did not work."""

    text: str


ToNode: TypeAlias = Prepare | Slot | Roster | Accept | BeginDrain | HandOver | Stop
FromNode: TypeAlias = Prepared | Ready | Calls | Drained
Request: TypeAlias = DrainNodes | Upgrade | Inspect
Reply: TypeAlias = Progress | Spares | Done | Failed
Kept: TypeAlias = Keep | KeepLedger | Forget
Message: TypeAlias = ToNode | FromNode | Request | Reply | Kept

Kind = TypeVar("Kind")

_TO_NODE: Final[msgspec.json.Decoder[ToNode]] = msgspec.json.Decoder(ToNode)
_FROM_NODE: Final[msgspec.json.Decoder[FromNode]] = msgspec.json.Decoder(FromNode)
_REQUEST: Final[msgspec.json.Decoder[Request]] = msgspec.json.Decoder(Request)
_KEPT: Final[msgspec.json.Decoder[Kept]] = msgspec.json.Decoder(Kept)
_REPLY: Final[msgspec.json.Decoder[Reply]] = msgspec.json.Decoder(Reply)


class _Head(msgspec.Struct):
    v: int
    kind: str


def to_node(line: bytes) -> ToNode | None:
    """Parse a message of the supervisor; None for a kind that is unknown here.

    Raises:
        RemoteProtocolError: it is malformed, or of another version.
    """
    kinds = ("prepare", "slot", "roster", "accept", "drain", "handover", "stop")
    return _parse(line, _TO_NODE, kinds)


def from_node(line: bytes) -> FromNode | None:
    """Parse a message of a node, as `to_node` does."""
    return _parse(line, _FROM_NODE, ("prepared", "ready", "calls", "drained"))


def kept(line: bytes) -> Kept | None:
    """Parse what a node wants to be kept, as `to_node` does."""
    return _parse(line, _KEPT, ("keep", "ledger", "forget"))


def request(line: bytes) -> Request | None:
    """Parse a request on the control socket, as `to_node` does."""
    return _parse(line, _REQUEST, ("drain", "upgrade", "inspect"))


def reply(line: bytes) -> Reply | None:
    """Parse a reply on the control socket, as `to_node` does."""
    return _parse(line, _REPLY, ("progress", "spares", "done", "failed"))


def serialize(message: Message) -> bytes:
    """Return a message as a line."""
    return msgspec.json.encode(message) + b"\n"


def _parse(line: bytes, decoder: msgspec.json.Decoder[Kind], kinds: tuple[str, ...]) -> Kind | None:
    try:
        head = msgspec.json.decode(line, type=_Head)
        if head.v != VERSION:
            raise RemoteProtocolError(
                f"a message has version {head.v}, and this process understands {VERSION} alone: "
                "restart the whole bridge instead of upgrading it"
            )
        return decoder.decode(line) if head.kind in kinds else None
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise RemoteProtocolError("a message between supervisor and node is malformed") from error
