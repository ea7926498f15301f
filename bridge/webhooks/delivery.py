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
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import aiohttp
import msgspec

from bridge.backoff import Backoff
from bridge.call.model import LineName
from bridge.db.database import Connection, Database, wall_time
from bridge.errors import AddressBlocked, BridgeError, DatabaseFailed, DatabaseLost
from bridge.http.client import Http
from bridge.metrics.events import EventMetrics
from bridge.stores import deliveries
from bridge.stores.deliveries import Job, Outcome
from bridge.stores.endpoints import Endpoint
from bridge.tasks import wait_set
from bridge.telemetry.trace import OFF, UNTRACED, OpenSpan, Tracer
from bridge.wire.call_event import CallEvent
from bridge.wire.webhook.formats import render, signed

log = logging.getLogger(__name__)

JITTER: Final = 0.1
"""Delays are up to this share longer."""
MAX_CONCURRENT: Final = 8
"""Requests to one receiver."""
POLL_SECONDS: Final = 5.0
COUNT_SECONDS: Final = 1.0
INACTIVE: Final = "the webhook is not active"
READ_BYTES: Final = 64 * 1024
"""Of a response; a longer one closes the connection."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a delivery is retried, and when it is given up."""

    backoff: Backoff = Backoff(1.0, 900.0)
    give_up_seconds: float = 75 * 3600.0
    """Since the event; then the delivery is dead."""
    answer_seconds: float = 10.0

    def delay(self, attempts: int) -> float:
        """Return the seconds before the next attempt, after so many that failed."""
        return self.backoff.after(attempts, jitter=JITTER * secrets.randbelow(1000) / 1000)


OUTCOME: Final = "delivery"
"""What the outcomes of attempts are appended to the database as."""


class Webhooks:
    """The deliveries of one node."""

    def __init__(  # noqa: PLR0913  (all but two by keyword)
        self,
        database: Database,
        http: Http,
        *,
        node: int,
        counters: EventMetrics,
        link: Callable[[str, str], str] = lambda *_: "",
        retry_policy: RetryPolicy = RetryPolicy(),
        tracer: Tracer = OFF,
    ) -> None:
        """Set up the deliveries of node `node`; `run` performs them.

        `link` signs a path to a recording's file, of its id and format.
        """
        self._database = database
        database.handle(OUTCOME, _conclude_all)
        self._http = http
        self.node = node
        self._counters = counters
        self._link = link
        self._retry_policy = retry_policy
        self._tracer = tracer
        self._woken = asyncio.Event()
        self._concluded = asyncio.Event()
        self._counted_at = 0.0
        self._lanes: set[str] = set()
        self._of_receiver: Counter[str] = Counter()

    def wake(self) -> None:
        """Poll at once."""
        self._woken.set()

    async def flush(self, seconds: float) -> None:
        """Wait until nothing is due or on its way, for at most so long; `run` goes on meanwhile.

        What is left is delivered by another node, or after the next start.
        """
        with suppress(TimeoutError, DatabaseFailed):
            async with asyncio.timeout(seconds):
                await self._database.flush()
                self.wake()
                self._concluded.clear()
                while await self._is_busy():
                    await self._concluded.wait()
                    self._concluded.clear()

    async def _is_busy(self) -> bool:
        """Return whether a delivery is on its way or due."""
        if self._lanes:
            return True
        jobs, _ = await self._database.run(
            deliveries.due, node=self.node, now=wall_time(), each=1, busy=()
        )
        return bool(jobs)

    async def replay(self, line: str, numbers: Container[int] | None) -> int:
        """Make a line's dead deliveries, or some of them, pending again; return how many."""
        now, replayed = wall_time(), 0
        page: int | None = 0
        while page is not None:
            count, page = await self._database.run(
                deliveries.replay, line, node=self.node, now=now, numbers=numbers, after=page
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
                await self._database.available()
                try:
                    delay = await self._poll(group)
                except DatabaseLost:
                    continue
                except BridgeError:
                    log.exception("webhooks.poll_failed")
                await wait_set(self._woken, delay)

    async def _poll(self, group: asyncio.TaskGroup) -> float:
        """Start the deliveries that are due; return the seconds until more may be."""
        now, busy = wall_time(), frozenset(self._lanes)

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
        return POLL_SECONDS if later is None else min(POLL_SECONDS, max(0.0, later - wall_time()))

    async def _deliver(self, job: Job) -> None:
        try:
            error = await self._attempt(job)
            now = wall_time()
            log.debug(
                "webhook.attempted",
                extra={
                    "style": job.endpoint.style if job.endpoint else "",
                    "type": job.event.type,
                    "call": job.event.call.id if job.event.call else "",
                    "attempt": job.attempts + 1,
                    "error": error or "",
                },
            )
            due_at = None
            if error is None:
                self._counters.webhook_attempt("delivered")
            elif job.endpoint is None:
                error = None  # nobody is to get it any more
            elif now - job.first_at >= self._retry_policy.give_up_seconds or error == INACTIVE:
                self._counters.webhook_attempt("dead")
                log.warning(
                    "webhook.dead_lettered", extra={"error": error, "attempts": job.attempts + 1}
                )
            else:
                self._counters.webhook_attempt("failed")
                due_at = now + self._retry_policy.delay(job.attempts + 1)
            outcome = Outcome(job.seq, job.lane, now, error, due_at)
            self._database.append(OUTCOME, msgspec.msgpack.encode(outcome))
        finally:
            # The next poll sees what was written: the database works in order.
            self._lanes.discard(job.lane)
            self._of_receiver[job.receiver] -= 1
            if not self._of_receiver[job.receiver]:
                del self._of_receiver[job.receiver]
            self._concluded.set()
            self._woken.set()

    async def _attempt(self, job: Job) -> str | None:
        """Send it once; return what went wrong, without secrets."""
        if job.endpoint is None or not job.endpoint.active:
            return INACTIVE
        try:
            return await self._post(job.event, job.endpoint, job.attempts)
        except TimeoutError:
            return "no answer in time"
        except AddressBlocked as error:
            return str(error)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return type(error).__name__
        except Exception:  # one delivery must not end all others
            log.exception("webhook.crashed")
            return "internal error"

    async def _post(self, event: CallEvent, endpoint: Endpoint, attempts: int) -> str | None:
        delivery = render(event, endpoint.receiver(self._link))
        if delivery is None:
            return None
        now = wall_time()
        headers = signed(
            delivery,
            endpoint.style,
            secret=endpoint.secret,
            identity=event.id,
            now=now,
            former=endpoint.former_secrets(now),
        )
        with self._span(event, endpoint.url, attempts) as span:
            async with (
                asyncio.timeout(self._retry_policy.answer_seconds),
                self._http.of(LineName(event.line))
                .guarded()
                .post(
                    endpoint.url,
                    data=delivery.body,
                    headers={**endpoint.headers, **span.headers, **headers},
                    allow_redirects=False,
                ) as response,
            ):
                span.answered(response.status)
                await response.content.read(READ_BYTES)
                if not response.content.at_eof():
                    response.close()
                return None if 200 <= response.status < 300 else f"answered {response.status}"

    def _span(self, event: CallEvent, url: str, attempts: int) -> OpenSpan:
        """Begin the span of a delivery; events of a line have none."""
        call = event.call
        trace = UNTRACED if call is None else self._tracer.of(call.id, call.trace)
        attributes = {"bridge.event.type": event.type, "bridge.event.id": event.id}
        span = trace.request("POST webhook", attributes, url=url)
        if attempts:
            span.attributes["http.request.resend_count"] = attempts
        return span


def _conclude_all(connection: Connection, payloads: list[bytes]) -> None:
    for payload in payloads:
        deliveries.conclude(connection, msgspec.msgpack.decode(payload, type=Outcome))
