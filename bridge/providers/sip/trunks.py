"""The trunks of the lines, how their legs are made, and how each answered last."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from bridge.audio.codec.codec import G722, PCMA, PCMU, Codec
from bridge.call.model import LegId, LineName
from bridge.errors import TrunkUnreachable
from bridge.http.service_health import ServiceHealth
from bridge.legs.sip import SipLeg
from bridge.metrics.sip import SipMetrics
from bridge.rtc.rtp_source import SourcePolicy
from bridge.trunk.agent import IncomingInvite
from bridge.trunk.dialog import AgentDialog
from bridge.trunk.trunk import TrunkAddress
from bridge.trunk.trunks import TrunkHealth
from bridge.wire.sdp.rtp import Security

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TrunkMedia:
    """How audio and digits are carried over a trunk."""

    codecs: tuple[Codec, ...] = (G722, PCMA, PCMU)
    """The preferred first."""
    security: Security = "off"
    dtmf: Literal["rfc4733", "info"] = "rfc4733"
    early_media: bool = True
    source_policy: SourcePolicy = field(default_factory=SourcePolicy)
    """Which addresses the audio may come from besides those that signalling names."""
    takeover: bool = False
    """Whether the trunk takes re-INVITEs from other machines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trunk:
    """A line's trunk."""

    address: TrunkAddress
    numbers: frozenset[str] = frozenset()
    """The line's, digits only."""
    caller: str = ""
    """Number shown where a call names none, with `+`; empty: the trunk's account."""
    transfer: bool = False
    """Whether the other party may transfer a call."""
    media: TrunkMedia = TrunkMedia()


class MakeSipLeg(Protocol):
    """Makes the leg of one telephone call."""

    def __call__(
        self,
        leg_id: LegId,
        *,
        dialog: AgentDialog,
        trunk: Trunk,
        inbound: IncomingInvite | None = None,
    ) -> SipLeg:
        """Return the leg; raises `SdpError` for an offer that cannot be answered."""


@dataclass(slots=True)
class TrunkStates:
    """How the trunks of a node answered last: for the console, `/readyz`, the metrics."""

    trunks: Mapping[LineName, Trunk]
    health_of: Callable[[str], TrunkHealth]
    """By the trunk's name, which is its line's."""
    metrics: SipMetrics
    failures: Callable[[], int] = lambda: 0
    """Returns how many wrong passwords there were so far."""
    owned: Callable[[], bool] = lambda: True
    """Returns whether this node keeps the trunks; of several nodes one does."""
    _counted: int = 0
    _services: dict[LineName, ServiceHealth] = field(default_factory=dict)
    _logged: dict[str, TrunkHealth] = field(default_factory=dict)
    """By trunk, as the log knows it: its two reasons to be down take turns while it is."""

    def health(self, line: LineName) -> ServiceHealth:
        """Return how a line's trunk answered last, as the console shows it."""
        service = self._services.setdefault(line, ServiceHealth())
        now = self._found().get(line)
        if now is not None and now.reachable and not is_down(now):
            service.answered()
        return service

    def changed(self, name: str, health: TrunkHealth) -> None:
        """Note how a trunk answers now."""
        service = self._services.setdefault(LineName(name), ServiceHealth())
        before = self._logged.get(name, TrunkHealth())
        new = _signs(before) != _signs(health) or before == TrunkHealth()
        self._logged[name] = health
        if is_down(health):
            if new:
                log.warning("sip.trunk_down", extra={"line": name, "reason": _failure(health)})
            service.failed(TrunkUnreachable(_failure(health), health.code or 408))
        elif health.reachable:
            if new:
                log.info("sip.trunk_up", extra={"line": name})
            service.answered()
        self.measure()

    def measure(self) -> None:
        """Set the metrics of all trunks, and count wrong passwords."""
        before, self._counted = self._counted, self.failures()
        self.metrics.authentication_failed(amount=self._counted - before)
        found = self._found()
        self.metrics.set_trunks(
            [health.reachable for health in found.values()],
            [
                health.registered
                for line, health in found.items()
                if self.trunks[line].address.register_seconds
            ],
        )

    def down(self) -> dict[LineName, str]:
        """Return the lines whose trunk does not take calls now, and why."""
        return {line: _failure(one) for line, one in self._found().items() if is_down(one)}

    def count(self) -> tuple[int, int] | None:
        """Return how many trunks take calls and how many do not; None where this node keeps none."""
        down = len(self.down())
        return (len(self.trunks) - down, down) if self.trunks and self.owned() else None

    def _found(self) -> dict[LineName, TrunkHealth]:
        return {line: self.health_of(line) for line in self.trunks} if self.owned() else {}


def is_down(health: TrunkHealth) -> bool:
    """Whether a trunk is known not to take or bring calls now."""
    return health.reachable is False or health.registered is False


def _failure(health: TrunkHealth) -> str:
    return health.last_error or "the trunk does not answer"


def _signs(health: TrunkHealth) -> tuple[bool, bool]:
    """Return what of a trunk is known to be down: its answers, its registration."""
    return health.reachable is False, health.registered is False
