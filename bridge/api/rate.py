"""How often one key may ask: a bucket a key that fills steadily."""

from bridge.errors import RateLimited


class RateLimit:
    """Requests a minute for each key; 0 is no limit."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._spent: dict[bytes, tuple[float, float]] = {}

    def spend(self, key: bytes, now: float) -> None:
        """Take one request from a key's bucket.

        Raises:
            RateLimited: the bucket is empty; says when to come again.
        """
        if not self._per_minute:
            return
        left, at = self._spent.get(key, (float(self._per_minute), now))
        left = min(float(self._per_minute), left + (now - at) * self._per_minute / 60)
        if left < 1:
            wait = int((1 - left) * 60 / self._per_minute) + 1
            raise RateLimited(
                f"more than {self._per_minute} requests a minute with this key "
                "(limits.requests_per_minute)",
                retry_after=wait,
            )
        self._spent[key] = (left - 1, now)
