"""Wavix's pages of a list: `page` and `per_page` in, `items` and `pagination` out."""

from typing import Annotated

from msgspec import Meta, Struct

from bridge.api.server.fields import Count


class PageQuery(Struct):
    """Which page of a list is wanted."""

    page: Annotated[int, Meta(ge=1, le=1_000_000)] = 1
    per_page: Annotated[int, Meta(ge=1, le=100)] = 25

    @property
    def offset(self) -> int:
        """The index of its first item."""
        return (self.page - 1) * self.per_page


class Pagination(Struct):
    """Where a page stands among all."""

    current_page: Count
    per_page: Count
    total: Count
    total_pages: Count


def pagination(query: PageQuery, *, total: int) -> Pagination:
    """Return where a page stands among all."""
    return Pagination(query.page, query.per_page, total, -(-total // query.per_page))
