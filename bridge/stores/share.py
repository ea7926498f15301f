"""Which rows of the shared tables are this process's to work on.

Every process works on what its own calls left. What no living process owns falls to the one with the least
node number: of its machine if it is about files there, of all machines if the database alone is needed.
"""

from collections.abc import Callable, Iterable
from typing import TypeAlias

from bridge.settings.model import MAX_NODES

Living: TypeAlias = Callable[[], Iterable[tuple[int, str]]]
"""Returns the node number and the machine of every living process, this one too."""


class Share:
    """The share of one process."""

    def __init__(self, machine: str, node: int, living: Living) -> None:
        self.machine = machine
        self.own = f"{node:02X}"
        self._node = node
        self._living = living
        self._all_others = _names(range(MAX_NODES), node)

    def of_machine(self) -> dict[str, str]:
        """Return the values for conditions on rows of this machine.

        `machine` is its id, `own` the number of this process, `others` has the numbers whose rows are not
        its own, as `instr` finds them.
        """
        nodes = [node for node, machine in self._living() if machine == self.machine]
        return {"machine": self.machine, "own": self.own, "others": self._others(nodes)}

    def of_all(self) -> dict[str, str]:
        """Return `own` and `others` for rows of all machines."""
        return {"own": self.own, "others": self._others([node for node, _ in self._living()])}

    @property
    def first(self) -> bool:
        """Whether this is the process with the least number of all machines."""
        return all(node >= self._node for node, _ in self._living())

    def machines(self) -> set[str]:
        """Return the machines that are reachable: a living process runs there."""
        return {machine for _, machine in self._living()} | {self.machine}

    def nodes_of(self, machine: str) -> list[int]:
        """Return the living processes of a machine."""
        return sorted(node for node, found in self._living() if found == machine)

    def _others(self, nodes: Iterable[int]) -> str:
        if any(node < self._node for node in nodes):
            return self._all_others
        return _names(nodes, self._node)


def only(machine: str = "") -> Share:
    """Return the share of the only process."""
    return Share(machine, 0, lambda: [(0, machine)])


def _names(nodes: Iterable[int], left_out: int) -> str:
    return " ".join(f"{node:02X}" for node in nodes if node != left_out)
