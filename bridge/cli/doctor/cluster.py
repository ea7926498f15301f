"""The other machines of `[cluster]`: who is registered, and whether they answer and take our signature."""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp
import msgspec
from yarl import URL

from bridge.app.cluster import client_tls
from bridge.cli.doctor.findings import Finding, failed, ok, warning
from bridge.cli.doctor.runner import Surroundings
from bridge.cluster.host import known_machine_id
from bridge.cluster.siblings import IDENTITY_PATH, REFUSED, NodeIdentity
from bridge.cluster.transports import NetworkTransport
from bridge.db.database import wall_time
from bridge.db.postgres import Postgres
from bridge.errors import DatabaseFailed, SettingsError, SetupError
from bridge.http.address_guard import read_address
from bridge.http.listener import open_listeners
from bridge.http.node_signature import NodeSigner, RowSigner
from bridge.settings.cluster import Cluster
from bridge.stores.nodes import Lease, Member
from bridge.wire.node_signature import HEADER, Request

URL_SETTING: Final = "cluster.url"
ANSWER_SECONDS: Final = 4.0
STATEMENT_SECONDS: Final = 5.0
MAX_ASKED: Final = 64
"""Nodes that are asked; those after them, by number, are left out."""
MAX_BYTES: Final = 1024
_LIVING: Final = """
SELECT node, boot, machine, url, lease_until, coalesce(to_jsonb(nodes)->>'signature', '') FROM nodes
WHERE ended_at IS NULL AND (lease_until IS NULL OR lease_until > ?) ORDER BY node
"""
"""A database whose last bridge was an older one has no signatures."""


@dataclass(frozen=True, slots=True)
class Registered:
    """The nodes that the database knows, and its time."""

    members: list[Member]
    ahead_seconds: float
    """By how much the database's clock is ahead of this machine's."""


class Refused(msgspec.Struct):
    """Why a machine does not take a signature."""

    error: str


@dataclass(frozen=True, slots=True)
class Answer:
    """How a machine has answered for one of its nodes."""

    member: Member
    refusal: str = ""
    """Why the signature was not accepted, in the machine's own words."""
    failure: str = ""
    """Why there was no answer, or not that of the process that is registered."""


async def check_cluster(around: Surroundings) -> list[Finding]:
    """Ask every machine that is registered, this one too, for its identity."""
    settings, cluster = around.settings, around.settings.cluster
    if not cluster.url:
        return [ok("cluster.url is empty: the bridge runs on one machine")]
    found = evaluate_url(cluster)
    try:
        tls = client_tls(cluster)
    except SettingsError as error:
        return [*found, failed(str(error), setting="cluster.tls_cert", fix="correct them")]
    if not around.running:
        found.append(await asyncio.to_thread(try_port, cluster))
    try:
        rows = RowSigner(cluster.secret, cluster.former_secret)
        known = await asyncio.to_thread(registered, settings.data.url, rows)
    except (DatabaseFailed, SetupError):
        text = "the other machines are not known, as the database cannot be read"
        return [*found, warning(text, fix="see the check of the database")]
    signer = NodeSigner(
        node=0,
        boot="",
        secret=cluster.secret,
        now=lambda: wall_time() + known.ahead_seconds,
    )
    transport = NetworkTransport(signer, tls)
    try:
        asked = known.members[:MAX_ASKED]
        answers = await asyncio.gather(*(ask(member, transport) for member in asked))
    finally:
        await transport.aclose()
    own = await asyncio.to_thread(known_machine_id, Path(settings.data.dir))
    return [*found, *evaluate(answers, own=own, running=around.running, cluster=cluster)]


def evaluate_url(cluster: Cluster) -> list[Finding]:
    """Return a warning if others may read what the machines send each other."""
    address = read_address(cluster.host)
    if address is None or not address.is_global or cluster.url.startswith("https:"):
        return []
    return [
        warning(
            f"{cluster.host} is a public address, and what goes there is signed but not encrypted",
            setting=URL_SETTING,
            fix="use a private address, or https with cluster.tls_cert, tls_key and tls_ca; close the port "
            "to all but the other machines",
        )
    ]


def try_port(cluster: Cluster) -> Finding:
    """Return whether the bridge could listen at `cluster.url`."""
    try:
        listeners = open_listeners(cluster.host, cluster.port, settings=URL_SETTING)
    except SettingsError as error:
        return failed(
            str(error),
            setting=URL_SETTING,
            fix="name an address of this machine, and a port that nobody uses",
        )
    for listener in listeners:
        listener.close()
    return ok(f"{cluster.url} can be listened on")


def registered(url: str, signer: RowSigner) -> Registered:
    """Return the nodes that live, by the database, without the URLs that no machine has signed; blocks.

    Raises:
        SetupError, DatabaseFailed: it cannot be read.
    """
    session = Postgres(url, statement_seconds=STATEMENT_SECONDS).connect()
    try:
        [there] = session.execute("SELECT to_regclass('nodes') IS NOT NULL").fetchone()
        now = session.now()
        rows = session.execute(_LIVING, (now,)).fetchall() if there else []
        ahead = now - wall_time()
    finally:
        session.close()
    found = (
        Lease(Member(node=node, boot=boot, machine=on, url=at), until, signature)
        for node, boot, on, at, until, signature in rows
    )
    leases = [one if one.signed(signer) else one.without_url() for one in found]
    return Registered([one.member for one in leases], ahead)


async def ask(member: Member, transport: NetworkTransport) -> Answer:
    """Ask a machine for the identity of one of its nodes."""
    if not member.url:
        return Answer(member, failure="it is registered without a cluster.url signed by our secret")
    headers = transport.headers(member, Request("GET", IDENTITY_PATH))
    url = URL(f"{transport.base(member)}{IDENTITY_PATH}")
    try:
        async with (
            asyncio.timeout(ANSWER_SECONDS),
            transport.session(member, own=True).get(
                url, headers=headers, allow_redirects=False
            ) as answer,
        ):
            body = await answer.content.read(MAX_BYTES)
    except TimeoutError:
        return Answer(member, failure=f"no answer within {ANSWER_SECONDS:.0f} s")
    except (aiohttp.ClientError, OSError) as error:
        return Answer(member, failure=getattr(error, "strerror", None) or type(error).__name__)
    try:
        if answer.status == REFUSED and HEADER in answer.headers:
            return Answer(member, refusal=msgspec.json.decode(body, type=Refused).error)
        boot = msgspec.json.decode(body, type=NodeIdentity).boot
    except msgspec.DecodeError:
        return Answer(member, failure="something answers there that is no bridge")
    return Answer(member, failure="" if boot == member.boot else "another process answers for it")


def evaluate(
    answers: Iterable[Answer], *, own: str, running: bool, cluster: Cluster
) -> Iterator[Finding]:
    """Return for each machine how it has answered; `own` is this one's id."""
    machines: dict[str, list[Answer]] = {}
    for answer in answers:
        machines.setdefault(answer.member.machine, []).append(answer)
    for url, sharing in _shared(machines).items():
        yield failed(
            f"{sharing} machines are registered at {url}",
            setting=URL_SETTING,
            fix="give each machine its own address in cluster.url",
        )
    if running and own not in machines:
        yield failed(
            "the bridge runs here, but the database of data.url does not know it",
            setting="data.url, data.dir",
            fix="run the doctor with the same --config and environment as the bridge",
        )
    for machine, of_it in machines.items():
        here = machine == own
        if here and not running:
            continue  # its lease has not run out yet
        yield _evaluate_machine(of_it, "this machine" if here else "the machine", cluster)
    if not machines.keys() - {own}:
        yield ok("no other machine is registered in the database")


def _evaluate_machine(answers: list[Answer], which: str, cluster: Cluster) -> Finding:
    at = f"{which} at {answers[0].member.url or 'an unknown address'}"
    numbers = ", ".join(str(answer.member.node) for answer in answers)
    nodes = f"node {numbers}" if len(answers) == 1 else f"nodes {numbers}"
    worst = next((one for one in answers if one.refusal), None)
    if worst is not None:
        return failed(
            f"{at} ({nodes}) does not take our signature: {worst.refusal}",
            setting="cluster.secret",
            fix="set the same cluster.secret on all machines; while it is changed, the new one as "
            "cluster.former_secret first",
        )
    silent = next((one for one in answers if one.failure), None)
    if silent is not None:
        return failed(
            f"{at} (node {silent.member.node}): {silent.failure}",
            setting=URL_SETTING,
            fix="does the bridge run there, is that its address, and do firewalls let this machine reach "
            f"the port? Machines must reach {cluster.url} too",
        )
    return ok(f"{at} answers, and its secret agrees ({nodes})")


def _shared(machines: dict[str, list[Answer]]) -> dict[str, int]:
    """Return by how many machines a URL is named, where it is more than one."""
    named: dict[str, set[str]] = {}
    for machine, answers in machines.items():
        for answer in answers:
            named.setdefault(answer.member.url, set()).add(machine)
    return {url: len(those) for url, those in named.items() if url and len(those) > 1}
