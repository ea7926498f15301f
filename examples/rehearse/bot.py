"""A voice bot to rehearse with, which the bridge connects to: it greets, answers, stops when it is interrupted, and hangs up after *.

    .venv/bin/python examples/rehearse/bot.py [PORT] [--mute]

Serves ws://127.0.0.1:PORT (8766) in three protocols: whichever the bridge begins with. With --mute it says nothing, as broken bots do.
"""

import json
import sys

from aiohttp import WSMsgType, web
from conversation import Conversation
from protocols import Native, Twilio, protocol_of
from speech import Pcm, spoken

PORT = 8766
BOT = web.AppKey("bot", type[Conversation])


async def call(request: web.Request) -> web.WebSocketResponse:
    """Serve one call; closing the connection hangs up."""
    ws = web.WebSocketResponse()
    await ws.prepare(request)
    protocol: Native | None = None
    async for message in ws:
        if message.type is not WSMsgType.TEXT:
            continue
        told = json.loads(message.data)
        if protocol is None:
            protocol = protocol_of(told)
            bot = request.app[BOT](protocol.RATE)
        protocol.read(told, bot)
        replies = protocol.clear() if bot.queue.cut else []
        bot.queue.cut = False
        if len(pcm := bot.queue.due()):
            replies += protocol.write(pcm)
        for reply in replies:
            await ws.send_json(reply)
        if bot.over:
            break
    await ws.close()
    return ws


def application(bot: type[Conversation] = Conversation) -> web.Application:
    """Return the server; each call is a conversation of its own."""
    for text in (bot.GREETING, *bot.ANSWERS, bot.REMINDER, bot.LAST):
        for rate in (Native.RATE, Twilio.RATE):
            spoken(text, rate)  # once, and not while a caller waits
    made = web.Application()
    made[BOT] = bot
    made.router.add_get("/", call)
    return made


class Mute(Conversation):
    """Says nothing, whatever happens."""

    def greet(self) -> None:
        pass

    def hear(self, pcm: Pcm) -> None:
        pass


if __name__ == "__main__":
    options = sys.argv[1:]
    port = next((int(option) for option in options if option.isdecimal()), PORT)
    bot = Mute if "--mute" in options else Conversation
    web.run_app(application(bot), host="127.0.0.1", port=port, print=None)
