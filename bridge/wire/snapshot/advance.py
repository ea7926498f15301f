"""The state of a leg that its process took some time before it died, advanced to what it may have used until then.

What was received meanwhile, and figures of that time, are not known: the peer's stream counts anew.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from bridge.errors import HandoverRefused
from bridge.wire.rtp.used_numbers import Ceilings
from bridge.wire.snapshot.peer import SrtpSnapshot
from bridge.wire.snapshot.session import DtmfSnapshot, ReceiverSnapshot, SenderSnapshot

MAX_PACKETS: Final = 1 << 20
"""That a stream can have used since its state was taken."""

SIP_REQUESTS: Final = 100
"""That may have been sent in a SIP dialog since then; numbers may be left out (RFC 3261 §12.2.1.1)."""


def advanced(state: bytes, used: Mapping[int, Ceilings], now: float) -> bytes:
    """Return the state of a leg at `now`; one without a peer of its own as it is.

    Raises:
        HandoverRefused: what it has used is not known, or impossible.
    """
    try:
        fields = msgspec.msgpack.decode(state)
        if (peer := fields.get("peer")) is None:
            return state
        _advance(peer, used, now)
        if (publisher := fields.get("publisher")) is not None:
            _advance(publisher, used, now)
        if (dialog := fields.get("dialog")) is not None:
            dialog["dialog"]["local_seq"] += SIP_REQUESTS
        return msgspec.msgpack.encode(fields)
    except (msgspec.MsgspecError, AttributeError, KeyError, TypeError, ValueError) as error:
        why = type(error).__name__
        raise HandoverRefused(f"the state of a leg cannot be read: {why}") from None


def _advance(peer: dict[str, Any], used: Mapping[int, Ceilings], now: float) -> None:
    session, transport = peer["session"], peer["transport"]
    sender = msgspec.convert(session["sender"], SenderSnapshot)
    receiver = msgspec.convert(session["receiver"], ReceiverSnapshot)
    numbers = sender.numbering
    ceilings = used.get(numbers.ssrc)
    if ceilings is None or not 0 <= ceilings.packet - numbers.sequence <= MAX_PACKETS:
        raise HandoverRefused("it is not known which packet numbers of a leg were used")
    more = ceilings.packet - numbers.sequence
    session["sender"] = replace(
        sender,
        numbering=numbers._replace(sequence=ceilings.packet, packets=numbers.packets + more),
        covered=None if sender.covered is None else now,
        dtmf=DtmfSnapshot(),  # some of them may have been sent
    )
    heard = None if receiver.last_received is None else now
    session["receiver"] = replace(receiver, last_received=heard, reception=None)
    transport["alive_at"] = now
    if transport["srtp"] is not None:
        keys = msgspec.convert(transport["srtp"], SrtpSnapshot)
        if ceilings.report < keys.report_index:
            raise HandoverRefused("it is not known which report numbers of a leg were used")
        last = (numbers.sequence & 0xFFFF) - 1 if keys.index is None else keys.index
        transport["srtp"] = replace(keys, index=last + more, report_index=ceilings.report)
