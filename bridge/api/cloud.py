"""Meta's webhook, and the permission to call somebody."""

import logging
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from aiohttp import web

from bridge.api import render
from bridge.api.body import PHONE, Body, read_body
from bridge.api.reads import RequestTimeout, read_at_most
from bridge.api.services import SERVICES
from bridge.errors import Forbidden, NotFound, Unauthorized
from bridge.net.siblings import Siblings
from bridge.providers.cloud.provider import CloudProvider, UnknownCall
from bridge.wire.cloud import SIGNATURE_HEADER, challenge, parse, verify_signature
from bridge.wire.iso8601 import iso8601

log = logging.getLogger(__name__)

NODE_PATH: Final = "/node/whatsapp"
"""Where nodes give each other webhooks about calls that they do not have."""
MAX_WEBHOOK_BYTES: Final = 4 * 1024 * 1024
"""Meta sends up to a thousand events at once."""
MAX_WEBHOOKS_BYTES: Final = 16 * MAX_WEBHOOK_BYTES
"""Of all that are being read: thousands of Meta's common ones, few of what strangers may send."""
BAD_SIGNATURE: Final = "whatsapp.bad_signature"
MAX_TEXT: Final = 1024


async def verify(request: web.Request) -> web.Response:
    """Prove to Meta that this address is ours."""
    answer = next(
        (
            answer
            for line in _provider(request).lines.values()
            if (answer := challenge(request.query, line.verify_token)) is not None
        ),
        None,
    )
    if answer is None:
        request.app[SERVICES].unauthenticated.wrong_key(request)
        raise Forbidden("the verify token is not that of any line (whatsapp.verify_token)")
    log.info("whatsapp.webhook_verified")
    return web.Response(text=answer)


async def webhook(request: web.Request) -> web.Response:
    """Take what Meta tells: answer at once, work after."""
    body, numbers = await _signed(request)
    provider = _provider(request)
    elsewhere = provider.handle_webhook(parse(body), request.app[SERVICES].manager, numbers=numbers)
    siblings = request.app[SERVICES].siblings
    if elsewhere and siblings is not None:
        # Only the node that has a call knows it by Meta's id.
        work = _pass_on(provider, siblings, body, request.headers[SIGNATURE_HEADER], elsewhere)
        provider.spawn(work, name="pass a webhook on")
    return web.Response(text="ok")


async def sibling_webhook(request: web.Request) -> web.Response:
    """Take what Meta told another node; return the calls not known here either."""
    body = await read_at_most(request, MAX_WEBHOOK_BYTES)
    numbers = _signed_numbers(request, body)
    strange = _provider(request).handle_webhook(
        parse(body), request.app[SERVICES].manager, numbers=numbers, forwarded=True
    )
    return web.json_response(sorted(strange))


async def permission(request: web.Request) -> web.Response:
    """Say whether somebody may be called: what Meta says, and what they last answered."""
    line = request.app[SERVICES].keys.line(request)
    number = Body(dict(request.query)).phone(*PHONE)
    found, reply = await _provider(request).permission(line, number)
    told: dict[str, Any] = {
        "status": found.status,
        "expiresAt": _moment(found.expires_at),
        "mayCall": found.may_call,
        "mayAsk": found.may_ask,
        "lastReply": None,
    }
    if reply is not None:
        told["lastReply"] = {
            "granted": reply.granted,
            "permanent": reply.permanent,
            "at": _moment(reply.at),
            "expiresAt": _moment(reply.expires_at),
        }
    return render.success({"permission": told})


async def ask_permission(request: web.Request) -> web.Response:
    """Ask somebody to permit calls, in words of the caller's or with a template."""
    line = request.app[SERVICES].keys.line(request)
    body = await read_body(request)
    message = await _provider(request).ask_permission(
        line,
        body.phone(*PHONE),
        text=(body.optional_text("text") or "")[:MAX_TEXT],
        template=body.optional_object("template"),
    )
    return render.success({"messageId": message})


ROUTES = (
    web.get("/whatsapp/webhook", verify),
    web.post("/whatsapp/webhook", webhook),
    web.get("/call/permission", permission),
    web.post("/call/permission", ask_permission),
)
NODE_ROUTES = (web.post(NODE_PATH, sibling_webhook),)


def _provider(request: web.Request) -> CloudProvider:
    return request.app[SERVICES].cloud


async def _signed(request: web.Request) -> tuple[bytes, frozenset[str]]:
    """Read a body, and return the numbers whose app has signed it.

    Raises:
        NotFound: no line is Meta's.
        Unauthorized: it is signed by nobody we know; without a signature nothing is read.
        PayloadTooLarge, RequestTimeout: of the body.
    """
    if not _provider(request).lines:
        raise NotFound('no line has whatsapp.provider = "cloud"')
    strangers = request.app[SERVICES].unauthenticated
    if SIGNATURE_HEADER not in request.headers:
        strangers.refuse(request, "no_signature", event=BAD_SIGNATURE)
        raise Unauthorized(f"Meta's webhooks have the header {SIGNATURE_HEADER}")
    try:
        length = request.content_length
        size = MAX_WEBHOOK_BYTES if length is None else min(length, MAX_WEBHOOK_BYTES)
        async with request.app[SERVICES].webhook_reads.turn(size):
            body = await read_at_most(request, MAX_WEBHOOK_BYTES)
    except RequestTimeout:
        strangers.refuse(request, "slow_body")
        raise
    numbers = _signed_numbers(request, body)
    if not numbers:
        strangers.refuse(request, "bad_signature", event=BAD_SIGNATURE)
        raise Unauthorized("the signature is not that of any line (whatsapp.app_secret)")
    return body, numbers


def _signed_numbers(request: web.Request, body: bytes) -> frozenset[str]:
    """Return Meta's ids of the numbers whose app has signed a body."""
    lines = _provider(request).lines
    header = request.headers.get(SIGNATURE_HEADER, "")
    secrets = {line.app_secret for line in lines.values()}
    signers = {secret for secret in secrets if verify_signature(body, header, secret)}
    return frozenset(line.phone_number_id for line in lines.values() if line.app_secret in signers)


async def _pass_on(
    provider: CloudProvider,
    siblings: Siblings,
    body: bytes,
    signature: str,
    strange: frozenset[UnknownCall],
) -> None:
    for node in siblings.others():
        headers = {SIGNATURE_HEADER: signature}
        answer = await siblings.post(node, NODE_PATH, headers=headers, body=body)
        if answer is not None:
            not_there = msgspec.json.decode(answer, type=frozenset[tuple[str, str]])
            provider.mark_known_elsewhere(call for call in strange if call not in not_there)


def _moment(unix: float | None) -> str | None:
    return iso8601(datetime.fromtimestamp(unix, UTC)) if unix else None
