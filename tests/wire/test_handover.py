"""Messages of a handover: whole, in pieces, and what is refused."""

import msgspec
import pytest

from bridge.errors import RemoteProtocolError
from bridge.wire import handover
from bridge.wire.handover import (
    MAX_BYTES,
    Accepted,
    Committed,
    Hello,
    MessageReader,
    Offer,
    Refused,
    serialize,
)

OFFER = Offer(call_id="00A", suspended_at=2.5, snapshot=b"secret", descriptors=2, cause="upgrade")


def read(sent: bytes, *, size: int) -> list[handover.Message]:
    reader, found = MessageReader(), list[handover.Message]()
    for start in range(0, len(sent), size):
        reader.feed(sent[start : start + size])
        while (message := reader.next()) is not None:
            found.append(message)
    return found


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_messages_are_read_as_they_were_sent_however_they_arrive(size):
    sent: list[handover.Message] = [
        Hello(node=1, boot="b"),
        OFFER,
        Accepted(call_id="00A"),
        Committed(call_id="00A"),
        Refused(call_id="00A", reason="no"),
    ]
    assert read(b"".join(serialize(one) for one in sent), size=size) == sent


def framed(body: bytes) -> bytes:
    return len(body).to_bytes(4) + body


@pytest.mark.parametrize(
    "sent",
    [
        (MAX_BYTES + 1).to_bytes(4),
        framed(b"nonsense"),
        framed(b""),
        framed(msgspec.msgpack.encode({"v": 1, "kind": "dance"})),
        framed(msgspec.msgpack.encode({"v": 2, "kind": "accepted", "call_id": "00A"})),
        framed(msgspec.msgpack.encode({"v": 1, "kind": "accepted", "call_id": 7})),
    ],
)
def test_what_is_no_message_is_refused(sent):
    with pytest.raises(RemoteProtocolError):
        read(sent, size=10_000)


def test_unknown_fields_of_a_newer_node_are_ignored():
    sent = framed(msgspec.msgpack.encode({"kind": "accepted", "call_id": "00A", "more": 1}))
    assert read(sent, size=100) == [Accepted(call_id="00A")]


def test_a_snapshot_that_is_too_long_is_not_sent():
    with pytest.raises(RemoteProtocolError):
        serialize(msgspec.structs.replace(OFFER, snapshot=bytes(MAX_BYTES)))


def test_an_offer_is_shown_without_its_keys():
    assert "secret" not in repr(OFFER)
    assert "00A" in repr(OFFER)
