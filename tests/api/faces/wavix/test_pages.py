"""Wavix's pages of a list."""

import pytest
from aiohttp.test_utils import make_mocked_request

from bridge.api.faces.wavix.pages import page_of
from bridge.errors import InvalidRequest


def test_without_parameters_the_first_25_come():
    told = page_of(make_mocked_request("GET", "/v1/mydids"), range(60))
    assert told["items"] == list(range(25))
    assert told["pagination"] == {
        "current_page": 1,
        "per_page": 25,
        "total": 60,
        "total_pages": 3,
    }


def test_a_page_behind_the_last_is_empty():
    told = page_of(make_mocked_request("GET", "/v1/mydids?page=3&per_page=2"), [1, 2, 3])
    assert (told["items"], told["pagination"]["total_pages"]) == ([], 2)


@pytest.mark.parametrize("query", ["page=0", "page=x", "per_page=101", "per_page=-1"])
def test_a_wrong_parameter_is_named(query):
    with pytest.raises(InvalidRequest) as refused:
        page_of(make_mocked_request("GET", f"/v1/mydids?{query}"), [])
    assert refused.value.field == query.partition("=")[0]
