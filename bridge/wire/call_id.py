"""Call ids: one id of 16 bytes, formatted as each vendor's clients expect it.

Native ids are 32 upper-case hexadecimal digits; Chirp's are `call_` (`call_test_` for a test key)
and 27 base62 characters, as in a KSUID; Wavix's are lower-case UUIDs. Every form converts to every
other, so each face accepts the ids of the others. A Chirp room name is the same id after `room_`, and a
voicemail of Chirp's the id of its call after `call_vm_` (`call_vm_test_`). Twilio's media streams show it after
`CA`, in lower case.
"""

import re

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
BASE62_DIGITS = 27
LIMIT = 1 << 128

CALL = "call_"
TEST_CALL = "call_test_"
ROOM = "room_"
CALL_SID = "CA"
VOICEMAIL = "call_vm_"
TEST_VOICEMAIL = "call_vm_test_"

_HEXADECIMAL = re.compile(
    r"(?:CA)?([0-9A-Fa-f]{32})|([0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})"
)
_BASE62 = re.compile(r"(?:call_(?:vm_)?(?:test_)?|room_)([0-9A-Za-z]{27})")
_VALUES = {digit: value for value, digit in enumerate(ALPHABET)}


def native(text: str) -> str | None:
    """Return the native form of an id; None if it is not a call id. Base62 is case-sensitive."""
    if match := _HEXADECIMAL.fullmatch(text):
        return (match[1] or match[2]).replace("-", "").upper()
    match = _BASE62.fullmatch(text)
    return _decode(match[1]) if match else None


def chirp(call_id: str, *, test: bool = False) -> str:
    """Return the Chirp form of a native id, as a test key sees it if `test`."""
    return (TEST_CALL if test else CALL) + _encode(call_id)


def room(call_id: str) -> str:
    """Return the room name of a native id."""
    return ROOM + _encode(call_id)


def chirp_voicemail(call_id: str, *, test: bool = False) -> str:
    """Return the Chirp form of the id of a call's voicemail."""
    return (TEST_VOICEMAIL if test else VOICEMAIL) + _encode(call_id)


def wavix(call_id: str) -> str:
    """Return the Wavix form of a native id."""
    low = call_id.lower()
    return f"{low[:8]}-{low[8:12]}-{low[12:16]}-{low[16:20]}-{low[20:]}"


def twilio(call_id: str) -> str:
    """Return the `callSid` of a native id."""
    return CALL_SID + call_id.lower()


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
