"""WhatsApp lines whose calls go over Meta's SIP interface: what Meta has to know of them, is told, and does know."""

import asyncio
import ssl
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from bridge.cli.certificate import Certificate, connect, handshake
from bridge.cli.steps import Report
from bridge.errors import SettingsError, SetupError
from bridge.http.interfaces import read_addresses
from bridge.http.resolver import LookupFailed, Resolver
from bridge.settings.model import Settings
from bridge.settings.sip import DEFAULT_PORTS, read_listen
from bridge.settings.stored import sip_password_file, store
from bridge.whatsapp.graph import Graph

BLOCKED: Final = "BLOCKED"
CAN_RECEIVE: Final = "can_receive_call_sip"


class SipLine:
    """One line, as its settings and Meta have it.

    Each check returns what it found, or raises the `BridgeError` that says what to mend.
    """

    def __init__(
        self,
        settings: Settings,
        name: str,
        graph: Graph,
        *,
        dns: Resolver,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        """Set it up; `trust` is what Meta trusts, by default what this machine trusts."""
        self.line = settings.lines[name].whatsapp
        self._name = name
        self._sip = settings.sip
        self._graph = graph
        self._dns = dns
        self._trust = trust

    @property
    def port(self) -> int:
        """The first port of `sip.listen` with TLS."""
        listened = map(read_listen, self._sip.listen)
        ports = (each.port for each in listened if each.transport == "tls")
        return next(ports, DEFAULT_PORTS["tls"])

    async def certificate(self) -> str:
        """Check the files of `sip.tls_cert` as Meta would see them."""
        host = self.line.sip_hostname
        try:
            seen = await asyncio.to_thread(handshake, self._sip, host, self._trust)
        except OSError as error:
            why = error.strerror or error
            raise SettingsError(f"sip.tls_cert and sip.tls_key cannot be used: {why}") from None
        return self._evaluate(seen, "sip.tls_cert")

    async def settings(self) -> str:
        """Compare what Meta has with the line's settings."""
        calling = _object((await self._graph.settings()).get("calling"))
        found = list(self._differences(calling))
        if found:
            raise SettingsError(
                f"{'; '.join(found)}. `media-bridge whatsapp sip-setup {self._name}` sets it"
            )
        port = _server(calling).get("port", DEFAULT_PORTS["tls"])
        forwarded = "" if str(port) == str(self.port) else f", which must lead to {self.port} here"
        return f"Meta connects to {self.line.sip_hostname}, port {port}{forwarded}, with {self._protocol}"

    async def password(self) -> str:
        """Compare `sip_password` with Meta's."""
        if await self.password_at_meta() != self.line.sip_password:
            raise SettingsError(
                f"lines.{self._name}.whatsapp.sip_password is not the number's at Meta: take it out of the "
                f"settings, run `media-bridge whatsapp sip-setup {self._name}`, and restart the bridge"
            )
        return "sip_password is the number's at Meta"

    async def password_at_meta(self) -> str:
        """Return the number's SIP password."""
        calling = _object((await self._graph.settings(credentials=True)).get("calling"))
        password = _server(calling).get("sip_user_password")
        if not isinstance(password, str) or not password:
            raise SettingsError(
                "Meta tells no SIP password: the access_token must be of the app that has set the "
                "SIP server, with whatsapp_business_messaging and whatsapp_business_management"
            )
        return password

    async def health(self) -> str:
        """Ask Meta whether it can bring calls here."""
        answer = await self._graph.get("", {"fields": "health_status"})
        entities = _objects(_object(answer.get("health_status")).get("entities"))
        states = [entity for entity in entities if CAN_RECEIVE in entity]
        if not states:
            return f"Meta tells nothing of {CAN_RECEIVE}"
        blocked = [entity for entity in states if entity[CAN_RECEIVE] == BLOCKED]
        if blocked:
            why = "; ".join(_reasons(entity) for entity in blocked)
            raise SettingsError(
                f"Meta brings no calls over SIP ({CAN_RECEIVE} is {BLOCKED}): {why}"
            )
        return f"{CAN_RECEIVE} is {', '.join(str(each[CAN_RECEIVE]) for each in states)}"

    async def reach(self, *, running: bool) -> str:
        """Connect to `sip_hostname` as Meta does, if that is an address of this machine.

        Args:
            running: whether it is a fault that nobody listens there.
        """
        host = self.line.sip_hostname
        try:
            addresses = await self._dns.resolve(host)
        except LookupFailed:
            raise SettingsError(f"no address is known for {host}: Meta cannot connect") from None
        own = read_addresses()
        here = [str(each) for each in addresses if each.is_loopback or each in own]
        if not here:
            where = ", ".join(map(str, addresses))
            return f"{host} is {where}, no address of this machine: not tried from here"
        try:
            seen = await connect(here[0], self.port, name=host, trust=self._trust)
        except ConnectionRefusedError:
            if running:
                raise SetupError(f"nothing listens at {host}, port {self.port}") from None
            return f"nothing listens at {host}, port {self.port}, yet: not tried"
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise SetupError(f"{host}, port {self.port}, takes no TLS connection: {why}") from None
        return self._evaluate(seen, f"{host}, port {self.port}")

    @property
    def _protocol(self) -> str:
        return self.line.media.upper()

    def _evaluate(self, seen: Certificate, whose: str) -> str:
        if seen.expires is None:
            raise SettingsError(
                f"the certificate of {whose} is not one that Meta takes for "
                f"{self.line.sip_hostname}: {seen.distrust}. It must be of a public authority, with "
                "its intermediate certificates in the same file"
            )
        return f"its certificate is good for {self.line.sip_hostname} until {seen.expires:%Y-%m-%d}"

    def _differences(self, calling: Mapping[str, Any]) -> Iterator[str]:
        """Yield in words what is not as the line's settings say."""
        if calling.get("status") != "ENABLED":
            yield "calling is off at Meta"
        if _object(calling.get("sip")).get("status") != "ENABLED":
            yield "SIP is off at Meta"
        host = _server(calling).get("hostname", "")
        if str(host).lower() != self.line.sip_hostname.lower():
            yield f'Meta\'s SIP server entry is "{host}", not sip_hostname "{self.line.sip_hostname}"'
        keys = calling.get("srtp_key_exchange_protocol", "DTLS")
        if keys != self._protocol:
            yield f'Meta uses {keys} (srtp_key_exchange_protocol), media = "{self.line.media}" needs {self._protocol}'


async def set_up(
    one: SipLine, graph: Graph, password_file: Path, *, port: int, say: Callable[[str], None]
) -> int:
    """Set a number up for calls over SIP; return the exit code, 1 if a step failed.

    Args:
        one: the line.
        graph: of the same number.
        password_file: where the number's password is kept.
        port: to which Meta is to connect.
        say: writes a line of the report.
    """
    report, line = Report(say), one.line
    server = {"hostname": line.sip_hostname, "port": port}

    async def enable() -> str:
        sip = {"status": "ENABLED", "servers": [server]}
        await graph.change_settings({"status": "ENABLED", "sip": sip})
        # By itself and afterwards: the settings of SIP bring Meta's default back.
        await graph.change_settings({"srtp_key_exchange_protocol": line.media.upper()})
        return "calling, SIP and its keys are set; the Graph API places no calls of this number any more"

    async def keep_password() -> str:
        password = await one.password_at_meta()
        if line.sip_password not in {"", password}:
            raise SettingsError(
                "the settings have another sip_password than Meta: take it out of them, and run this again"
            )
        await asyncio.to_thread(store, password_file, password)
        return f"fetched, and kept in {password_file}"

    await report.perform("certificate", one.certificate)
    if await report.perform("settings at Meta", enable):
        await report.perform("comparison", one.settings)
        await report.perform("password", keep_password)
        await report.perform("health at Meta", one.health)
    await report.perform("name", lambda: one.reach(running=False))
    say("")
    if report.failed:
        say(f"Fix first: {report.failed[0]}, then run this again")
        return 1
    say("Next: (re)start the bridge, or `media-bridge upgrade`; then `media-bridge whatsapp check`")
    say(f"Meta must reach TCP port {port} of {line.sip_hostname}; RTP is sent from rtc.ports first")
    return 0


def password_file(settings: Settings, name: str) -> Path:
    """Return where a line's password is kept."""
    return sip_password_file(settings.data.dir, name)


def _reasons(entity: Mapping[str, Any]) -> str:
    told = [
        f"{error.get('error_code', '')} {error.get('error_description', '')}".strip()
        for error in _objects(entity.get("errors"))
    ]
    return f"{entity.get('entity_type', 'unknown')}: {', '.join(told) or 'no reason is told'}"


def _server(calling: Mapping[str, Any]) -> Mapping[str, Any]:
    servers = _objects(_object(calling.get("sip")).get("servers"))
    return servers[0] if servers else {}


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: object) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
