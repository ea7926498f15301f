"""Meta's webhook, and the permission to call somebody."""

import logging
from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec
from aiohttp import web
from msgspec import Struct

from bridge.api.server.body import read_bytes
from bridge.api.server.fields import Phone, Timestamp, field
from bridge.api.server.operation import FILE, NOBODY, Context, Group
from bridge.api.server.reads import read_at_most
from bridge.api.server.services import ACCESS, CLUSTER, CONTROL, LINES
from bridge.cluster.siblings import Siblings
from bridge.errors import Forbidden, NotFound, RequestTimeout, Unauthorized
from bridge.providers.cloud.provider import CloudProvider, UnknownCall
from bridge.wire.cloud import challenge, parse, verify_signature
from bridge.wire.iso8601 import iso8601

log = logging.getLogger(__name__)

NODE_PATH: Final = "/node/whatsapp"
"""Where nodes forward webhooks about calls that they do not have."""
MAX_WEBHOOK_BYTES: Final = 4 * 1024 * 1024
"""Meta sends up to a thousand events at once."""
MAX_WEBHOOKS_BYTES: Final = 16 * MAX_WEBHOOK_BYTES
"""For all that are being read at once: thousands of Meta's common ones, few of the largest."""
BAD_SIGNATURE: Final = "whatsapp.bad_signature"
MAX_TEXT: Final = 1024


GROUP: Final = Group(name="WhatsApp and gateways")


class Challenge(Struct):
    """What Meta sends to verify an address."""

    mode: str = msgspec.field(name="hub.mode", default="")
    verify_token: str = msgspec.field(name="hub.verify_token", default="")
    challenge: str = msgspec.field(name="hub.challenge", default="")


class PermissionQuery(Struct):
    """Whose permission to return."""

    phone: Annotated[Phone, field(spellings=("Phone",))]


class PermissionRequest(Struct):
    """Whom to ask, and how."""

    phone: Annotated[Phone, field(spellings=("Phone",))]
    text: Annotated[str, field("cut off at 1024 characters")] = ""
    template: dict[str, Any] | None = None


class PermissionReply(Struct, rename="camel"):
    """What somebody answered."""

    granted: bool
    permanent: bool
    at: Timestamp | None
    expires_at: Timestamp | None


class PermissionState(Struct, rename="camel"):
    """What Meta says, and what they last answered."""

    status: str
    expires_at: Timestamp | None
    may_call: bool
    may_ask: bool
    last_reply: PermissionReply | None


class Permission(Struct):
    """Whether somebody may be called."""

    permission: PermissionState


class MessageSent(Struct, rename="camel"):
    """The message with the request."""

    message_id: str


@GROUP.get("/whatsapp/webhook", auth=NOBODY, content="text/plain", gives=FILE)
async def verify(context: Context, query: Challenge) -> web.Response:
    """Prove to Meta that this address is ours."""
    lines = context[LINES].cloud.lines.values()
    given = {f"hub.{name}": text for name, text in msgspec.structs.asdict(query).items()}
    answers = (challenge(given, line.verify_token) for line in lines)
    answer = next((answer for answer in answers if answer is not None), None)
    if answer is None:
        context[ACCESS].unauthenticated.wrong_key(context.http)
        raise Forbidden("the verify token is not that of any line (whatsapp.verify_token)")
    log.info("whatsapp.webhook_verified")
    return web.Response(text=answer)


@GROUP.post(
    "/whatsapp/webhook",
    auth=NOBODY,
    takes={"type": "object"},
    content="text/plain",
    gives=FILE,
    errors=(401, 404),
)
async def webhook(context: Context) -> web.Response:
    """Receive Meta's webhook, signed in `X-Hub-Signature-256` or the line's `whatsapp.signature_header`."""
    body, numbers = await _signed(context.http)
    provider = context[LINES].cloud
    elsewhere = provider.handle_webhook(parse(body), context[CONTROL].manager, numbers=numbers)
    if elsewhere and (siblings := context[CLUSTER].siblings) is not None:
        # Only the node that has a call knows it by Meta's id.
        headers, names = context.http.headers, _signature_headers(context.http)
        signatures = {name: headers[name] for name in names if name in headers}
        work = _forward(provider, siblings, body, signatures, elsewhere)
        provider.calls.tasks.spawn(work, name="forward a webhook")
    return web.Response(text="ok")


@GROUP.get("/call/permission", errors=(409, 502, 503))
async def permission(context: Context, query: PermissionQuery) -> Permission:
    """Return whether Meta lets the line call somebody, and what they last answered."""
    cloud = context[LINES].cloud
    found = await cloud.graph(context.line).permission(query.phone)
    reply = await cloud.calls.store.reply(context.line, query.phone)
    shown = None
    if reply is not None:
        at, until = iso8601(reply.at or None), iso8601(reply.expires_at or None)
        shown = PermissionReply(reply.granted, reply.permanent, at, until)
    until = iso8601(found.expires_at or None)
    state = PermissionState(found.status, until, found.may_call, found.may_ask, shown)
    return Permission(state)


@GROUP.post("/call/permission", errors=(409, 502, 503))
async def ask_permission(context: Context, body: PermissionRequest) -> MessageSent:
    """Ask somebody to permit calls, in the caller's words or with a template."""
    graph = context[LINES].cloud.graph(context.line)
    message = await graph.ask_permission(
        body.phone, text=body.text[:MAX_TEXT], template=body.template
    )
    return MessageSent(message)


async def sibling_webhook(request: web.Request) -> web.Response:
    """Handle a webhook that another node received; return the calls not known here either."""
    body = await read_bytes(request, MAX_WEBHOOK_BYTES)
    numbers = _signed_numbers(request, body)
    unknown = request.app[LINES].cloud.handle_webhook(
        parse(body), request.app[CONTROL].manager, numbers=numbers, forwarded=True
    )
    return web.json_response(sorted(unknown))


async def _signed(request: web.Request) -> tuple[bytes, frozenset[str]]:
    """Read a body, and return the numbers whose app has signed it.

    Raises:
        NotFound: no line uses the Cloud API.
        Unauthorized: no line's app has signed it; without a signature nothing is read.
        PayloadTooLarge, RequestTimeout: of the body.
    """
    if not request.app[LINES].cloud.lines:
        raise NotFound('no line has whatsapp.provider = "cloud"')
    unauthenticated = request.app[ACCESS].unauthenticated
    names = _signature_headers(request)
    if not any(name in request.headers for name in names):
        unauthenticated.refuse(request, "no_signature", event=BAD_SIGNATURE)
        raise Unauthorized(f"Meta's webhooks have the header {' or '.join(names)}")
    try:
        length = request.content_length
        size = MAX_WEBHOOK_BYTES if length is None else min(length, MAX_WEBHOOK_BYTES)
        async with request.app[ACCESS].webhook_reads.turn(size):
            body = await read_at_most(request, MAX_WEBHOOK_BYTES)
            if numbers := _signed_numbers(request, body):
                return body, numbers
            unauthenticated.refuse(request, "bad_signature", event=BAD_SIGNATURE)
            raise Unauthorized("the signature is not that of any line (whatsapp.app_secret)")
    except RequestTimeout:
        unauthenticated.refuse(request, "slow_body")
        raise


def _signed_numbers(request: web.Request, body: bytes) -> frozenset[str]:
    """Return Meta's ids of the numbers whose app has signed a body."""
    lines = request.app[LINES].cloud.lines
    signers = {(line.signature_header, line.app_secret) for line in lines.values()}
    signed = {
        (name, secret)
        for name, secret in signers
        if verify_signature(body, request.headers.get(name, ""), secret)
    }
    return frozenset(
        line.phone_number_id
        for line in lines.values()
        if (line.signature_header, line.app_secret) in signed
    )


def _signature_headers(request: web.Request) -> list[str]:
    """Return the names of the headers in which webhooks are signed."""
    lines = request.app[LINES].cloud.lines.values()
    return sorted({line.signature_header for line in lines})


async def _forward(
    provider: CloudProvider,
    siblings: Siblings,
    body: bytes,
    signatures: Mapping[str, str],
    unknown: frozenset[UnknownCall],
) -> None:
    for node in siblings.others():
        answer = await siblings.request(node, NODE_PATH, signatures, body)
        if answer is not None:
            missing = msgspec.json.decode(answer, type=frozenset[tuple[str, str]])
            provider.mark_known_elsewhere(call for call in unknown if call not in missing)
