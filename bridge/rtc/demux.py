"""Demultiplexing what arrives on a media port by its first byte (RFC 7983)."""

from typing import TYPE_CHECKING, Any

from aioice import Candidate, stun
from aioice.ice import StunProtocol
from typing_extensions import override

from bridge.rtc.guard import MAX_DATAGRAM, Address
from bridge.rtc.stun_filter import StunFilter

if TYPE_CHECKING:
    from bridge.rtc.ice import IceConnection


class MediaSocket(StunProtocol):
    """One UDP socket; everything that is not from the peer is dropped and counted."""

    def __init__(self, connection: "IceConnection", candidate: Candidate) -> None:
        super().__init__(connection)
        self.local_candidate = candidate
        self._connection = connection
        self._verified = connection.verified.addresses
        self._discarded = connection.owner.discarded
        self._on_media = connection.owner.on_media
        self._on_dtls = connection.owner.dtls_received
        self._filter = StunFilter(
            ufrag=connection.local_username,
            awaited=self.transactions,
            verified=self._verified,
            discarded=self._discarded,
            clock=connection.clock,
        )

    @override
    def datagram_received(self, data: bytes | str, addr: tuple[Any, ...]) -> None:
        assert isinstance(data, bytes)
        size = len(data)
        if not 0 < size <= MAX_DATAGRAM:
            self._discarded["oversized" if size else "empty"] += 1
            return
        sender = addr if len(addr) == 2 else addr[:2]
        first = data[0]
        if 127 < first < 192 and sender in self._verified:
            take = self._on_media
            take(data)
        elif first < 4:
            self._stun_received(data, sender)
        elif sender not in self._verified:
            self._discarded["unknown_source"] += 1
        elif 19 < first < 64:
            self._on_dtls(data)
        else:
            self._discarded["unknown_kind"] += 1

    def _stun_received(self, data: bytes, sender: Address) -> None:
        if not self._filter.admits(data, sender):
            return
        try:
            message = stun.parse_message(data)
        except Exception:  # whatever aioice's parser lets through
            self._discarded["bad_stun"] += 1
            return
        if not self._connection.is_authentic(message, self.transactions):
            self._discarded["bad_stun"] += 1
        elif not self._connection.admit(sender, alive=message.message_class != stun.Class.REQUEST):
            self._discarded["too_many_addresses"] += 1
        elif message.message_class == stun.Class.REQUEST:
            self._connection.request_received(message, sender, self)
        else:
            self._connection.limit_conflicts(message)
            self.transactions[message.transaction_id].response_received(message, sender)
