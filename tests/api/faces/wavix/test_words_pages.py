"""Wavix's pages of a list."""

import msgspec
import pytest

from bridge.api.faces.wavix.words import PageQuery, pagination
from bridge.api.server.fields import read
from bridge.errors import InvalidRequest


def test_without_parameters_the_first_25_are_returned():
    assert PageQuery().offset == 0
    assert msgspec.to_builtins(pagination(PageQuery(), total=60)) == {
        "current_page": 1,
        "per_page": 25,
        "total": 60,
        "total_pages": 3,
    }


def test_a_page_may_be_after_the_last():
    query = PageQuery(page=3, per_page=2)
    assert (query.offset, pagination(query, total=3).total_pages) == (4, 2)


@pytest.mark.parametrize("query", ["page=0", "page=x", "per_page=101", "per_page=-1"])
def test_a_wrong_parameter_is_named(query):
    name, _, value = query.partition("=")
    with pytest.raises(InvalidRequest) as refused:
        read(PageQuery, {name: value}, strict=False)
    assert refused.value.field == name
