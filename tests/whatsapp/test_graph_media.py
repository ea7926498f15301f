"""Files at Meta: what is downloaded, from where, and what is refused."""

import base64
import gzip
import hashlib
from ipaddress import ip_network

import pytest

from bridge.call.model import LineName
from bridge.errors import WhatsAppError, WhatsAppRefused
from bridge.http.address_guard import Guard
from bridge.http.client import Http
from bridge.whatsapp.graph import Graph, GraphAccess
from bridge.whatsapp.graph_media import GraphMedia, UnusableFile
from bridge.wire.cloud_recordings import MediaKind
from tests.support.whatsapp.graph_double import NUMBER_ID, TOKEN, GraphDouble
from tests.support.whatsapp.graph_webhooks import DoubleCall

pytestmark = pytest.mark.virtual_time

LOOPBACK = (ip_network("127.0.0.0/8"),)
BODY = b"OggS" + bytes(100_000)


@pytest.fixture
async def double():
    async with GraphDouble() as running:
        running.files.told(DoubleCall("wacid.A", True, None), MediaKind.RECORDING, BODY)
        yield running


def media_of(double, *, allow=LOOPBACK):
    http = Http(Guard(allow=allow, require_tls=False))
    access = GraphAccess(NUMBER_ID, TOKEN, double.url)
    host = double.files.url.removeprefix("http://")
    return http, GraphMedia(Graph(access, http), access, http.of(LineName("main")), host=host)


@pytest.fixture
async def media(double):
    http, made = media_of(double)
    yield made
    await http.aclose()


def sha256(body: bytes) -> str:
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


async def download(media, url, path, *, body=BODY, limit=1_000_000):
    await media.download(url, path, sha256=sha256(body), limit=limit)
    return path.read_bytes()


async def test_a_file_is_had_at_a_fresh_address(double, media, tmp_path):
    assert await download(media, await media.url_of("1001"), tmp_path / "a") == BODY


async def test_an_address_that_has_expired_is_refused(double, media, tmp_path):
    url = double.files.address("1001")
    double.files.expire()
    with pytest.raises(WhatsAppError, match="404") as caught:
        await download(media, url, tmp_path / "a")
    assert not isinstance(caught.value, UnusableFile)


@pytest.mark.parametrize("limit", [1000, len(BODY) - 1])
async def test_a_file_that_is_too_long_is_refused(double, media, tmp_path, limit):
    with pytest.raises(UnusableFile, match="longer"):
        await download(media, double.files.address("1001"), tmp_path / "a", limit=limit)


async def test_a_file_with_another_hash_is_refused(double, media, tmp_path):
    with pytest.raises(UnusableFile, match="announced"):
        await download(media, double.files.address("1001"), tmp_path / "a", body=b"other")


async def test_a_compressed_file_is_not_unpacked(double, media, tmp_path):
    packed = gzip.compress(bytes(50_000_000))
    double.files.content["1001"], double.files.headers = packed, {"Content-Encoding": "gzip"}
    url = double.files.address("1001")
    assert await download(media, url, tmp_path / "a", body=packed) == packed


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/?mid=1001&issue=0",
        "https://lookaside.fbsbx.com.example.com/?mid=1001",
        "http://user:key@{host}/?mid=1001&issue=0",
        "https://{host}/?mid=1001&issue=0",
        "file:///etc/passwd",
        "http://[::1/?mid=1001",
        "",
    ],
)
async def test_the_token_goes_to_the_media_host_alone(double, media, tmp_path, url):
    host = double.files.url.removeprefix("http://")
    with pytest.raises(UnusableFile, match="media_host"):
        await download(media, url.replace("{host}", host), tmp_path / "a")
    assert double.files.asked == []


async def test_a_media_host_with_a_private_address_is_not_reached(double, tmp_path):
    http, media = media_of(double, allow=())
    with pytest.raises(WhatsAppError, match="private"):
        await download(media, double.files.address("1001"), tmp_path / "a")
    await http.aclose()
    assert double.files.asked == []


async def test_a_redirect_is_not_followed(double, media, tmp_path):
    double.files.faults["download"] = [302]
    with pytest.raises(WhatsAppError, match="302"):
        await download(media, double.files.address("1001"), tmp_path / "a")


async def test_a_file_that_is_gone_is_deleted(double, media):
    await media.delete("1001")
    assert double.files.content == {}
    await media.delete("1001")


async def test_a_deletion_that_meta_does_not_allow_fails(double, media):
    double.files.faults["delete"] = [400]
    with pytest.raises(WhatsAppRefused):
        await media.delete("1001")
    assert double.files.content
