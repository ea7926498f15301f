"""Engines, legs and memories that say and take what a test wants, for those who look at lists."""

from contextlib import asynccontextmanager

from bridge.errors import CallNotFound
from bridge.wire.gateway import EngineCall, Phase
from bridge.wire.stream.media_format import ZUCKZAPGO
from tests.support.waiting import until

ACTIVE = EngineCall("CA1", "15550107001", False, Phase.ACTIVE)
RINGS = EngineCall("CA2", "15550107002", True, Phase.RINGING)


class ListingEngine:
    """Lists what the test says."""

    media = ZUCKZAPGO
    feed = None

    def __init__(self, *listed):
        self.listed = list(listed)
        self.polls = 0
        self.hung_up = []
        self.fails = None
        self.hides = 0
        """Looks that shall find nothing."""
        self.ends = False
        """Whether what is hung up is listed no more."""
        self.begins = None
        """What is listed once a number was dialled."""

    async def dial(self, number):
        if self.begins:
            self.listed.append(self.begins)
        if self.fails:
            raise self.fails
        return "CA1"

    @asynccontextmanager
    async def socket(self, call_id):
        raise CallNotFound("there are no sockets here")
        yield

    async def hangup(self, call_id):
        self.hung_up.append(call_id)
        if self.fails:
            raise self.fails
        if self.ends:
            self.listed = [call for call in self.listed if call.call_id != call_id]

    async def calls(self):
        self.polls += 1
        if self.fails:
            raise self.fails
        self.hides -= 1
        return [] if self.hides >= 0 else list(self.listed)


class ToldLeg:
    """Remembers what it was told."""

    def __init__(self):
        self.told = []
        self.hints = []

    def update(self, call):
        self.told.append(call)

    def note_event(self, word):
        self.hints.append(word)


class Notes:
    """Remembers what it was told of calls; suspects nothing."""

    suspects = False

    def __init__(self):
        self.over = []
        self.released = []

    def ended(self, call_id):
        self.over.append(call_id)

    def release(self, call_id):
        self.released.append(call_id)

    async def orphans(self, calls):
        return []


async def more_polls(engine, count=3):
    wanted = engine.polls + count
    await until(lambda: engine.polls >= wanted)
