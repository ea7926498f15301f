"""Divides the resources of the machine among the nodes."""

import os
from collections.abc import Container
from dataclasses import dataclass
from itertools import count as numbers
from typing import NamedTuple

import msgspec

from bridge.errors import SettingsError
from bridge.settings.model import MAX_NODES, Settings, port_range


class _Data(msgspec.Struct, frozen=True):
    dir: str


class _Http(msgspec.Struct, frozen=True):
    host: str
    port: int


class _Cluster(msgspec.Struct, frozen=True):
    url: str = ""


class _Limits(msgspec.Struct, frozen=True):
    drain_seconds: float = 0.0


class _Rtc(msgspec.Struct, frozen=True):
    ports: str


class _Recovery(msgspec.Struct, frozen=True):
    enabled: bool = False
    spare: bool = False
    hang_seconds: float = 3.0


class MachineSettings(msgspec.Struct, frozen=True):
    """The settings that a supervisor reads; those of its nodes may be of a newer version."""

    nodes: int
    data: _Data
    http: _Http
    limits: _Limits
    rtc: _Rtc
    cluster: _Cluster = _Cluster()
    recovery: _Recovery = _Recovery()


class NodeSettings(NamedTuple):
    """The settings of nodes."""

    read: MachineSettings
    text: msgspec.Raw
    """All of them, as JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSlot:
    """What one of several nodes has, also after a restart."""

    node: int
    """The first byte of the ids of its calls."""
    ports: str
    """UDP ports for media."""
    core: int | None
    """The CPU to run on; None for any."""


def node_count(settings: Settings | MachineSettings) -> int:
    """Return the number of nodes: 0 in the settings means one per usable CPU."""
    return settings.nodes or len(_cores()) or 1


def assign_slots(settings: MachineSettings, taken: Container[int] = ()) -> list[NodeSlot]:
    """Divide the media ports among the nodes, and the CPUs if there are enough.

    The nodes get the least numbers that are not `taken` by the nodes that they replace. With these they share the
    range of ports: the kernel gives a port to one socket, and a node skips ports that are in use.

    Raises:
        SettingsError: there are too few ports or numbers.
    """
    count = node_count(settings)
    ports = port_range(settings.rtc.ports)
    if len(ports) < count:
        raise SettingsError(f"rtc.ports: {len(ports)} ports are too few for {count} nodes")
    free = (number for number in numbers() if number not in taken)
    cores = _cores()
    node_slots = []
    for index in range(count):
        own = ports[index * len(ports) // count : (index + 1) * len(ports) // count]
        node_slots.append(
            NodeSlot(
                node=next(free),
                ports=f"{own[0]}-{own[-1]}",
                core=cores[index] if count <= len(cores) else None,
            )
        )
    if node_slots[-1].node >= MAX_NODES:
        raise SettingsError(
            f"nodes: {count} more nodes beside those that still have calls are more than {MAX_NODES}; "
            "wait until some of these have ended"
        )
    return node_slots


def with_ports(settings: Settings, ports: str) -> Settings:
    """Return the settings of a node with media ports of its own."""
    rtc = msgspec.structs.replace(settings.rtc, ports=ports)
    return msgspec.structs.replace(settings, rtc=rtc)


def _cores() -> list[int]:
    affinity = getattr(os, "sched_getaffinity", None)
    return sorted(affinity(0)) if affinity else list(range(os.cpu_count() or 1))
