"""Delivers what waits in the table of deliveries: in order for each call, again until it is taken.

An attempt counts when it is answered with 2xx within 10 s; redirects are not followed. Failed ones
are repeated with growing pauses for 75 h and then put on the list of dead ones. A delivery is struck
out after its answer, so one that was taken just before a crash comes twice, with the same id.
"""

import asyncio
import logging
import secrets
from collections import Counter
from collections.abc import Callable, Container
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from sqlite3 import Connection
from typing import Final, Protocol

import aiohttp

from bridge.call.model import LineName
from bridge.errors import AddressBlocked, BridgeError
from bridge.net import deliveries
from bridge.net.database import Database
from bridge.net.deliveries import Job
from bridge.net.http import Http
from bridge.wire.webhook import Receiver, render, signed

log = logging.getLogger(__name__)

ANSWER_SECONDS: Final = 10.0
TRIED_SECONDS: Final = 75 * 3600.0
"""Since the event; then it is dead."""
FIRST_PAUSE: Final = 1.0
MAX_PAUSE: Final = 900.0
SPREAD: Final = 0.1
"""Pauses are up to this share longer, so that receivers are not met by all at once."""
AT_ONCE: Final = 8
"""Requests to one receiver."""
LOOK_SECONDS: Final = 5.0
"""How often the table is looked at without a reason."""
COUNT_SECONDS: Final = 1.0
INACTIVE: Final = "the webhook is not active"
READ_BYTES: Final = 64 * 1024
"""Of an answer; what is longer costs the connection."""


class WebhookCounters(Protocol):
    """Counts deliveries; `metrics.events.EventMetrics` is one."""

    def webhook_attempt(self, outcome: str) -> None:
        """Count an attempt: `delivered`, `failed`, or `dead` when it was the last one."""
        ...

    def set_webhooks_waiting(self, count: int) -> None:
        """Set how many deliveries wait."""
        ...


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long pauses are, and when a delivery is given up."""

    first_pause: float = FIRST_PAUSE
    longest_pause: float = MAX_PAUSE
    tried_seconds: float = TRIED_SECONDS
    answer_seconds: float = ANSWER_SECONDS

    def pause(self, attempts: int) -> float:
        """Seconds before the next attempt, after so many that failed."""
        pause = self.first_pause * 2.0 ** min(attempts - 1, 30)
        spread = 1.0 + SPREAD * secrets.randbelow(1000) / 1000
        return min(pause, self.longest_pause) * spread


class Webhooks:
    """The deliveries of one node."""

    def __init__(
        self,
        database: Database,
        http: Http,
        *,
        node: int,
        counters: WebhookCounters,
        link: Callable[[str, str], str] = lambda *_: "",
        patience: RetryPolicy | None = None,
    ) -> None:
        """Make it; `run` does the work.

        Args:
            database: keeps the table.
            http: reaches customers.
            node: whose deliveries these are.
            counters: count attempts.
            link: signs a path to a recording's file, of its id and format.
            patience: the default is the product's.
        """
        self._database = database
        self._http = http
        self.node = node
        self._counters = counters
        self._link = link
        self._patience = patience or RetryPolicy()
        self._woken = asyncio.Event()
        self._counted_at = 0.0
        self._lanes: set[str] = set()
        self._of_receiver: Counter[str] = Counter()

    def wake(self) -> None:
        """Look at the table now: something may be due."""
        self._woken.set()

    async def replay(self, line: str, numbers: Container[int] | None) -> int:
        """Let a line's dead deliveries, or some of them, wait again; returns how many do."""
        now, replayed = _now(), 0
        page: int | None = 0
        while page is not None:
            count, page = await self._database.run(
                partial(
                    deliveries.replay,
                    line=line,
                    node=self.node,
                    now=now,
                    numbers=numbers,
                    after=page,
                )
            )
            replayed += count
            self.wake()
        return replayed

    async def run(self) -> None:
        """Deliver until cancelled; what is on its way then stays in the table."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._woken.clear()
                pause = LOOK_SECONDS
                try:
                    pause = await self._look(group)
                except BridgeError:
                    log.exception("webhooks.look_failed")
                try:
                    async with asyncio.timeout(pause):
                        await self._woken.wait()
                except TimeoutError:
                    pass

    async def _look(self, group: asyncio.TaskGroup) -> float:
        """Start what is due; gives the seconds until more may be."""
        now, busy = _now(), frozenset(self._lanes)

        # All that waits is counted seldom: each delivery makes us look.
        count = now - self._counted_at >= COUNT_SECONDS

        def work(connection: Connection) -> tuple[list[Job], float | None, int | None]:
            found, later = deliveries.due(
                connection, node=self.node, now=now, each=AT_ONCE + len(busy), busy=busy
            )
            return found, later, deliveries.waiting(connection, self.node) if count else None

        jobs, later, waiting = await self._database.run(work)
        if waiting is not None:
            self._counted_at = now
            self._counters.set_webhooks_waiting(waiting)
        for job in jobs:
            if self._of_receiver[job.receiver] < AT_ONCE and job.lane not in self._lanes:
                self._lanes.add(job.lane)
                self._of_receiver[job.receiver] += 1
                group.create_task(self._deliver(job), name=f"webhook {job.seq}")
        return LOOK_SECONDS if later is None else min(LOOK_SECONDS, max(0.0, later - _now()))

    async def _deliver(self, job: Job) -> None:
        try:
            error = await self._attempt(job)
            now = _now()
            log.debug(
                "webhook.attempted",
                extra={
                    "style": job.style,
                    "type": job.event.type,
                    "call": job.event.call.id if job.event.call else "",
                    "attempt": job.attempts + 1,
                    "error": error or "",
                },
            )
            if error is None:
                self._counters.webhook_attempt("delivered")
                self._write(lambda connection: deliveries.delivered(connection, job, now))
            elif job.endpoint is None and not job.url:
                self._write(lambda connection: deliveries.delivered(connection, job, now))
            elif now - job.first_at >= self._patience.tried_seconds or error == INACTIVE:
                self._counters.webhook_attempt("dead")
                log.warning("webhook.dead", extra={"error": error, "attempts": job.attempts + 1})
                self._write(
                    lambda connection: deliveries.give_up(connection, job, error=error, now=now)
                )
            else:
                self._counters.webhook_attempt("failed")
                due_at = now + self._patience.pause(job.attempts + 1)
                self._write(
                    lambda connection: deliveries.postpone(
                        connection, job, due_at=due_at, error=error
                    )
                )
        finally:
            # Whoever looks next sees what was written: works are done in their order.
            self._lanes.discard(job.lane)
            self._of_receiver[job.receiver] -= 1
            if not self._of_receiver[job.receiver]:
                del self._of_receiver[job.receiver]
            self._woken.set()

    async def _attempt(self, job: Job) -> str | None:
        """Send it once; gives what went wrong, in words that hold no secret."""
        endpoint = job.endpoint
        if endpoint is None and not job.url:
            return INACTIVE
        if endpoint is not None and not endpoint.active:
            return INACTIVE
        receiver = endpoint.receiver(self._link) if endpoint else Receiver(job.style)
        try:
            return await self._post(job, receiver)
        except TimeoutError:
            return "no answer in time"
        except AddressBlocked as error:
            return str(error)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return type(error).__name__
        except Exception:  # one delivery must not end all others
            log.exception("webhook.crashed")
            return "internal error"

    async def _post(self, job: Job, receiver: Receiver) -> str | None:
        delivery = render(job.event, receiver)
        if delivery is None:
            return None
        secret = job.endpoint.secret if job.endpoint else ""
        custom = job.endpoint.headers if job.endpoint else {}
        now = _now()
        headers = signed(
            delivery,
            receiver.style,
            secret=secret,
            identity=job.event.id,
            now=now,
            former=job.endpoint.former_secrets(now) if job.endpoint else (),
        )
        async with (
            asyncio.timeout(self._patience.answer_seconds),
            self._http.of(LineName(job.event.line))
            .guarded()
            .post(
                job.endpoint.url if job.endpoint else job.url,
                data=delivery.body,
                headers={**custom, **headers},
                allow_redirects=False,
            ) as response,
        ):
            await response.content.read(READ_BYTES)
            if not response.content.at_eof():
                response.close()
            return None if 200 <= response.status < 300 else f"answered {response.status}"

    def _write(self, work: Callable[[Connection], None]) -> None:
        self._database.post(work)


def _now() -> float:
    """Wall time: pauses go on while no process runs."""
    return datetime.now(UTC).timestamp()
