"""Wavix's pages of a list: `page` and `per_page` in, `items` and `pagination` out."""

from collections.abc import Sequence
from typing import Annotated, TypeVar

from msgspec import Meta, Struct

from bridge.api.fields import Count

Item = TypeVar("Item")


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


def page_of(query: PageQuery, items: Sequence[Item]) -> tuple[list[Item], Pagination]:
    """Return the items of a page, and where it stands."""
    wanted = items[query.offset : query.offset + query.per_page]
    return list(wanted), pagination(query, total=len(items))


def pagination(query: PageQuery, *, total: int) -> Pagination:
    """Return where a page stands among all."""
    return Pagination(query.page, query.per_page, total, -(-total // query.per_page))
