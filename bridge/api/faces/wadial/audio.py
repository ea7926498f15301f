"""WADial's audio assets, `/api/v1/call-audio-assets`, and how they are played into a call."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import BodyPartReader, web
from aiohttp.http import HttpProcessingError

from bridge.api.body import BODY_SECONDS, call_in_path, read_body
from bridge.api.faces.wadial.calls import CALL, line_of
from bridge.api.faces.wadial.words import success
from bridge.api.reads import RequestTimeout
from bridge.api.services import SERVICES
from bridge.errors import InvalidRequest, about_field
from bridge.media.assets import Asset

PATH = "/api/v1/call-audio-assets"
UPLOAD_SECONDS = 60.0
PIECE = 64 * 1024
MAX_FILE_NAME = 255
MAX_CONTENT_TYPE = 255


async def upload(request: web.Request) -> web.Response:
    """Keep the sound in the multipart field `audio`."""
    line = request.app[SERVICES].keys.line(request)
    if not request.content_type.startswith("multipart/"):
        raise InvalidRequest("expected multipart/form-data with the field audio", field="audio")
    try:
        async with asyncio.timeout(UPLOAD_SECONDS):
            part = await _audio(request)
            with about_field("audio"):
                asset = await request.app[SERVICES].assets.add(
                    line,
                    _pieces(part),
                    filename=_file_name(part),
                    content_type=_content_type(part),
                )
    except TimeoutError:
        raise RequestTimeout("the upload did not arrive in time") from None
    except (ValueError, HttpProcessingError):
        raise InvalidRequest("the multipart body is damaged", field="audio") from None
    return success(_asset(asset))


async def list_assets(request: web.Request) -> web.Response:
    """List the line's assets, the oldest first."""
    line = request.app[SERVICES].keys.line(request)
    return success([_asset(asset) for asset in await request.app[SERVICES].assets.list(line)])


async def delete(request: web.Request) -> web.Response:
    """Forget an asset."""
    line = request.app[SERVICES].keys.line(request)
    asset_id = request.match_info["assetId"]
    await request.app[SERVICES].assets.delete(line, asset_id)
    return success({"id": asset_id, "deleted": True})


async def play(request: web.Request) -> web.Response:
    """Play an asset into a call; URLs and files are not taken here."""
    line = line_of(request)
    asset_id = (await read_body(request)).text("assetId")
    sound = await request.app[SERVICES].assets.find(line, asset_id)
    playback = await request.app[SERVICES].playbacks.play(line, call_in_path(request), sound)
    request.app[SERVICES].recordings.automatic.capture(line, call_in_path(request))
    return success({"playbackId": playback, "assetId": asset_id, "status": "queued"})


async def stop(request: web.Request) -> web.Response:
    """Stop all that is played into a call."""
    stopped = request.app[SERVICES].playbacks.stop(line_of(request), call_in_path(request))
    return success({"stopped": stopped})


ROUTES = (
    web.post(PATH, upload),
    web.get(PATH, list_assets),
    web.delete(PATH + "/{assetId}", delete),
    web.post(CALL + "/audio/play", play),
    web.post(CALL + "/audio/stop", stop),
)


async def _audio(request: web.Request) -> BodyPartReader:
    async with asyncio.timeout(BODY_SECONDS):
        async for part in await request.multipart():
            if isinstance(part, BodyPartReader) and part.name == "audio":
                return part
    raise InvalidRequest("missing audio in payload", field="audio")


def _file_name(part: BodyPartReader) -> str:
    """Return the name of the uploaded file without folders (RFC 7578 section 4.2); it is only shown.

    Raises:
        InvalidRequest: it is too long, or holds control characters.
    """
    name = (part.filename or "").replace("\\", "/").rpartition("/")[2] or "audio"
    if len(name) > MAX_FILE_NAME or not name.isprintable():
        raise InvalidRequest(
            f"audio: expected a file name of at most {MAX_FILE_NAME} printable characters",
            field="audio",
        )
    return name


def _content_type(part: BodyPartReader) -> str:
    kind = part.headers.get("Content-Type", "application/octet-stream")
    if len(kind) > MAX_CONTENT_TYPE:
        raise InvalidRequest(
            f"audio: its Content-Type is over {MAX_CONTENT_TYPE} characters", field="audio"
        )
    return kind


async def _pieces(part: BodyPartReader) -> AsyncIterator[bytes]:
    while piece := await part.read_chunk(PIECE):
        yield piece


def _asset(asset: Asset) -> dict[str, Any]:
    milliseconds = None if asset.duration is None else round(asset.duration * 1000)
    return {
        "id": asset.asset_id,
        "filename": asset.filename,
        "contentType": asset.content_type,
        "sizeBytes": asset.size_bytes,
        "durationMs": milliseconds,
        "status": "ready",
        "createdAt": asset.created_at,
    }
