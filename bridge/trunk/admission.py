"""Admission of inbound requests: trusted networks, registrars of ours, and digest users."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Final, TypeAlias

from bridge.sip.boundary import (
    USUAL_RULES,
    Admission,
    Allow,
    Arrival,
    Challenge,
    DialogRules,
    Invitation,
    Refuse,
)

Network: TypeAlias = IPv4Network | IPv6Network

_HASHES: Final = {"MD5": "md5", "SHA-256": "sha256"}


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundTrunk:
    """How the calls of a trunk are recognized."""

    name: str
    networks: tuple[Network, ...] = ()
    """Networks whose calls need no password."""
    username: str = ""
    """Digest user of calls from other addresses; empty: they are refused."""
    password: str = field(default="", repr=False)
    ignores_parameters: bool = False
    """Whether its digest `uri` may lack the parameters of the Request-URI."""
    rules: DialogRules = USUAL_RULES


class SipAdmission:
    """Admits requests (`bridge.sip.boundary.InboundPolicy`).

    An unauthenticated address gets the same challenge to every request, whether there are digest users or not, so that it
    learns neither numbers nor users, and no response to a malformed one.
    """

    def __init__(
        self,
        trunks: Iterable[InboundTrunk] = (),
        *,
        realm: str = "bridge",
        algorithms: Sequence[str] = ("SHA-256", "MD5"),
    ) -> None:
        """`algorithms` are those of digest authentication, the preferred first."""
        self._challenge = Challenge(realm, tuple(algorithms))
        self._trunks: tuple[InboundTrunk, ...] = ()
        self._networks: dict[tuple[int, int], set[int]] = {}
        """The prefixes of all trunks' networks by IP version and length: each message of a flood is looked up here."""
        self._registered: dict[str, frozenset[str]] = {}
        """Addresses of the trunks that we are registered at, by the trunks' names."""
        self._resolved: dict[str, frozenset[str]] = {}
        """Addresses that the trunks' hosts were found at last, by the trunks' names."""
        self.replace(trunks)

    def replace(self, trunks: Iterable[InboundTrunk]) -> None:
        """Replace the trunks."""
        self._trunks = tuple(trunks)
        self._networks.clear()
        for each in (network for trunk in self._trunks for network in trunk.networks):
            prefix = int(each.network_address) >> (each.max_prefixlen - each.prefixlen)
            self._networks.setdefault((each.version, each.prefixlen), set()).add(prefix)
        for known in (self._registered, self._resolved):
            for name in known.keys() - {trunk.name for trunk in self._trunks}:
                del known[name]

    def registered(self, name: str, addresses: Iterable[str]) -> None:
        """Replace the trusted addresses of the registrar of a trunk; empty when it is not registered."""
        self._registered[name] = frozenset(addresses)

    def resolved(self, name: str, addresses: Iterable[str]) -> None:
        """Replace the addresses of a trunk's host: they may send requests within its calls, but not begin one."""
        self._resolved[name] = frozenset(addresses)

    def admit(self, arrival: Arrival) -> Admission:
        """Decide on a request outside a dialog (`InboundPolicy`)."""
        if self.trusts(arrival.source.host):
            return Allow()
        if not arrival.method:
            return Refuse(0)
        return self._challenge

    def admit_within(self, trunks: frozenset[str], host: str) -> Admission:
        """Decide on a request within a call of these trunks from elsewhere than its peer (`InboundPolicy`)."""
        own = [trunk for trunk in self._trunks if trunk.name in trunks]
        if any(self._is_of(trunk, host) for trunk in own) or any(
            host in self._resolved.get(name, ()) for name in trunks
        ):
            return Allow()
        users = frozenset(trunk.username for trunk in own if trunk.username)
        return replace(self._challenge, users=users) if users else Refuse(481)

    def ha1(self, realm: str, username: str, algorithm: str) -> str | None:
        """Return the hex H(username:realm:password) of a user; None for an unknown one."""
        for trunk in self._trunks:
            if trunk.username and trunk.username == username:
                text = f"{username}:{realm}:{trunk.password}".encode()
                return hashlib.new(_HASHES[algorithm], text, usedforsecurity=False).hexdigest()
        return None

    def trusts(self, host: str) -> bool:
        """Return whether an address may call without a password."""
        if any(host in addresses for addresses in self._registered.values()):
            return True
        address = ip_address(host.partition("%")[0])
        return any(
            version == address.version
            and int(address) >> (address.max_prefixlen - length) in prefixes
            for (version, length), prefixes in self._networks.items()
        )

    def knows(self, host: str) -> bool:
        """Return whether an address is a trunk's: one that may call without a password, or that its host has."""
        return self.trusts(host) or any(host in found for found in self._resolved.values())

    def trunks_of(self, invitation: Invitation) -> frozenset[str]:
        """Return the names of the trunks that an admitted call may come from."""
        user, host = invitation.username, invitation.source.host
        return frozenset(
            trunk.name
            for trunk in self._trunks
            if (user and trunk.username == user) or (not user and self._is_of(trunk, host))
        )

    def rules_of(self, invitation: Invitation) -> DialogRules:
        """Return what the trunk expects that an admitted call comes from (`InboundPolicy`)."""
        names = self.trunks_of(invitation)
        found = (trunk.rules for trunk in self._trunks if trunk.name in names)
        return next(found, USUAL_RULES)

    def ignores_parameters(self, username: str) -> bool:
        """Return whether a user's digest `uri` may lack the Request-URI's parameters (`InboundPolicy`)."""
        return any(trunk.ignores_parameters for trunk in self._trunks if trunk.username == username)

    def _is_of(self, trunk: InboundTrunk, host: str) -> bool:
        address = ip_address(host.partition("%")[0])
        return host in self._registered.get(trunk.name, ()) or any(
            address in each for each in trunk.networks if each.version == address.version
        )
