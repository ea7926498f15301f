"""A vendor's client: a base URL, a bearer key, JSON there and back; and a bridge with two lines."""

from typing import Any

from bridge.settings.model import Line, Settings
from tests.support.inprocess import settings

SALES, TEST, OTHER = "sk_live_app_sales", "sk_test_app_sales", "sk_live_app_other"
NUMBER = "+15550109000"
"""Of the line `sales`."""
ECHO, TALKS, NEVER, BUSY, REJECTS, UNREACHABLE, HANGS_UP = (
    f"1555010000{digit}" for digit in (1, 2, 3, 4, 5, 6, 7)
)


def two_lines(**changed: Any) -> Settings:
    """Settings with the lines `sales`, with a live and a test key, and `other`."""
    lines = {
        "sales": Line(keys=[SALES, TEST], numbers=[NUMBER.removeprefix("+")]),
        "other": Line(keys=[OTHER], numbers=["15550109001"]),
    }
    return settings(**({"lines": lines} | changed))


class Vendor:
    """Asks a bridge as a program written from a vendor's document does.

    Args:
        http: aiohttp's `TestClient`, or what stands for it.
        key: Sent as bearer; None sends none.
    """

    def __init__(self, http: Any, key: str | None = SALES) -> None:
        self._http = http
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}

    def as_(self, key: str | None) -> "Vendor":
        """The same with another key."""
        return Vendor(self._http, key)

    async def get(self, path: str) -> tuple[int, Any]:
        """Return the status and the body."""
        async with self._http.get(path, headers=self._headers) as response:
            return response.status, await response.json()

    async def post(self, path: str, body: Any = None) -> tuple[int, Any]:
        """Return the status and the body."""
        sent = {"json": body} if body is not None else {}
        async with self._http.post(path, headers=self._headers, **sent) as response:
            return response.status, await response.json()
