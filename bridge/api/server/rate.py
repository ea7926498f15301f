"""The rate limit of a key: a token bucket, and the headers that report it."""

from typing import Final

from aiohttp import web

from bridge.errors import RateLimited

RATE_HEADERS: Final[web.RequestKey[dict[str, str]]] = web.RequestKey("rate_headers", dict)
"""The rate limit's headers for the answer to a request."""
LIMIT: Final = "X-RateLimit-Limit"
REMAINING: Final = "X-RateLimit-Remaining"
RESET: Final = "X-RateLimit-Reset"


class RateLimit:
    """A limit of requests per minute for each key; 0 is no limit."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._spent: dict[bytes, tuple[float, float]] = {}

    @property
    def limited(self) -> bool:
        """Whether there is a limit."""
        return self._per_minute > 0

    def spend(self, key: bytes, now: float) -> float:
        """Take one request from a key's bucket and return how many are left.

        Raises:
            RateLimited: the bucket is empty.
        """
        if not self.limited:
            return 0.0
        self._spent[key] = self.take(self._spent.get(key), now)
        return self._spent[key][0]

    def headers(self, left: float, now_unix: float) -> dict[str, str]:
        """Return the limit, what is left, and when the bucket is full again, in Unix seconds.

        https://docs.buildwithchirp.com/api_reference/rate-limits. Empty where there is no limit.
        """
        if not self.limited:
            return {}
        full_in = (self._per_minute - left) * 60 / self._per_minute
        return {
            LIMIT: str(self._per_minute),
            REMAINING: str(int(left)),
            RESET: str(int(now_unix + full_in) + 1),
        }

    def take(self, bucket: tuple[float, float] | None, now: float) -> tuple[float, float]:
        """Take one request from a bucket, its content and the time of that, and return it.

        Raises:
            RateLimited: the bucket is empty.
        """
        left, at = bucket or (float(self._per_minute), now)
        left = min(float(self._per_minute), left + max(0.0, now - at) * self._per_minute / 60)
        if left < 1:
            wait = int((1 - left) * 60 / self._per_minute) + 1
            raise RateLimited(
                f"more than {self._per_minute} requests a minute with this key "
                "(limits.requests_per_minute)",
                retry_after=wait,
            )
        return left - 1, now
