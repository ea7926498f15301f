"""What strangers may send to a media port: every kind of datagram, and every way to break one."""

from tests.support.peers.bridge_peer import value
from tests.support.peers.light_peer import Address

CLIENT_HELLO_NULL = bytes.fromhex(
    "16feff000000000000000000360100002a000000000000002a"
    "fefd" + "11" * 32 + "00" + "00" + "00020000" + "0100"
)
DTLS = {
    "ClientHello": CLIENT_HELLO_NULL,
    "fatal alert": bytes.fromhex("15fefd00000000000000000002" + "0228"),
    "close_notify": bytes.fromhex("15fefd00000000000000000002" + "0100"),
    "garbage": b"\x16\xfe\xfd" + bytes(range(60)),
}
MEDIA = {
    "rtp": b"\x80\x6f" + bytes(range(100)),
    "short rtp": b"\x80",
    "rtcp": b"\x80\xc8" + bytes(range(60)),
}
STUN = {
    "truncated attribute": b"\x00\x01\x00\x08\x21\x12\xa4\x42"
    + bytes(12)
    + b"\x00\x24\x00\x04\x01",
    "lying length": b"\x00\x01\xff\xff\x21\x12\xa4\x42" + bytes(12),
    "short priority": (
        b"\x00\x01\x00\x08\x21\x12\xa4\x42" + bytes(12) + b"\x00\x24\x00\x02\x01\x02\x00\x00"
    ),
    "no credentials": b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12),
    "unknown method": b"\x00\x3f\x00\x00\x21\x12\xa4\x42" + bytes(12),
    "one byte": b"\x00",
    "bad utf-8": (
        b"\x00\x01\x00\x08\x21\x12\xa4\x42" + bytes(12) + b"\x00\x06\x00\x04\xff\xfe\xfd\xfc"
    ),
    "response nobody awaits": b"\x01\x01\x00\x00\x21\x12\xa4\x42" + bytes(12),
}
SIZES = {"empty": b"", "oversized": b"\x80" * 1501, "huge": b"\x16" * 9000}
ODD = {f"first byte {first}": bytes([first]) * 40 for first in (4, 19, 64, 127, 192, 255)}
EVERYTHING = {**DTLS, **MEDIA, **STUN, **SIZES, **ODD}
"""One of each, by name."""


def port_of(answer: str) -> Address:
    """Return the address of the first candidate of an answer."""
    fields = value(answer, "candidate").split()
    return fields[4], int(fields[5])
