"""An object store that lies, or never ends: the recording, the request and the process do not suffer."""

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest

from bridge.call.recording import Written, parts_of
from bridge.errors import StoreFailed
from bridge.http.object_store import PIECE_BYTES, Bucket
from bridge.media.recording.live_parts import assemble
from bridge.settings.recording import S3
from tests.support.servers.part_store import PartShelf

HEAD = b'HTTP/1.1 200 OK\r\nLast-Modified: Tue, 21 Oct 2025 07:28:00 GMT\r\nETag: "x"\r\n'
RANGE = HEAD.replace(b"200 OK", b"206 Partial Content")
TRUTHFUL = b"Content-Range: bytes 5-99/100\r\n"
ENDLESS = 99_999_999_999


class Store:
    """Answers every request with the same bytes, and nothing after them."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.requests: list[bytes] = []

    async def __call__(self, reader, writer):
        while True:
            self.requests.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(self.answer)


@asynccontextmanager
async def serving(answer, host="127.0.0.1"):
    connections: set[asyncio.Task[None]] = set()

    async def serve(reader, writer):
        if (task := asyncio.current_task()) is not None:
            connections.add(task)
        with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            await answer(reader, writer)
        writer.transport.abort()

    async with await asyncio.start_server(serve, host) as server:
        yield f"http://{host}:{server.sockets[0].getsockname()[1]}"
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections)


@asynccontextmanager
async def bucket_of(store, seconds=30.0):
    async with serving(store) as url:
        yield Bucket(
            S3(bucket="b", endpoint=url, access_key="key", secret_key="secret"),
            request_seconds=seconds,
        )


async def read(bucket):
    return b"".join([piece async for piece in bucket.read("a", 5, 100)])


def sized(body: bytes, head: bytes = HEAD, size: int | None = None) -> bytes:
    return head + b"Content-Length: %d\r\n\r\n" % (len(body) if size is None else size) + body


async def test_a_length_that_no_memory_holds_does_not_end_the_process():
    # One byte too many, and no more: who wanted another would wait until the timeout.
    async with bucket_of(Store(sized(b"a" * (PIECE_BYTES + 1), size=ENDLESS))) as bucket:
        with pytest.raises(StoreFailed, match="another length"):
            await bucket.get("a")


@pytest.mark.parametrize(
    "answer",
    [
        sized(b"x" * 5, RANGE + TRUTHFUL),
        sized(b"x" * 500, RANGE + TRUTHFUL),
        sized(b"x" * 95, RANGE + b"Content-Range: bytes 0-94/100\r\n"),
        sized(b"x" * 5, RANGE + b"Content-Range: bytes 5-9/100\r\n"),
        sized(b"x" * 100),
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"nonsense\r\n\r\n",
    ],
    ids=["short", "long", "elsewhere", "less", "whole", "endless", "no HTTP"],
)
async def test_another_part_of_an_object_than_was_asked_for_is_an_error(answer):
    async with bucket_of(Store(answer)) as bucket:
        with pytest.raises(StoreFailed):
            await read(bucket)


async def test_more_of_a_part_than_was_asked_for_is_not_read():
    async with bucket_of(Store(sized(b"a" * 96, RANGE + TRUTHFUL, size=ENDLESS))) as bucket:
        with pytest.raises(StoreFailed, match="another length"):
            await read(bucket)


ENTRY = (
    b"<Contents><Key>p/1</Key><LastModified>2025-10-21T07:28:00.000Z</LastModified>"
    b"<Size>3</Size></Contents>"
)


def listing(inside: bytes, before: bytes = b"") -> bytes:
    return sized(before + b"<ListBucketResult>" + inside + b"</ListBucketResult>")


async def test_a_list_without_an_end_is_an_error():
    more = b"<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>"
    async with bucket_of(Store(listing(more + ENTRY * 1000))) as bucket:
        with pytest.raises(StoreFailed, match="too many objects"):
            await bucket.list("p/")


BOMB = b"".join(b'<!ENTITY a%d "%s">' % (n, b"&a%d;" % (n - 1) * 20) for n in range(1, 9))


@pytest.mark.parametrize(
    ("inside", "before"),
    [
        (ENTRY.replace(b"p/1", b"p/&a8;"), b'<!DOCTYPE l [<!ENTITY a0 "a">' + BOMB + b"]>"),
        (
            ENTRY.replace(b"p/1", b"p/&a;"),
            b'<!DOCTYPE l [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
        ),
        (ENTRY.replace(b"p/1", b"../../etc/passwd"), b""),
        (ENTRY.replace(b">3<", b">-3<"), b""),
        (ENTRY.replace(b">3<", b">99999999999999999999<"), b""),
    ],
    ids=["entities", "external entity", "path", "negative size", "huge size"],
)
async def test_a_malicious_list_is_an_error(inside, before):
    async with bucket_of(Store(listing(inside, before))) as bucket:
        with pytest.raises(StoreFailed):
            await bucket.list("p/")


async def test_a_stored_file_of_another_length_is_an_error(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    async with bucket_of(Store(sized(b"", size=0))) as bucket:
        with pytest.raises(StoreFailed, match="another length"):
            await bucket.put("a.wav", tmp_path / "a.wav", "audio/wav")


async def test_an_answer_that_drips_ends_with_the_timeout():
    async def drip(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(sized(b"", size=10**6))
        while not writer.is_closing():
            writer.write(b"a")
            await asyncio.sleep(0.05)

    async with bucket_of(drip, seconds=1.0) as bucket:
        with pytest.raises(StoreFailed) as failure:
            await bucket.get("a")
    assert failure.value.reason == "timeout"


async def test_our_signature_does_not_follow_a_redirect():
    other = Store(sized(b"abc"))
    async with serving(other, "127.0.0.2") as url:
        moved = f"HTTP/1.1 307 Moved\r\nLocation: {url}/\r\nContent-Length: 0\r\n\r\n"
        store = Store(moved.encode())
        async with bucket_of(store) as bucket:
            await bucket.get("a")
            with pytest.raises(StoreFailed):
                await bucket.put_bytes("a", b"sound")
    assert b"authorization:" in store.requests[0].lower()
    assert other.requests, "the client follows a redirect no longer: say so in docs/security.md"
    for request in other.requests:
        assert request.startswith(b"GET ")
        assert b"authorization" not in request.lower()


async def test_a_part_whose_number_no_recording_has_makes_no_huge_file(tmp_path):
    store = PartShelf()
    for number in (0, 99_999_999_999):
        await store.put_bytes(f"{parts_of('rec_1')}{number:05d}", b"ab")
    path = tmp_path / "a.wav"
    assert await assemble(store, "rec_1", path) == Written(46, 2 / 32_000)
    assert path.stat().st_size == 46
