"""Buckets that fill steadily."""

import pytest

from bridge.api.server.rate import RateLimit
from bridge.errors import RateLimited


def test_no_limit_never_refuses():
    limit = RateLimit(0)
    for _ in range(1000):
        limit.spend(b"key", 0.0)


def test_an_empty_bucket_refuses_and_says_when_to_come_again():
    limit = RateLimit(60)
    for _ in range(60):
        limit.spend(b"key", 0.0)
    with pytest.raises(RateLimited) as caught:
        limit.spend(b"key", 0.1)
    assert caught.value.retry_after == 1


def test_a_bucket_fills_again_with_time():
    limit = RateLimit(60)
    for _ in range(60):
        limit.spend(b"key", 0.0)
    limit.spend(b"key", 1.0)
    with pytest.raises(RateLimited):
        limit.spend(b"key", 1.5)


def test_each_key_has_a_bucket_of_its_own():
    limit = RateLimit(1)
    limit.spend(b"one", 0.0)
    limit.spend(b"two", 0.0)


def test_the_headers_tell_what_is_left_and_when_the_bucket_is_full_again():
    limit = RateLimit(60)
    left = [limit.spend(b"key", 0.0) for _ in range(10)][-1]
    assert limit.headers(left, 1000.0) == {
        "X-RateLimit-Limit": "60",
        "X-RateLimit-Remaining": "50",
        "X-RateLimit-Reset": "1011",
    }


def test_no_limit_has_no_headers():
    assert RateLimit(0).headers(0.0, 1000.0) == {}
