"""How long an agent may talk: at the limit it finishes its sentence."""

import asyncio
from contextlib import suppress
from typing import Final

from bridge.agent.speech_queue import SpeechQueue

LAST_SENTENCE_SECONDS: Final = 5.0
"""For which the sentence is waited for that is being said at the limit; then it is cut off."""


async def over_in_time(over: asyncio.Event, until: float, speech: SpeechQueue) -> bool:
    """Wait until an agent is over; return whether it is before a time of the loop's clock.

    At that time `over` is set, so that nothing new is heard, and what is said after the sentence that is being said is dropped.
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
