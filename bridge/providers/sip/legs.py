"""The factory of telephone legs."""

from typing import Protocol

from bridge.call.model import LegId
from bridge.legs.base import DialledLeg
from bridge.legs.sip_signalling import SipDialog
from bridge.providers.sip.trunks import Trunk
from bridge.trunk.agent import IncomingInvite


class MakeLeg(Protocol):
    """Makes the leg of one telephone call."""

    def __call__(
        self,
        leg_id: LegId,
        *,
        dialog: SipDialog,
        trunk: Trunk,
        inbound: IncomingInvite | None = None,
    ) -> DialledLeg:
        """Return the leg; raises `SdpError` for an offer that cannot be answered."""
