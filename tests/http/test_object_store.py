"""The S3 client against a real S3 server: kept, read, linked to, deleted; and a server in trouble."""

import asyncio
import urllib.error
import urllib.request

import pytest

from bridge.errors import NotFound, StoreFailed
from bridge.http.object_store import PART_BYTES, PIECE_BYTES, Bucket
from bridge.settings.recording import S3
from tests.support.servers import s3


@pytest.fixture
def server(s3_bucket):
    return s3_bucket


@pytest.fixture
def bucket(server):
    return Bucket(server.account())


def file(folder, content=b"RIFF and so on"):
    path = folder / "sound.wav"
    path.write_bytes(content)
    return path


def fetch(link):
    """Return the type and the content of what a link leads to."""
    with urllib.request.urlopen(link, timeout=10) as answer:
        return answer.headers["Content-Type"], answer.read()


async def read(bucket, key, start, end):
    return b"".join([piece async for piece in bucket.read(key, start, end)])


async def test_a_file_is_kept_with_its_type(bucket, server, tmp_path):
    await bucket.put("recordings/2026/a b.wav", file(tmp_path), "audio/wav")
    assert server.content("recordings/2026/a b.wav") == b"RIFF and so on"
    kind, _ = fetch(await bucket.link("recordings/2026/a b.wav", 60))
    assert kind == "audio/wav"


async def test_a_file_in_several_parts_is_kept_whole(bucket, server, tmp_path):
    content = bytes(range(256)) * (2 * PART_BYTES // 256 + 99)
    await bucket.put("large.wav", file(tmp_path, content), "audio/wav")
    assert server.content("large.wav") == content


async def test_a_part_of_an_object_is_read(bucket, tmp_path):
    await bucket.put("a.wav", file(tmp_path), "audio/wav")
    assert await read(bucket, "a.wav", 5, 8) == b"and"


async def test_much_of_an_object_is_read_piece_by_piece(bucket, tmp_path):
    content = bytes(range(256)) * 10_000
    await bucket.put("a.wav", file(tmp_path, content), "audio/wav")
    pieces = [piece async for piece in bucket.read("a.wav", 100, len(content) - 100)]
    assert b"".join(pieces) == content[100:-100]
    assert max(map(len, pieces)) == PIECE_BYTES


async def test_a_link_needs_no_key_and_runs_out(bucket, tmp_path):
    await bucket.put("a.wav", file(tmp_path), "audio/wav")
    link = await bucket.link("a.wav", 3600)
    assert "X-Amz-Expires=3600" in link
    assert fetch(link) == ("audio/wav", b"RIFF and so on")
    with pytest.raises(urllib.error.HTTPError, match="403"):
        fetch(link.replace("a.wav", "b.wav"))


async def test_what_is_deleted_is_gone_and_may_be_deleted_again(bucket, server, tmp_path):
    await bucket.put("a.wav", file(tmp_path), "audio/wav")
    await bucket.delete("a.wav")
    await bucket.delete("a.wav")
    assert server.objects() == {}
    with pytest.raises(NotFound):
        await read(bucket, "a.wav", 0, 3)


async def test_a_store_that_refuses_our_keys_is_denied(bucket, server, tmp_path):
    await bucket.put("a.wav", file(tmp_path), "audio/wav")
    reader = Bucket(server.account(reader=True))
    assert await read(reader, "a.wav", 0, 4) == b"RIFF"
    for refused in (reader.put("b.wav", file(tmp_path), "audio/wav"), reader.delete("a.wav")):
        with pytest.raises(StoreFailed) as failure:
            await refused
        assert failure.value.reason == "denied"


async def test_a_bucket_that_is_not_there_is_missing(server, tmp_path):
    async def refuse(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as other:
        port = other.sockets[0].getsockname()[1]
        with pytest.raises(StoreFailed) as failure:
            await Bucket(server.account(port=port)).put("a.wav", file(tmp_path), "audio/wav")
    assert failure.value.reason == "missing"


async def test_a_store_that_is_not_there_is_unreachable(server, tmp_path):
    async with s3.faulty_proxy(server.port) as proxy:
        proxy.break_off()
        down = Bucket(server.account(port=proxy.port), request_seconds=2)
        with pytest.raises(StoreFailed) as failure:
            await down.put("a.wav", file(tmp_path), "audio/wav")
        assert failure.value.reason == "unreachable"


async def test_a_store_that_is_too_slow_is_given_up(server, tmp_path):
    async with s3.faulty_proxy(server.port) as proxy:
        proxy.bytes_per_second = 20_000
        slow = Bucket(server.account(port=proxy.port), request_seconds=1)
        with pytest.raises(StoreFailed) as failure:
            await slow.put("a.wav", file(tmp_path, bytes(1_000_000)), "audio/wav")
        assert failure.value.reason == "timeout"


async def test_a_failure_tells_neither_addresses_nor_keys(tmp_path):
    account = S3(
        bucket="secret-bucket",
        endpoint="http://127.0.0.1:9",
        access_key="secret-key",
        secret_key="secret",
    )
    with pytest.raises(StoreFailed) as failure:
        await Bucket(account, request_seconds=1).put("a.wav", file(tmp_path), "audio/wav")
    assert "secret" not in str(failure.value)
    assert failure.value.__cause__ is None


async def test_small_objects_are_kept_listed_and_deleted_by_their_prefix(bucket, server):
    for key in ("live/a/00000", "live/a/00001", "live/ab/00000"):
        await bucket.put_bytes(key, b"part")
    assert sorted(await bucket.list("live/a/")) == [("live/a/00000", 4), ("live/a/00001", 4)]
    assert await bucket.get("live/a/00001") == b"part"
    await bucket.delete_all("live/a/")
    assert set(server.objects()) == {"live/ab/00000"}
    assert await bucket.list("live/a/") == []
