"""Tickets for one party of a call, and the JWTs that stand in for them on the paths of LiveKit's SDKs."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from aiohttp import web

from bridge.call.model import LineName
from bridge.errors import Forbidden, Unauthorized
from bridge.wire import signed_link
from bridge.wire.call_id import native
from bridge.wire.livekit import access_token
from bridge.wire.ticket import Ticket, read, shown_name, sign


class Tickets:
    """Issues and verifies tickets, and verifies JWTs."""

    def __init__(self, secret: bytes, pairs: Mapping[LineName, tuple[str, str]]) -> None:
        """`secret` signs tickets; `pairs` are API key and secret of the lines that have such, each key of one line."""
        self._secret = secret
        self._lines = {key: line for line, (key, _) in pairs.items()}
        self._api_secrets = dict(pairs.values())

    def issue(  # noqa: PLR0913  (all but three by keyword)
        self,
        line: LineName,
        call_id: str,
        seconds: int,
        *,
        party: str,
        identity: str,
        name: str = "",
        machine: bool = False,
    ) -> tuple[str, datetime]:
        """Return a ticket for one party of a call of the line, and when it expires; `machine` says whether that is a bot."""
        expires = (datetime.now(UTC) + timedelta(seconds=seconds)).replace(microsecond=0)
        until = int(expires.timestamp())
        ticket = Ticket(
            line,
            native(call_id) or call_id,
            until,
            party,
            identity,
            shown_name(name),
            machine=machine,
        )
        return sign(ticket, self._secret), expires

    def read(self, credential: bytes, *, sdk: bool = False) -> Ticket | None:
        """Return a ticket; None for any other credential.

        From an SDK it may be a JWT, whose ticket names no party, and may have expired.

        Raises:
            WrongKey: it is a JWT that none of our lines has signed.
            Unauthorized: it has expired, or is a JWT that opens no room.
        """
        text, now = credential.decode(errors="replace"), datetime.now(UTC).timestamp()
        ticket = read(text, self._secret)
        if ticket is None and sdk and text.count(".") == 2:  # as JWTs have
            return self._read_jwt(text, now)
        if ticket is not None and not sdk and ticket.expires <= now:
            raise Unauthorized("this ticket has expired; ask for another one")
        return ticket

    def _read_jwt(self, text: str, now: float) -> Ticket:
        token = access_token.verify(text, self._api_secrets)
        access_token.check(token, now=now)
        room, grants = token.grants.room, token.grants
        return Ticket(
            line=self._lines[token.issuer],
            call_id=native(room) or room,
            expires=int((token.expires or 0) + access_token.LEEWAY),
            party="",
            identity=token.identity,
            name=shown_name(token.name),
            publishes=grants.publishes,
            subscribes=grants.subscribes,
            machine=token.machine,
        )

    def link(self, path: str, seconds: int) -> str:
        """Return a path with the signed query that stands in for a key."""
        return signed_link.sign(path, int(datetime.now(UTC).timestamp()) + seconds, self._secret)

    def check_link(self, request: web.Request) -> None:
        """Verify a signed link.

        Raises:
            Forbidden: it is not signed for this path, or has expired.
        """
        now = datetime.now(UTC).timestamp()
        if not signed_link.verify(request.path, request.query, self._secret, now=now):
            raise Forbidden("this link is not valid or has expired; ask for another one")
