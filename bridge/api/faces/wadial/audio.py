"""WADial's audio assets, `/api/v1/call-audio-assets`, and how they are played into a call."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final, Literal

from aiohttp import BodyPartReader, web
from aiohttp.http import HttpProcessingError
from msgspec import Struct

from bridge.api.faces.wadial.calls import CALL, line_of
from bridge.api.faces.wadial.words import WADIAL
from bridge.api.media.agent import Stopped
from bridge.api.server.fields import Count, wrong_field
from bridge.api.server.operation import CALL as OF_CALL
from bridge.api.server.operation import Context
from bridge.api.server.reads import BODY_SECONDS
from bridge.api.server.services import MEDIA, RECORDS
from bridge.errors import InvalidRequest, RequestTimeout, about_field
from bridge.media.assets import Asset

PATH = "/api/v1/call-audio-assets"
UPLOAD_SECONDS = 60.0
PIECE = 64 * 1024
MAX_FILE_NAME = 255
MAX_CONTENT_TYPE = 255


class WadialAsset(Struct, rename="camel"):
    """A kept sound."""

    id: str
    filename: str
    content_type: str
    size_bytes: Count
    duration_ms: Count | None
    created_at: str
    status: Literal["ready"] = "ready"


class AssetDeleted(Struct):
    """The sound that was removed."""

    id: str
    deleted: Literal[True] = True


class PlayAsset(Struct, rename="camel"):
    """Which sound to play."""

    asset_id: str


class AssetPlayed(Struct, rename="camel"):
    """A playback that is queued."""

    playback_id: str
    asset_id: str
    status: Literal["queued"] = "queued"


FORM: Final = {
    "type": "object",
    "properties": {"audio": {"type": "string", "description": "the file"}},
    "required": ["audio"],
}


@WADIAL.post(PATH, takes=FORM, takes_content="multipart/form-data", errors=(503,))
async def upload(context: Context) -> WadialAsset:
    """Keep a sound of up to 32 MB."""
    if not context.http.content_type.startswith("multipart/"):
        raise InvalidRequest("expected multipart/form-data with the field audio", field="audio")
    try:
        async with asyncio.timeout(UPLOAD_SECONDS):
            part = await _audio(context.http)
            with about_field("audio"):
                asset = await context[MEDIA].assets.add(
                    context.line,
                    _pieces(part),
                    filename=_file_name(part),
                    content_type=_content_type(part),
                )
    except TimeoutError:
        raise RequestTimeout("the upload did not arrive in time") from None
    except (ValueError, HttpProcessingError):
        raise InvalidRequest("the multipart body is damaged", field="audio") from None
    return _asset(asset)


@WADIAL.get(PATH, errors=(503,))
async def list_assets(context: Context) -> list[WadialAsset]:
    """List the kept sounds, the oldest first."""
    return [_asset(asset) for asset in await context[MEDIA].assets.list(context.line)]


@WADIAL.delete(PATH + "/{assetId}", errors=(404, 503))
async def delete(context: Context) -> AssetDeleted:
    """Delete a kept sound."""
    asset_id = context.path("assetId")
    await context[MEDIA].assets.delete(context.line, asset_id)
    return AssetDeleted(asset_id)


@WADIAL.post(CALL + "/audio/play", errors=(*OF_CALL, 503))
async def play(context: Context, body: PlayAsset) -> AssetPlayed:
    """Play a kept sound into a call."""
    line = line_of(context)
    sound = await context[MEDIA].assets.find(line, body.asset_id)
    runner = context.live_call()
    playback = await context[MEDIA].playbacks.play(runner, sound)
    context[RECORDS].recordings.automatic.capture(runner)
    return AssetPlayed(playback, body.asset_id)


@WADIAL.post(CALL + "/audio/stop", errors=OF_CALL)
async def stop(context: Context) -> Stopped:
    """Stop all that is played into a call."""
    line_of(context)
    return Stopped(context[MEDIA].playbacks.stop(context.live_call()))


async def _audio(request: web.Request) -> BodyPartReader:
    async with asyncio.timeout(BODY_SECONDS):
        async for part in await request.multipart():
            if isinstance(part, BodyPartReader) and part.name == "audio":
                return part
    raise InvalidRequest("missing audio in payload", field="audio")


def _file_name(part: BodyPartReader) -> str:
    """Return the name of the uploaded file without folders (RFC 7578 section 4.2); it is only shown."""
    name = (part.filename or "").replace("\\", "/").rpartition("/")[2] or "audio"
    if len(name) > MAX_FILE_NAME or not name.isprintable():
        raise wrong_field(
            "audio", f"expected a file name of at most {MAX_FILE_NAME} printable characters"
        )
    return name


def _content_type(part: BodyPartReader) -> str:
    kind = part.headers.get("Content-Type", "application/octet-stream")
    if len(kind) > MAX_CONTENT_TYPE:
        raise wrong_field("audio", f"its Content-Type is over {MAX_CONTENT_TYPE} characters")
    return kind


async def _pieces(part: BodyPartReader) -> AsyncIterator[bytes]:
    while piece := await part.read_chunk(PIECE):
        yield piece


def _asset(asset: Asset) -> WadialAsset:
    return WadialAsset(
        asset.asset_id,
        asset.filename,
        asset.content_type,
        asset.size_bytes,
        None if asset.duration is None else round(asset.duration * 1000),
        asset.created_at,
    )
