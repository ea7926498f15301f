"""The forms of a call id: one id of 16 bytes, spelt as each vendor's clients expect theirs.

Native ids are 32 upper-case hexadecimal digits, Chirp's `call_` or, of a test key, `call_test_` and
27 base62 characters (the size and alphabet of a KSUID), Wavix's a lower-case UUID. Each form
can be turned into each other one, so that every face understands the ids that another one gave.
A call's room, which Chirp's clients join by name, is spelt the same way behind `room_`.
"""

import re

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
BASE62_DIGITS = 27
LIMIT = 1 << 128

CALL = "call_"
TEST_CALL = "call_test_"
ROOM = "room_"

_HEXADECIMAL = re.compile(r"[0-9A-Fa-f]{32}|[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_BASE62 = re.compile(r"(?:call_|call_test_|room_)([0-9A-Za-z]{27})")
_VALUES = {digit: value for value, digit in enumerate(ALPHABET)}


def native(text: str) -> str | None:
    """Give the native form of an id in any form; None for what is no call id.

    The case of hexadecimal digits does not matter, that of base62 ones does.
    """
    if _HEXADECIMAL.fullmatch(text):
        return text.replace("-", "").upper()
    match = _BASE62.fullmatch(text)
    return _decode(match[1]) if match else None


def chirp(call_id: str, *, test: bool = False) -> str:
    """Spell a native id as Chirp does; `test` is for the ids that a test key is shown."""
    return (TEST_CALL if test else CALL) + _encode(call_id)


def room(call_id: str) -> str:
    """Name the room of the call with this native id."""
    return ROOM + _encode(call_id)


def wavix(call_id: str) -> str:
    """Spell a native id as Wavix does."""
    low = call_id.lower()
    return f"{low[:8]}-{low[8:12]}-{low[12:16]}-{low[16:20]}-{low[20:]}"


def _encode(call_id: str) -> str:
    rest, digits = int(call_id, 16), []
    for _ in range(BASE62_DIGITS):
        rest, digit = divmod(rest, 62)
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits))


def _decode(digits: str) -> str | None:
    value = 0
    for digit in digits:
        value = value * 62 + _VALUES[digit]
    return f"{value:032X}" if value < LIMIT else None
