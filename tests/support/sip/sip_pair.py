"""SIP cores that talk to each other through a simulated network, on virtual time."""

import heapq
import random
from dataclasses import dataclass, field
from itertools import count
from unittest.mock import Mock

from bridge.sip.boundary import (
    USUAL_RULES,
    Allow,
    Challenge,
    Closed,
    Dial,
    DialogRules,
    Happened,
    Invited,
    Local,
    OptionsAnswered,
    Refuse,
    Registration,
    RegistrationChanged,
    Send,
    Target,
)
from bridge.sip.call import SipCall
from bridge.sip.core import SipCore
from bridge.sip.digest import hashed
from bridge.sip.message.message import Response, SipError, parse

OFFER = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n"
ANSWER = OFFER.replace("4000", "5000")


@dataclass
class Policy:
    """Allows everybody, unless told otherwise."""

    realm: str = ""
    refuse: int | None = None
    users: dict[str, str] = field(default_factory=lambda: {"anna": "secret"})
    arrivals: list[object] = field(default_factory=list)
    trunks: dict[str, set[str]] = field(default_factory=dict)
    """The addresses of trunks, besides those of their calls' peers."""
    rules: DialogRules = USUAL_RULES
    """Of all calls."""
    lenient: bool = False
    """Whether the digest URI may lack parameters."""
    within: str = ""
    """The realm of challenges within calls; only `anna` may answer them. Empty: there are none."""

    def admit(self, arrival):
        self.arrivals.append(arrival)
        if self.refuse is not None:
            return Refuse(self.refuse)
        return Challenge(self.realm) if self.realm else Allow()

    def trunks_of(self, invitation):
        return frozenset(self.trunks)

    def rules_of(self, invitation):
        return self.rules

    def ignores_parameters(self, username):
        return self.lenient

    def admit_within(self, trunks, host):
        if any(host in self.trunks.get(name, ()) for name in trunks):
            return Allow()
        return Challenge(self.within, users=frozenset({"anna"})) if self.within else Refuse(481)

    def ha1(self, realm, username, algorithm):
        password = self.users.get(username)
        return None if password is None else hashed(algorithm, username, realm, password)


SILENT = Mock(spec=SipCall)
"""Stands for a call that is unknown."""


class Party:
    """A core at an address, and what it has reported."""

    def __init__(self, network, host, *, seed=1, policy=None, transport="udp", **options):
        self.network = network
        self.host = host
        self.transport = transport
        self.policy = policy or Policy()
        self.source = Target(transport, host, 5060)
        randomness = random.Random(seed)
        self.core = SipCore(
            random=randomness.randbytes,
            user_agent="test",
            local=lambda target: Local(host, 5060),
            policy=self.policy,
            **options,
        )
        self.events = []
        """(dialog, event) of Happened."""
        self.invitations = []
        self.closed = []
        self.registrations = []
        self.pings = []
        self.sent = []
        """(time, message) of everything sent."""
        self.targets = []
        """Where each message was sent."""
        self.on_event = None
        network.parties[host] = self

    @property
    def dialog(self):
        """The dialog of the last invitation."""
        return self.invitations[-1].dialog

    def kinds(self, dialog=None):
        return [type(e).__name__ for d, e in self.events if dialog in (None, d)]

    def last(self, kind):
        return [e for _, e in self.events if isinstance(e, kind)][-1]

    def say(self, what, *given, **named):
        """Give the core, or the call of the dialog that is given first, a command at the network's time."""
        command = getattr(self.core, what, None)
        if command is None:
            if "replaces" in named:
                named["replaces"] = self.core.call(named["replaces"])
            command = getattr(self.core.call(given[0]) or SILENT, what)
            given = given[1:]
        result = command(*given, now=self.network.now, **named)
        self.flush()
        return result

    def call(self, host, *, sdp=OFFER, **named):
        named = {"uri": f"sip:200@{host}", "from_uri": f"sip:100@{self.host}"} | named
        target = Target(self.transport, host, 5060)
        return self.say("dial", Dial(target=target, sdp=sdp, **named))

    def register(self, host, **named):
        named = {"registrar": f"sip:{host}", "address_of_record": f"sip:anna@{host}"} | named
        target = Target(self.transport, host, 5060)
        self.say("register", Registration(name="trunk", target=target, **named))

    def flush(self):
        for output in self.core.take_output():
            match output:
                case Send():
                    self.sent.append((self.network.now, _read(output.data)))
                    self.targets.append(output.target)
                    self.network.send(self, output)
                case Happened():
                    self.events.append((output.dialog, output.event))
                    self.network.log.append((self.host, output.event, output.failover))
                case Invited():
                    self.invitations.append(output)
                case Closed():
                    self.closed.append(output.dialog)
                case RegistrationChanged():
                    self.registrations.append(output)
                case OptionsAnswered():
                    self.pings.append(output)
            if self.on_event:
                self.on_event(self, output)

    def methods(self):
        """What was sent, as methods and codes."""
        return [getattr(m, "method", None) or m.code for _, m in self.sent]

    def of(self, what):
        """The sent messages of a method or code."""
        return [m for _, m in self.sent if (getattr(m, "method", None) or m.code) == what]


def _read(data):
    try:
        return parse(data)
    except SipError:  # the response to what cannot be read repeats it
        return Response(int(data.split()[1]), "")


class Network:
    """Delivers after `delay`; `fate(data)` returns the delays of the copies that arrive, `damage` what arrives."""

    def __init__(self, delay=0.01):
        self.now = 0.0
        self.delay = delay
        self.parties = {}
        self.log = []
        self.fate = lambda data: [self.delay]
        self.damage = lambda data: data
        self._flying = []
        self._order = count()

    def send(self, party, output):
        for delay in self.fate(output.data):
            data = self.damage(output.data)
            entry = (self.now + delay, next(self._order), output.target, party.source, data)
            heapq.heappush(self._flying, entry)

    def inject(self, data, source, party):
        """Deliver bytes at once."""
        party.core.receive(data, source, self.now)
        party.flush()

    def run(self, seconds):
        """Let time pass."""
        end = self.now + seconds
        while True:
            due = [p.core.next_timer() for p in self.parties.values()]
            times = [t for t in due if t is not None] + [e[0] for e in self._flying[:1]]
            if not times or min(times) > end:
                break
            self.now = max(self.now, min(times))
            while self._flying and self._flying[0][0] <= self.now:
                _, _, target, source, data = heapq.heappop(self._flying)
                party = self.parties.get(target.host)
                if party:
                    party.core.receive(data, source, self.now)
                    party.flush()
            for party in self.parties.values():
                party.core.tick(self.now)
                party.flush()
        self.now = end


def pair(**options):
    """Return a network with two parties, A at 192.0.2.1 and B at 192.0.2.2."""
    network = Network()
    a = Party(network, "192.0.2.1", seed=1, tag_prefix="0a-", **options)
    b = Party(network, "192.0.2.2", seed=2, tag_prefix="0b-", **options)
    return network, a, b


def established(**options):
    """Return a pair in a call, and the dialogs of both."""
    network, a, b = pair(**options)
    ours = a.call(b.host)
    network.run(0.1)
    b.say("answer", b.dialog, ANSWER)
    network.run(0.1)
    return network, a, b, ours, b.dialog
