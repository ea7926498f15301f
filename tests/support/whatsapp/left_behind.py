"""What a node's process has written of its provider's calls, and how another takes it over."""

from bridge.call.model import LineName
from bridge.db.database import Connection, Database
from bridge.stores import lost_nodes
from bridge.stores.nodes import Member


def member(node: int = 0) -> Member:
    """Return a process that has not been registered, so that whatever it wrote is left behind."""
    return Member(node=node, boot=f"{node:016x}")


async def take_over(database: Database, own: Member) -> None:
    """Assign to a node what processes that are not registered have left."""
    await database.run(lost_nodes.assign, own)


async def live_calls(database: Database) -> list[tuple[str, LineName]]:
    """Return the calls, by key and line, that have not ended for their provider."""
    return await _read(database, "SELECT wacid, line FROM whatsapp_calls WHERE ended_at IS NULL")


async def dials(database: Database) -> list[tuple[str, LineName]]:
    """Return the dials whose outcome is unknown, by opaque and line."""
    return await _read(database, "SELECT opaque, line FROM whatsapp_dials")


async def _read(database: Database, statement: str) -> list[tuple[str, LineName]]:
    def work(connection: Connection) -> list[tuple[str, LineName]]:
        return list(connection.execute(statement).fetchall())

    return await database.run(work)
