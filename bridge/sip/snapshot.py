"""A confirmed dialog as data, for another user agent of the same machine that goes on with it."""

import msgspec
from msgspec.structs import replace

from bridge.sip.boundary import DialogId, Target
from bridge.wire.snapshot.advance import SIP_REQUESTS


class DialogSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """What both sides share (`sip.dialog.Dialog`)."""

    call_id: str
    local: str
    remote: str
    remote_tag: str
    remote_target: str
    routes: tuple[str, ...]
    contact: str
    flow: Target
    origin: Target
    local_seq: int
    remote_seq: int


class TimerSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The session timer; its times are in monotonic seconds, None for never."""

    interval: int
    min_se: int
    refresher: str
    expires_at: float | None
    refresh_at: float | None


class SipCallSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A call in which nothing is under way; the credentials for it are those of its trunk."""

    id: DialogId
    caller: bool
    """Whether we have called."""
    dialog: DialogSnapshot
    timer: TimerSnapshot
    trunks: frozenset[str]
    local_sdp: str
    remote_sdp: str
    allows: frozenset[str]

    def portable(self) -> "SipCallSnapshot":
        """Return it for a user agent of another machine: without the descriptions of the media, which may have keys, and times."""
        return replace(
            self,
            dialog=replace(self.dialog, local_seq=self.dialog.local_seq + SIP_REQUESTS),
            timer=replace(self.timer, expires_at=None, refresh_at=None),
            local_sdp="",
            remote_sdp="",
        )
