"""The limit of an agent's conversation: it finishes the sentence that it is speaking."""

import asyncio
from contextlib import suppress
from typing import Final

from bridge.agent.speech_queue import SpeechQueue

LAST_SENTENCE_SECONDS: Final = 5.0
"""How long the sentence that is being spoken at the limit may go on; then it is cut off."""


async def over_in_time(over: asyncio.Event, until: float, speech: SpeechQueue) -> bool:
    """Wait until an agent has finished; return whether it did before the limit, a time of the loop's clock.

    At the limit `over` is set, so that it hears nothing new, and what follows the current sentence is dropped.
    """
    try:
        async with asyncio.timeout_at(until):
            await over.wait()
    except TimeoutError:
        over.set()
        speech.held = speech.ducked = False  # nobody listens any longer who would go on
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_SENTENCE_SECONDS):
                await speech.wait_sentence()
        speech.clear()
        return False
    return True
