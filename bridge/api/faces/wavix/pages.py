"""Wavix's pages of a list: `page` and `per_page` in, `items` and `pagination` out."""

from collections.abc import Sequence
from typing import Any, Final

from aiohttp import web

from bridge.errors import InvalidRequest

PER_PAGE: Final = 25
MAX_PER_PAGE: Final = 100
MAX_PAGE: Final = 1_000_000


def bounds(request: web.Request) -> tuple[int, int]:
    """Return the page that is asked for, from 1 on, and how many items it has.

    Raises:
        InvalidRequest: naming the parameter.
    """
    return _whole(request, "page", 1, MAX_PAGE), _whole(request, "per_page", PER_PAGE, MAX_PER_PAGE)


def page_of(request: web.Request, items: Sequence[Any]) -> dict[str, Any]:
    """Return the page of a list that is asked for.

    Raises:
        InvalidRequest: as `bounds`.
    """
    page, size = bounds(request)
    return paged(items[(page - 1) * size : page * size], page, size, total=len(items))


def paged(items: Sequence[Any], page: int, size: int, *, total: int) -> dict[str, Any]:
    """Return the items of a page with where it stands among all."""
    pages = {
        "current_page": page,
        "per_page": size,
        "total": total,
        "total_pages": -(-total // size),
    }
    return {"items": list(items), "pagination": pages}


def _whole(request: web.Request, name: str, default: int, most: int) -> int:
    text = request.query.get(name, str(default))
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
    if not 1 <= number <= most:
        raise InvalidRequest(f"{name}: expected a whole number from 1 to {most}", field=name)
    return number
