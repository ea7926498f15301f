"""The nodes of a bridge: what each is, and the table in which they are registered.

Every process registers before it writes anything that names its node; every function runs in a
transaction of `Database`.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final

from bridge.db.database import Connection
from bridge.errors import SetupError
from bridge.http.node_signature import RowSigner
from bridge.settings.model import MAX_NODES
from bridge.wire.node_signature import NodeRow

KEPT_SECONDS: Final = 30 * 86400.0
"""How long a process that has ended stays registered, so that nothing more is accepted from it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeLoad:
    """How much a node has to do."""

    calls: int = 0
    capacity: int = 0
    """Calls that it takes at most."""
    cpu: float = 0.0
    """Share of a core."""
    lag: float = 0.0
    """Seconds by which its event loop is late."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One process of a bridge."""

    node: int
    """0 to 255: the first byte of the ids of its calls."""
    boot: str
    """16 hex digits, different for every process."""
    machine: str = ""
    """Of the machine that it runs on (`cluster.host`)."""
    url: str = ""
    """Its machine's `cluster.url`; "" where there is none, or none that is signed."""
    draining: bool = False
    load: NodeLoad = NodeLoad()


def register(connection: Connection, own: Member, *, launch_id: str, now: float) -> None:
    """Register a process without a lease: those of other launches, and an earlier one of its number, have ended.

    `launch_id` names what has started it: its supervisor, or itself.
    """
    connection.execute(
        "UPDATE nodes SET ended_at = ?1 WHERE ended_at IS NULL AND lease_until IS NULL "
        "AND boot <> ?2 AND (run <> ?3 OR node = ?4)",
        (now, own.boot, launch_id, own.node),
    )
    _insert(connection, own, launch_id, now)


@dataclass(frozen=True, slots=True)
class Lease:
    """A node that has not been found to have ended."""

    member: Member
    until: float | None
    """On the database's clock; None for a process whose supervisor says when it ends."""
    signature: str = ""

    def signed(self, signer: RowSigner) -> bool:
        """Return whether a machine with our secret has written the machine, boot id and URL, for this lease."""
        return signer.accepts(_row(self.member, self.until or 0.0), self.signature)

    def without_url(self) -> "Lease":
        """Return it as that of a node to which nothing is sent."""
        return replace(self, member=replace(self.member, url=""))


def join(
    connection: Connection,
    own: Member,
    *,
    launch_id: str,
    now: float,
    lease: float,
    signer: RowSigner,
) -> Member:
    """Register a process with a lease of so many seconds; returns it under the least number that no other has.

    Raises:
        SetupError: there are 256 nodes.
    """
    rows = connection.execute("SELECT node FROM nodes WHERE ended_at IS NULL").fetchall()
    free = set(range(MAX_NODES)).difference(node for (node,) in rows)
    if not free:
        raise SetupError(
            f"data.url: {MAX_NODES} nodes use this database, more than there can be; stop some of them"
        )
    own, until = replace(own, node=min(free)), now + lease
    _insert(connection, own, launch_id, now, until, signer.sign(_row(own, until)))
    return own


def renew(
    connection: Connection, own: Member, *, now: float, lease: float, signer: RowSigner
) -> bool:
    """Renew a node's lease for so many seconds, also one that has run out; return False if the node was declared dead.

    What others send requests by is written again too: another's changes do not last.
    """
    load, until = own.load, now + lease
    renewed = connection.execute(
        "UPDATE nodes SET machine = ?, url = ?, lease_until = ?, signature = ?, draining = ?, "
        "calls = ?, capacity = ?, cpu = ?, lag = ? WHERE boot = ? AND ended_at IS NULL",
        (
            own.machine,
            own.url,
            until,
            signer.sign(_row(own, until)),
            int(own.draining),
            load.calls,
            load.capacity,
            load.cpu,
            load.lag,
            own.boot,
        ),
    )
    return renewed.rowcount > 0


def leases(connection: Connection) -> list[Lease]:
    """Return all nodes that have not been found to have ended, by number."""
    rows = connection.execute(
        "SELECT node, boot, machine, url, draining, calls, capacity, cpu, lag, lease_until, signature "
        "FROM nodes WHERE ended_at IS NULL ORDER BY node"
    )
    return [
        Lease(
            Member(
                node=node,
                boot=boot,
                machine=machine,
                url=url,
                draining=bool(draining),
                load=NodeLoad(calls=calls, capacity=capacity, cpu=cpu, lag=lag),
            ),
            *signed,
        )
        for node, boot, machine, url, draining, calls, capacity, cpu, lag, *signed in rows.fetchall()
    ]


def end(
    connection: Connection, boots: Collection[str], *, now: float, certain: bool = True
) -> list[str]:
    """Record that processes have ended; return those of which that was not known.

    Unless it is `certain`, those that have renewed their leases go on.
    """
    unless = "" if certain else "AND lease_until < ?1"
    return [
        boot
        for boot in boots
        if connection.execute(
            f"UPDATE nodes SET ended_at = ?1 WHERE boot = ?2 AND ended_at IS NULL {unless}",  # noqa: S608
            (now, boot),
        ).rowcount
    ]


def ended_at(connection: Connection, boot: str) -> float | None:
    """Return when a process was found to have ended, on the database's clock; None while it is alive."""
    row = connection.execute("SELECT ended_at FROM nodes WHERE boot = ?", (boot,)).fetchone()
    return row[0] if row else None


def is_registered(connection: Connection, boot: str) -> bool:
    """Return whether a process has ever registered, and has not been forgotten since."""
    row = connection.execute("SELECT 1 FROM nodes WHERE boot = ?", (boot,)).fetchone()
    return row is not None


def _row(member: Member, until: float) -> NodeRow:
    return NodeRow(member.machine, member.boot, member.url, until)


def _insert(
    connection: Connection, own: Member, launch_id: str, now: float, *lease: float | str
) -> None:
    """Insert a node; `lease` is its end and signature, if it has one. Delete what has ended long ago."""
    until, signature = lease or (None, "")
    connection.execute(
        "INSERT INTO nodes (boot, node, run, machine, url, started_at, lease_until, signature) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (own.boot, own.node, launch_id, own.machine, own.url, now, until, signature),
    )
    connection.execute("DELETE FROM nodes WHERE ended_at < ?", (now - KEPT_SECONDS,))
