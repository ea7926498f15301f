"""Messages between two nodes of one machine, of which one passes its live calls to the other.

Each is a length of four bytes and an object in MessagePack with the version `v` and its `kind`. The nodes may be of
different versions: unknown fields are ignored, another version is refused. Calls follow one another:

    old node                                new node
    Hello, before each call                 Hello
    Offer, with file descriptors            Refused, or: Accepted, then Committed
"""

from typing import Final, TypeAlias

import msgspec
from typing_extensions import override

from bridge.errors import RemoteProtocolError

VERSION: Final = 1
MAX_BYTES: Final = 4 << 20
"""Of one message; the journal of a long call is the most of it."""
MAX_DESCRIPTORS: Final = 253
"""Of one message, as the kernel takes them."""
_HEAD: Final = 4


class _Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    v: int = VERSION


class Hello(_Message, frozen=True, kw_only=True, tag="hello"):
    """Which process this is."""

    node: int
    boot: str


class Offer(_Message, frozen=True, kw_only=True, tag="offer"):
    """A call that the old node has suspended, and what goes with it.

    The first descriptor is the claim, a pipe with one byte in it: whoever reads the byte has the call. So the old node
    can take back an offer that waits too long, and both know that the other does not go on with the call.
    """

    call_id: str
    suspended_at: float
    """On the monotonic clock, which the processes of a machine share."""
    snapshot: bytes
    descriptors: int
    """How many come with it, the claim too."""
    cause: str
    """Why it moves: `upgrade` or `drain`."""
    provider_keys: list[str] = []
    """Keys of its calls at the WhatsApp provider, as `stores.cloud` has them."""

    @override
    def __repr__(self) -> str:
        """Return it without the snapshot, which has keys."""
        return f"Offer({self.call_id}, {len(self.snapshot)} bytes, {self.descriptors} descriptors)"


class Accepted(_Message, frozen=True, kw_only=True, tag="accepted"):
    """The call goes on in the new node."""

    call_id: str


class Committed(_Message, frozen=True, kw_only=True, tag="committed"):
    """What the database has of the call names the new node; the old one may end."""

    call_id: str


class Refused(_Message, frozen=True, kw_only=True, tag="refused"):
    """The call is not taken over, and goes on in the old node."""

    call_id: str
    reason: str


Message: TypeAlias = Hello | Offer | Accepted | Committed | Refused

_DECODER: Final[msgspec.msgpack.Decoder[Message]] = msgspec.msgpack.Decoder(Message)


def serialize(message: Message) -> bytes:
    """Return a message with its length.

    Raises:
        RemoteProtocolError: it is too long.
    """
    body = msgspec.msgpack.encode(message)
    if len(body) > MAX_BYTES:
        raise RemoteProtocolError("the snapshot of the call is too long for a handover")
    return len(body).to_bytes(_HEAD) + body


class MessageReader:
    """Finds the messages in what arrives."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, received: bytes) -> None:
        """Add what has arrived."""
        self._pending += received

    def next(self) -> Message | None:
        """Return the next message; None until it is complete.

        Raises:
            RemoteProtocolError: it is too long, malformed, or of another version.
        """
        if len(self._pending) < _HEAD:
            return None
        length = int.from_bytes(self._pending[:_HEAD])
        if length > MAX_BYTES:
            raise RemoteProtocolError("a handover message is too long")
        if len(self._pending) < _HEAD + length:
            return None
        body = bytes(self._pending[_HEAD : _HEAD + length])
        del self._pending[: _HEAD + length]
        try:
            message = _DECODER.decode(body)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise RemoteProtocolError("a handover message is malformed") from error
        if message.v != VERSION:
            raise RemoteProtocolError(f"a handover message has version {message.v}, not {VERSION}")
        return message
