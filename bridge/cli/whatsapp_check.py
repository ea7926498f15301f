"""Checks the configuration of a Cloud API number step by step, and reports what to fix."""

import asyncio
import secrets
import ssl
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Any, Final

import aiohttp
from yarl import URL

from bridge.cli.steps import Report
from bridge.cli.stun import ask_from_free_port, server_address, server_of
from bridge.cli.whatsapp_sip import SipLine
from bridge.errors import SettingsError, SetupError, WhatsAppError, WhatsAppRefused
from bridge.http.client import Http
from bridge.http.resolver import Dns, LookupFailed
from bridge.settings.model import Settings, port_range
from bridge.whatsapp.graph import Graph
from bridge.wire.cloud import signature

NOTHING: Final = b'{"object":"whatsapp_business_account","entry":[]}'
"""A webhook without events."""
PATH: Final = "/whatsapp/webhook"
WEBHOOK_SECONDS: Final = 10.0
UNKNOWN: Final = (100, 803)
"""Meta's codes for an id that is unknown, or hidden from this token."""
NO_RIGHT: Final = (3, 10, 200)
EXPIRED: Final = 190


def webhook_url(text: str) -> str:
    """Return the webhook's URL, with its path if that is missing; "" stays "".

    Raises:
        SettingsError: it is no such address.
    """
    if not text:
        return ""
    try:
        url = URL(text)
    except ValueError:
        url = URL()
    if url.scheme not in {"https", "http"} or not url.host:
        raise SettingsError(f"--url: expected an address such as https://bridge.example.com{PATH}")
    return str(url if url.path.strip("/") else url.with_path(PATH))


class Check:
    """One check of one line."""

    def __init__(
        self,
        settings: Settings,
        name: str,
        graph: Graph,
        http: Http,
        *,
        say: Callable[[str], None] = lambda line: None,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        """Set up the check of a line.

        Args:
            settings: those of the bridge.
            name: the line's.
            graph: the line's.
            http: for the webhook.
            say: writes a line of the report.
            trust: the authorities that Meta trusts, by default those of this machine.
        """
        self._settings = settings
        self._section = f"lines.{name}.whatsapp"
        self._line = settings.lines[name].whatsapp
        self._graph = graph
        self._http = http
        self._say = say
        self._sip_line = (
            SipLine(settings, name, graph, dns=Dns(settings.net.nameservers), trust=trust)
            if self._line.signalling == "sip"
            else None
        )
        self._report = Report(say)
        self.steps = self._report.steps
        """Those that were performed or skipped so far."""

    async def run(self, url: str) -> int:
        """Perform all steps, with hints and a summary; return the exit code, 1 if one failed."""
        await self.perform(url)
        await self._hint(url)
        failed = self._report.failed
        if failed:
            self._say(f"\nFix first: {failed[0]}")
        else:
            left = "" if url else " but the webhook"
            self._say(f"\nAll that can be checked from here{left} is in order.")
        return int(bool(failed))

    async def perform(self, url: str) -> None:
        """Perform all steps; those of the webhook only if `url` has its address."""
        if await self._report.perform("token and number", self._number):
            await self._report.perform("calling", self._calling)
            if self._sip_line is not None:
                await self._check_sip(self._sip_line)
        else:
            self._report.skip("calling", "needs the step before")
        if not url:
            missing = "add --url with the address at which Meta reaches the bridge"
            self._report.skip("webhook", missing)
        elif await self._report.perform("webhook", lambda: self._verify(url)):
            await self._report.perform("signature", lambda: self._sign(url))
        else:
            self._report.skip("signature", "needs the step before")

    async def _check_sip(self, one: SipLine) -> None:
        """Perform the steps of a line whose calls go over SIP."""
        await self._report.perform("SIP at Meta", one.settings)
        await self._report.perform("SIP password", one.password)
        await self._report.perform("SIP health", one.health)
        await self._report.perform("SIP certificate", one.certificate)
        await self._report.perform("SIP name", lambda: one.reach(running=True))

    async def _number(self) -> str:
        try:
            if "{phone_number_id}" not in self._line.path:
                await self._graph.settings()
                return "the provider accepts the token; it knows the number by it"
            number = await self._graph.get("", {"fields": "display_phone_number,verified_name"})
        except WhatsAppRefused as error:
            raise SettingsError(self._why(error)) from None
        except WhatsAppError as error:
            raise SetupError(
                f"{error}; can this machine open TCP connections to {self._line.base_url}?"
            ) from None
        name = number.get("verified_name")
        of = f" of {name}" if name else ""
        return f"Meta knows the number as {number.get('display_phone_number', 'unknown')}{of}"

    def _why(self, error: WhatsAppRefused) -> str:
        """Return which setting explains Meta's refusal."""
        if error.meta_code == EXPIRED:
            return (
                f"Meta does not accept {self._section}.access_token: it is mistyped, withdrawn or has "
                "expired. The token that Meta shows first lasts a day; make a permanent one for a "
                "system user (Business settings, System users)"
            )
        if error.meta_code in UNKNOWN:
            return (
                f"Meta knows no number {self._line.phone_number_id} that this token may use. "
                f"{self._section}.phone_number_id is Meta's id (WhatsApp, API setup), not the "
                "telephone number itself; and the number must be assigned to the token's user"
            )
        if error.meta_code in NO_RIGHT:
            return (
                f"{self._section}.access_token lacks a right: whatsapp_business_messaging to call, "
                "whatsapp_business_management to read and change settings"
            )
        return str(error)

    async def _calling(self) -> str:
        try:
            settings = _object((await self._graph.settings()).get("calling"))
        except WhatsAppRefused as error:
            raise SettingsError(self._why(error)) from None
        sip = _object(settings.get("sip")).get("status") == "ENABLED"
        if sip and self._sip_line is None:
            raise SettingsError(
                "SIP is on for this number, and nothing can be called over the Graph API then; "
                "switch it off at Meta (Phone numbers, Call settings), or set "
                f'{self._section}.signalling = "sip"'
            )
        if settings.get("status") != "ENABLED":
            raise SettingsError(
                "it is off for this number; run the same command with `enable` in place of `check`"
            )
        icon = settings.get("call_icon_visibility", "DEFAULT")
        hidden = ", but the call button is hidden from users" if icon == "DISABLE_ALL" else ""
        return f"it is on{hidden}"

    async def _verify(self, url: str) -> str:
        challenge = str(secrets.randbelow(10**9))
        query = {
            "hub.mode": "subscribe",
            "hub.challenge": challenge,
            "hub.verify_token": self._line.verify_token,
        }
        status, text = await self._ask("GET", str(URL(url).update_query(query)))
        if status == 403:
            raise SettingsError(
                f"the bridge there has another verify_token than {self._section}.verify_token here: "
                "has it been restarted since the setting was changed?"
            )
        if status != 200 or text != challenge:
            raise SettingsError(
                f"{url} is answered ({status}), but not by the bridge's webhook: its path is {PATH}; "
                "does a proxy in front pass it on?"
            )
        return "the bridge answers Meta's question there"

    async def _sign(self, url: str) -> str:
        headers = {self._line.signature_header: signature(NOTHING, self._line.app_secret)}
        status, _ = await self._ask("POST", url, data=NOTHING, headers=headers)
        if status != 200:
            raise SettingsError(
                f"a signed webhook is refused ({status}): the bridge there has another app_secret "
                f"than {self._section}.app_secret here, or a proxy in front changes bodies or "
                "headers. Whether it is Meta's own secret (App settings, Basic) only a real "
                "webhook shows: the bridge logs whatsapp.bad_signature"
            )
        return "what is signed with app_secret is taken"

    async def _ask(
        self,
        method: str,
        url: str,
        *,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, str]:
        """Request the webhook; raises `SetupError` if it is unreachable."""
        session = self._http.trusted()
        try:
            async with (
                asyncio.timeout(WEBHOOK_SECONDS),
                session.request(
                    method, url, data=data, headers=headers, allow_redirects=False
                ) as answer,
            ):
                return answer.status, (await answer.content.read(4096)).decode(errors="replace")
        except (aiohttp.ClientError, OSError) as error:
            raise SetupError(_unreached(url, error)) from None

    async def _hint(self, url: str) -> None:
        if url and not url.startswith("https:"):
            self._say("hint     webhook: Meta takes addresses with https only")
        self._say("hint     webhook: subscribe to the fields `calls` and `messages` in the app")
        self._say(
            "hint     webhook: with Conversation Routing, only the primary partner for incoming calls "
            "(WhatsApp Manager) is told of them; the others get the end of calls at most"
        )
        rtc = self._settings.rtc
        self._say(f"hint     media: {await self._udp()}")
        self._say(
            f"hint     media: UDP from ports {rtc.ports} must reach Meta's relays (ports 3478 to "
            "3484 and 40012), and their answers must come back; nothing has to be forwarded inwards"
        )

    async def _udp(self) -> str:
        """Return whether UDP leaves this machine, according to a STUN server."""
        rtc = self._settings.rtc
        if not rtc.stun_urls:
            return "rtc.stun_urls is empty, so whether UDP leaves this machine was not tried"
        name, _ = server_of(rtc.stun_urls[0])
        host = rtc.bind[0] if rtc.bind else "0.0.0.0"  # noqa: S104 - for one server's answers
        dns = Dns(self._settings.net.nameservers)
        try:
            server = await server_address(rtc.stun_urls[0], ip_address(host).version, dns)
            local, seen = await ask_from_free_port(
                server, address=host, ports=reversed(port_range(rtc.ports))
            )
        except LookupFailed:
            return f"no address is known for {name} (rtc.stun_urls); is there a DNS server?"
        except SettingsError as error:
            return str(error)
        except SetupError as error:
            return f"{error}: UDP is closed, or this machine has no way to the internet"
        except OSError as error:
            return f"{name} (rtc.stun_urls) cannot be sent to: {error.strerror}"
        return f"UDP leaves from port {local}; {name} sees this machine as {seen.address}"


def _unreached(url: str, error: Exception) -> str:
    place = URL(url).with_query(None)  # the query holds the verify token
    host = place.host
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"no address is known for {host}; does its DNS record exist?"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"the certificate of {host} is not one that browsers trust, and Meta does not either"
    if isinstance(error, TimeoutError):
        return (
            f"{host} did not answer within {WEBHOOK_SECONDS:.0f} s; does a firewall drop packets?"
        )
    return (
        f"nothing answers at {place} ({type(error).__name__}); does the bridge run, and is the proxy in "
        "front of it open to the internet?"
    )


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
