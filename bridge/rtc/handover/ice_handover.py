"""A connection with a nominated pair as data, and one that goes on from it: no check is needed again."""

import socket
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Final

from aioice import Candidate
from aioice.ice import CandidatePair

from bridge.errors import HandoverRefused, LegError
from bridge.rtc import private_api
from bridge.rtc.ice import IceConnection
from bridge.rtc.ports import PortPool
from bridge.wire.snapshot.peer import IceSnapshot

_MAX_PORT: Final = 65_535
_MAX_PRIORITY: Final = 0xFFFF_FFFF


def ice_snapshot(connection: IceConnection) -> IceSnapshot:
    """Return what another connection on the same sockets goes on with.

    Raises:
        HandoverRefused: no pair is nominated.
    """
    pair = private_api.nominated(connection)
    ufrag, pwd = connection.remote_username, connection.remote_password
    if pair is None or ufrag is None or pwd is None:
        raise HandoverRefused("no pair of addresses is in use")
    return IceSnapshot(
        ufrag=connection.local_username,
        pwd=connection.local_password,
        remote_ufrag=ufrag,
        remote_pwd=pwd,
        remote_lite=connection.remote_is_lite,
        controlling=connection.ice_controlling,
        tie_breaker=private_api.tie_breaker(connection),
        local=[one.to_sdp() for one in connection.local_candidates],
        nominated=private_api.protocols(connection).index(pair.protocol),
        remote=pair.remote_candidate.to_sdp(),
        verified=[(*address, at) for address, at in connection.verified.addresses.items()],
        checks_received=connection.checks_received,
        responses_received=connection.responses_received,
        public_candidates=connection.public_candidates,
    )


def restore_ice(
    connection: IceConnection,
    snapshot: IceSnapshot,
    sockets: Sequence[socket.socket],
    pool: PortPool,
) -> None:
    """Let a new connection go on with sockets that another process has bound, which are its own afterwards.

    Raises:
        HandoverRefused: the sockets are not those, or cannot be polled; they are the caller's.
    """
    try:
        local, remote = [_candidate(one) for one in snapshot.local], _candidate(snapshot.remote)
        for host, _, _ in snapshot.verified:
            ip_address(host)
    except ValueError:
        raise HandoverRefused("a candidate address of a leg is no IP address") from None
    names = [(one.host, one.port) for one in local]
    if not names or names != [sock.getsockname()[:2] for sock in sockets]:
        raise HandoverRefused("the media sockets of a leg are missing")
    if not 0 <= snapshot.nominated < len(names):
        raise HandoverRefused("the pair of addresses in use is missing")
    private_api.set_credentials(connection, snapshot.ufrag, snapshot.pwd)
    connection.remote_username = snapshot.remote_ufrag
    connection.remote_password = snapshot.remote_pwd
    connection.remote_is_lite = snapshot.remote_lite
    connection.checks_received = snapshot.checks_received
    connection.responses_received = snapshot.responses_received
    connection.public_candidates = snapshot.public_candidates
    for host, port, at in snapshot.verified:
        connection.verified.addresses[host, port] = at
    try:
        connection.listen(sockets, local, pool)
    except LegError as error:
        raise HandoverRefused("a media socket of a leg cannot be polled") from error
    used = private_api.protocols(connection)[snapshot.nominated]
    pair = CandidatePair(used, remote)
    private_api.restore_pair(connection, pair, local, snapshot.tie_breaker)
    connection.route = used.transport, pair.remote_addr
    private_api.start_consent(connection)


def _candidate(text: str) -> Candidate:
    """Return a candidate; raises `ValueError` for none."""
    found = Candidate.from_sdp(text)
    ip_address(found.host)
    if not 0 < found.port <= _MAX_PORT or not 0 <= found.priority <= _MAX_PRIORITY:
        raise ValueError("a candidate has an impossible number")
    return found
