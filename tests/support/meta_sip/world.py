"""A bridge whose line's WhatsApp calls go over SIP, beside a double of Meta's server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from bridge.settings.model import Line, LineSip, Sip, WhatsApp
from tests.support.inprocess import Client, running, settings
from tests.support.machine import free_port
from tests.support.meta_sip.behaviour import Account, Behaviour
from tests.support.meta_sip.double import MetaSip
from tests.support.servers.authority import Authority
from tests.support.waiting import until_answer
from tests.support.whatsapp.graph_double import NUMBER_ID, SECRET, TOKEN, VERIFY


class World:
    """Both, and the authority that has signed their certificates."""

    def __init__(self, client: Client, meta: MetaSip, authority: Authority) -> None:
        self.client, self.meta, self.authority = client, meta, authority

    async def call(self) -> dict[str, Any]:
        """Wait for the bridge's first call."""
        await until_answer(self.client.calls)
        return (await self.client.calls())[0]


@asynccontextmanager
async def meta_beside(
    *, media: Any = "sdes", behaviour: Behaviour | None = None, **form: Any
) -> AsyncIterator[tuple[MetaSip, Authority, dict[str, Any]]]:
    """Run the double; gives it, the authority, and the settings of a bridge beside it (`lines` and `sip`)."""
    with TemporaryDirectory(prefix="meta-sip-") as folder:
        authority = Authority(Path(folder))
        account = Account(free_port("127.0.0.1"))
        own = authority.issue(host=account.hostname, prefix="bridge-")
        double = MetaSip(authority, account, media=media, behaviour=behaviour, **form)
        async with double as meta:
            whatsapp = WhatsApp(
                provider="cloud", phone_number_id=NUMBER_ID, access_token=TOKEN, app_secret=SECRET,
                verify_token=VERIFY, base_url="http://127.0.0.1:1", signalling="sip",
                media=media, sip_password=account.password, sip_hostname=account.hostname,
                sip_server=f"127.0.0.1:{meta.port}",
            )  # fmt: skip
            line = Line(keys=["demo"], numbers=[account.business], whatsapp=whatsapp)
            sip = Sip(
                listen=[f"tls:127.0.0.1:{account.port}"],
                tls_cert=own.tls_cert,
                tls_key=own.tls_key,
                tls_ca=str(authority.path),
            )
            yield meta, authority, {"lines": {"main": line}, "sip": sip}


@asynccontextmanager
async def world(*, trunk: LineSip | None = None, **more: Any) -> AsyncIterator[World]:
    """Run both; `trunk` is the line's to the telephone network, and `more` is of `meta_beside`."""
    async with meta_beside(**more) as (meta, authority, chosen):
        chosen["lines"]["main"] = msgspec.structs.replace(chosen["lines"]["main"], sip=trunk)
        async with running(settings(**chosen)) as client:
            yield World(client, meta, authority)
    assert meta.complaints == []
