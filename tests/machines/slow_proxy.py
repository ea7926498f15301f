"""A TCP proxy that delays what comes back, like a database that takes its time.

    python -m tests.machines.slow_proxy PORT TARGET_HOST TARGET_PORT DELAY_FILE

The file has the delay in seconds and is read for every piece.
"""

import asyncio
import sys
from contextlib import suppress
from pathlib import Path

_PIECE = 65_536


async def main(port: int, target: tuple[str, int], delay: Path) -> None:
    """Serve until killed."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            far_reader, far_writer = await asyncio.open_connection(*target)
            there = asyncio.create_task(_copy(reader, far_writer, None))
            back = asyncio.create_task(_copy(far_reader, writer, delay))
            await asyncio.wait((there, back), return_when=asyncio.FIRST_COMPLETED)
            for task in (there, back):
                task.cancel()
            far_writer.close()
        writer.close()

    server = await asyncio.start_server(serve, "0.0.0.0", port)
    await server.serve_forever()


async def _copy(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: Path | None
) -> None:
    with suppress(OSError):
        while piece := await reader.read(_PIECE):
            if delay is not None:
                await asyncio.sleep(_seconds(delay))
            writer.write(piece)
            await writer.drain()


def _seconds(delay: Path) -> float:
    return float(delay.read_text())


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), (sys.argv[2], int(sys.argv[3])), Path(sys.argv[4])))
