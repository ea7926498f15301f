"""How often one key may ask: a bucket a key that fills steadily."""

from bridge.errors import RateLimited


class RateLimit:
    """Requests a minute for each key; 0 is no limit."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._spent: dict[bytes, tuple[float, float]] = {}

    @property
    def limited(self) -> bool:
        """Whether there is a limit at all."""
        return self._per_minute > 0

    def spend(self, key: bytes, now: float) -> None:
        """Take one request from a key's bucket.

        Raises:
            RateLimited: the bucket is empty; says when to come again.
        """
        if self.limited:
            self._spent[key] = self.take(self._spent.get(key), now)

    def take(self, bucket: tuple[float, float] | None, now: float) -> tuple[float, float]:
        """Take one request from a bucket: what it held and when; gives what it holds now.

        Raises:
            RateLimited: the bucket is empty; says when to come again.
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
