"""S3, against a real server."""

import pytest
from msgspec.structs import replace

from bridge.cli.doctor.storage import check_s3, evaluate, try_bucket
from bridge.errors import StoreFailed
from bridge.http.object_store import Bucket
from bridge.settings.model import S3, Settings
from tests.cli.doctor.surroundings import assert_fails, assert_ok, only, surroundings
from tests.support.machine import free_port


def settings_of(account) -> S3:
    return S3(
        bucket=account.bucket,
        endpoint=account.endpoint,
        access_key=account.access_key,
        secret_key=account.secret_key,
    )


async def test_an_object_is_put_read_and_deleted(s3_bucket):
    assert_ok(await try_bucket(settings_of(s3_bucket.account())), "put", "read", "deleted")
    assert s3_bucket.objects() == {}


async def test_objects_are_listed_where_recordings_are_uploaded_live(s3_bucket, monkeypatch):
    async def denied(_self, _prefix):
        raise StoreFailed("the object store refuses the credentials", reason="denied")

    live = replace(settings_of(s3_bucket.account()), live=True)
    assert_ok(await try_bucket(live))
    monkeypatch.setattr(Bucket, "list", denied)
    assert_fails(await try_bucket(live), "list in the bucket", setting="recording.s3.access_key")


async def test_keys_without_rights_are_told(s3_bucket):
    found = await try_bucket(settings_of(s3_bucket.account(reader=True)))
    assert_fails(found, "put", "refuses the credentials", setting="recording.s3.access_key")
    assert s3_bucket.account().secret_key not in found.found + found.fix


async def test_a_store_that_is_not_there_is_told():
    s3 = S3(bucket="b", endpoint=f"http://127.0.0.1:{free_port()}", access_key="a", secret_key="b")
    found = await try_bucket(s3, request_seconds=1.0)
    assert_fails(found, "put in the bucket b", setting="recording.s3.endpoint")


async def test_without_a_bucket_nothing_is_asked():
    async with surroundings(Settings()) as around:
        assert_ok(only(await check_s3(around)), "stay on the disk")


@pytest.mark.parametrize("reason", ["denied", "missing", "timeout", "unreachable", "other"])
def test_every_reason_names_a_setting(reason):
    assert_fails(evaluate("b", "get", reason, "no"), setting="recording.s3")
