"""Names without a name server: what a `Resolver` of these tests knows."""

from collections.abc import Callable
from ipaddress import ip_address

from bridge.http.resolver import Address, LookupFailed


class Names(dict[str, list[str]]):
    """Names and their addresses."""

    async def resolve(self, host: str) -> list[Address]:
        if not self.get(host):
            raise LookupFailed("the name has no address", outcome="nothing")
        return [ip_address(text) for text in self[host]]


class Changing:
    """A name server that answers differently each time."""

    def __init__(self, answer: Callable[[], list[str]]) -> None:
        self._answer = answer

    async def resolve(self, host: str) -> list[Address]:
        return [ip_address(text) for text in self._answer()]
