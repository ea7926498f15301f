"""Delivers the pending webhooks: in order for each call, with retries.

An attempt succeeds with a 2xx response within 10 s; redirects are not followed. Failed deliveries are
retried with exponential backoff for 75 h and are then dead. A delivery is deleted after its response,
so one that succeeds just before a crash is delivered twice, with the same id.
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
GIVE_UP_SECONDS: Final = 75 * 3600.0
"""Since the event; then the delivery is dead."""
MIN_BACKOFF: Final = 1.0
MAX_BACKOFF: Final = 900.0
JITTER: Final = 0.1
"""Delays are up to this share longer."""
MAX_CONCURRENT: Final = 8
"""Requests to one receiver."""
POLL_SECONDS: Final = 5.0
COUNT_SECONDS: Final = 1.0
INACTIVE: Final = "the webhook is not active"
READ_BYTES: Final = 64 * 1024
"""Of a response; a longer one closes the connection."""


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
    """When a delivery is retried, and when it is given up."""

    min_backoff: float = MIN_BACKOFF
    max_backoff: float = MAX_BACKOFF
    give_up_seconds: float = GIVE_UP_SECONDS
    answer_seconds: float = ANSWER_SECONDS

    def backoff(self, attempts: int) -> float:
        """Return the seconds before the next attempt, after so many that failed."""
        delay = self.min_backoff * 2.0 ** min(attempts - 1, 30)
        jitter = 1.0 + JITTER * secrets.randbelow(1000) / 1000
        return min(delay, self.max_backoff) * jitter


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
        retry_policy: RetryPolicy | None = None,
    ) -> None:
        """Set up the deliveries; `run` performs them.

        Args:
            database: keeps the table.
            http: reaches customers.
            node: whose deliveries these are.
            counters: count attempts.
            link: signs a path to a recording's file, of its id and format.
            retry_policy: None for the default policy.
        """
        self._database = database
        self._http = http
        self.node = node
        self._counters = counters
        self._link = link
        self._retry_policy = retry_policy or RetryPolicy()
        self._woken = asyncio.Event()
        self._counted_at = 0.0
        self._lanes: set[str] = set()
        self._of_receiver: Counter[str] = Counter()

    def wake(self) -> None:
        """Poll at once."""
        self._woken.set()

    async def replay(self, line: str, numbers: Container[int] | None) -> int:
        """Make a line's dead deliveries, or some of them, pending again; return how many."""
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
        """Deliver until cancelled; what is under way then stays pending."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._woken.clear()
                delay = POLL_SECONDS
                try:
                    delay = await self._poll(group)
                except BridgeError:
                    log.exception("webhooks.poll_failed")
                try:
                    async with asyncio.timeout(delay):
                        await self._woken.wait()
                except TimeoutError:
                    pass

    async def _poll(self, group: asyncio.TaskGroup) -> float:
        """Start the deliveries that are due; return the seconds until more may be."""
        now, busy = _now(), frozenset(self._lanes)

        # Not at every poll: each delivery causes one.
        count = now - self._counted_at >= COUNT_SECONDS

        def work(connection: Connection) -> tuple[list[Job], float | None, int | None]:
            found, later = deliveries.due(
                connection, node=self.node, now=now, each=MAX_CONCURRENT + len(busy), busy=busy
            )
            return found, later, deliveries.waiting(connection, self.node) if count else None

        jobs, later, waiting = await self._database.run(work)
        if waiting is not None:
            self._counted_at = now
            self._counters.set_webhooks_waiting(waiting)
        for job in jobs:
            if self._of_receiver[job.receiver] < MAX_CONCURRENT and job.lane not in self._lanes:
                self._lanes.add(job.lane)
                self._of_receiver[job.receiver] += 1
                group.create_task(self._deliver(job), name=f"webhook {job.seq}")
        return POLL_SECONDS if later is None else min(POLL_SECONDS, max(0.0, later - _now()))

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
            elif now - job.first_at >= self._retry_policy.give_up_seconds or error == INACTIVE:
                self._counters.webhook_attempt("dead")
                log.warning("webhook.dead", extra={"error": error, "attempts": job.attempts + 1})
                self._write(
                    lambda connection: deliveries.give_up(connection, job, error=error, now=now)
                )
            else:
                self._counters.webhook_attempt("failed")
                due_at = now + self._retry_policy.backoff(job.attempts + 1)
                self._write(
                    lambda connection: deliveries.postpone(
                        connection, job, due_at=due_at, error=error
                    )
                )
        finally:
            # The next poll sees what was written: the database works in order.
            self._lanes.discard(job.lane)
            self._of_receiver[job.receiver] -= 1
            if not self._of_receiver[job.receiver]:
                del self._of_receiver[job.receiver]
            self._woken.set()

    async def _attempt(self, job: Job) -> str | None:
        """Send it once; return what went wrong, without secrets."""
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
            asyncio.timeout(self._retry_policy.answer_seconds),
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
    """Return wall time, which goes on while no process runs."""
    return datetime.now(UTC).timestamp()
