"""The same bot for a bridge that waits for it (`--listen`): it opens the media socket of one call.

    media-bridge rehearse SCENARIO.toml --listen

with `command = "python examples/rehearse/socket_bot.py"` below `[bot]` in the scenario.
"""

import asyncio
import os

import aiohttp
import numpy as np
from bridge_call import KEY, hang_up
from conversation import Conversation

URL = os.environ["BRIDGE_MEDIA_URL"]
FLOAT = "/media" in URL.partition("?")[0].rpartition("/calls/")[2]  # WADial's sockets
RATE = 16_000


async def main() -> None:
    bot = Conversation(RATE)
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(URL, headers={"token": KEY}) as ws,
    ):
        bot.greet()
        async for message in ws:
            if message.type is not aiohttp.WSMsgType.BINARY:
                continue
            sound = np.frombuffer(message.data, "<f4" if FLOAT else "<i2")
            bot.hear((sound * 32_767).astype(np.int16) if FLOAT else sound)
            if bot.queue.cut and FLOAT:
                await ws.send_json({"type": "clear"})
            bot.queue.cut = False
            if len(pcm := bot.queue.due()):
                sent = (pcm / 32_768).astype("<f4") if FLOAT else pcm.astype("<i2")
                await ws.send_bytes(sent.tobytes())
            if bot.over:
                await hang_up(session)
                break


if __name__ == "__main__":
    asyncio.run(main())
