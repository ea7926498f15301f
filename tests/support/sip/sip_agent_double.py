"""What a SIP dialler and the keeper of trunks need of an agent, with a core that only notes what it is told."""

import asyncio
from typing import Any, Final, cast

from bridge.sip.boundary import Dial, DialogId, Registration, Target
from bridge.sip.core import SipCore
from bridge.trunk.targets import SipTargets

FAR_SIDE: Final = Target("udp", "192.0.2.7", 5060)
"""Of every dialog."""


class CoreDouble:
    """Notes commands, in order."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.dialled: list[Dial] = []
        self.registered: list[Registration] = []
        self.on_options: Any = None
        """Takes the questions of OPTIONS, if set."""

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **kwargs: self.told.append((name, *args))

    def call(self, dialog: DialogId) -> "CallDouble":
        return CallDouble(self.told, dialog)

    def dial(self, request: Dial, now: float) -> DialogId:
        self.dialled.append(request)
        return DialogId(f"00-{len(self.dialled)}")

    def options(self, name: str, target: Target, uri: str, now: float) -> None:
        self.told.append(("options", name, target))
        if self.on_options is not None:
            self.on_options(name, target)

    def register(self, registration: Registration, now: float) -> None:
        self.registered.append(registration)

    def dialog_name(self, dialog: DialogId) -> str:
        return f"call;{dialog}"

    def names(self) -> list[str]:
        return [each[0] for each in self.told]


class CallDouble:
    """Notes the commands for a dialog."""

    def __init__(self, told: list[tuple[Any, ...]], dialog: DialogId) -> None:
        self.told, self.dialog = told, dialog

    def target(self) -> Target:
        return FAR_SIDE

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **kwargs: self.told.append((name, self.dialog, *args))


class AgentDouble:
    """An agent without sockets; `refusing` hosts cannot be connected to."""

    shared = False

    def __init__(self, targets: SipTargets | None = None) -> None:
        self.targets = targets
        self.notes = CoreDouble()
        self.core = cast("SipCore", self.notes)
        self.refusing: set[str] = set()
        self.connected: list[str] = []

    def claim(self, dialog: DialogId) -> None:
        raise AssertionError("nothing moves here")

    def forget(self, dialog: DialogId) -> None:
        raise AssertionError("nothing moves here")

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def changed(self) -> None:
        pass

    async def find(self, trunk: Any) -> list[Target]:
        assert self.targets is not None
        return await self.targets.find(trunk.transport, trunk.host, trunk.port)

    async def connect(self, trunk: Any, target: Target) -> Target:
        self.connected.append(target.host)
        if target.host in self.refusing:
            raise OSError(None, "refused")
        return target
