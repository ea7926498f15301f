"""Steps for `two_paths`, drawn at random: packets of peers as they are and as they should not be, and commands."""

from hypothesis import strategies as st

from bridge.audio.codec.codec import PCMU
from bridge.audio.codec.coders import make_encoder
from bridge.audio.codec.encoder_level import EncoderLevel
from bridge.wire.rtp.rtcp import (
    Bye,
    ReceiverReport,
    ReportBlock,
    RtcpPacket,
    SenderReport,
    serialize,
)
from bridge.wire.rtp.stream import StreamStart
from bridge.wire.rtp.telephone_event import digit_packets
from tests.support.packets.negotiated import AUDIOS, RED_TYPE
from tests.support.packets.odd_packets import EXTENSIONS, VOICES
from tests.support.packets.packet_fates import fates, speak_while_stopped, speak_with_fates
from tests.support.packets.packet_peer import Peer
from tests.support.packets.rtp_party import EVENT_TYPE, OPUS_TYPE, VOICE
from tests.support.packets.two_paths import (
    CLOCK,
    LEGS,
    PARTIES,
    RECORDER,
    SYNCS,
    TAP,
    WAV,
    TwoPaths,
)

A, B, C = LEGS
MULAW = list(map(make_encoder(PCMU).encode, VOICE[:20]))
START = StreamStart(ssrc=0x11111111, sequence=30_000, timestamp=5000)

USUAL_VOICES = st.sampled_from(["celt", "celt", "celt", "silk", "silence", "loud"])
voices = st.one_of(USUAL_VOICES, st.sampled_from(sorted(VOICES)))
party = st.sampled_from([0, 0, 1, 1, 2])
interval = st.sampled_from([0.02, 0.02, 0.02, 0.0, 0.013, 0.0271, 0.1])
extensions = st.one_of(
    st.sampled_from(["none", "none", "level"]), st.sampled_from(sorted(EXTENSIONS))
)
ROUTES = {
    "nobody": {},
    "pair": {A: {B}, B: {A}},
    "one way": {B: {A}},
    "pair with a tap": {A: {B}, B: {A}, TAP: {A}},
    "pair with the clock": {A: {B}, B: {A}, CLOCK: {A}},
    "two hear one": {B: {A}, C: {A}},
    "three": {A: {B, C}, B: {A, C}, C: {A, B}},
    "tap alone": {TAP: {A}},
    "clock alone": {CLOCK: {A, B}},
    "pair recorded": {A: {B}, B: {A}, RECORDER: {A}},
    "pair recorded beside a tap": {A: {B}, B: {A}, TAP: {A}, RECORDER: {A}},
    "both recorded as one": {A: {B}, B: {A}, RECORDER: {A, B}},
    "two hear one recorded": {B: {A}, C: {A}, RECORDER: {A}},
    "recorder alone": {RECORDER: {A}},
    "pair with a mix recorded": {A: {B}, B: {A}, WAV: {A, B}},
    "pair with one side recorded": {A: {B}, B: {A}, WAV: {A}},
    "mix recorded alone": {WAV: {A, B}},
    "pair with packets and a mix recorded": {A: {B}, B: {A}, RECORDER: {A}, WAV: {A, B}},
    "itself": {A: {A}},
}

actions = st.one_of(
    st.tuples(st.just("talk"), party, st.integers(1, 60), voices, extensions, interval),
    st.tuples(st.just("converse"), st.integers(1, 60), USUAL_VOICES, USUAL_VOICES, interval),
    st.tuples(st.just("burst"), party, st.integers(2, 12), USUAL_VOICES, st.booleans()),
    st.tuples(st.just("redundant"), party, st.integers(1, 4)),
    st.tuples(st.just("jump"), party, st.sampled_from([0, 0, 1, 4, 150, 5000, 40_000, -3, -200]),
              st.sampled_from([0, 960, 480, -960, 48_000, 1 << 31, 7])),
    st.tuples(st.just("repeat"), party, st.integers(1, 70)),
    st.tuples(st.just("swap"), party, st.sampled_from([1, 1, 2, 3, 4, 40, 63, 64, 98, 99, 100, 101])),
    st.tuples(st.just("impaired"), party, st.lists(fates, max_size=60), USUAL_VOICES, interval),
    st.tuples(st.just("odd"), party, st.integers(0, 63), st.booleans(),
              st.sampled_from([OPUS_TYPE, OPUS_TYPE, 96, EVENT_TYPE, 126, 0, 13]),
              st.sampled_from(sorted(EXTENSIONS)), voices, st.one_of(st.none(), st.integers(0, 40))),
    st.tuples(st.just("payload"), party, st.integers(0, 255), st.binary(max_size=30), st.integers(1, 3)),
    st.tuples(st.just("raw"), party, st.one_of(st.binary(max_size=60), st.binary(min_size=1400, max_size=1600))),
    st.tuples(st.just("forged"), party, st.integers(0, 30)),
    st.tuples(st.just("ssrc"), party),
    st.tuples(st.just("successor"), party, st.integers(1, 20), st.booleans()),
    st.tuples(st.just("other_line"), party, st.sampled_from([96, 97, 35, 8]), st.integers(1, 30)),
    st.tuples(st.just("g711"), party, st.integers(1, 30)),
    st.tuples(st.just("g711"), party, st.integers(1, 30)),
    st.tuples(st.just("event"), party, st.sampled_from("159#")),
    st.tuples(st.just("rtcp"), party, st.sampled_from(["loss", "calm", "sender", "bye", "broken"])),
    st.tuples(st.just("route"), st.sampled_from(sorted(ROUTES))),
    st.tuples(st.just("route"), st.sampled_from(sorted(ROUTES))),
    st.tuples(st.just("attach"), party, st.sampled_from(["echo", "tap", "push", "nothing"])),
    st.tuples(st.just("tick"), st.integers(1, 20)),
    st.tuples(st.just("flush")),
    st.tuples(st.just("wait"), st.sampled_from([0.03, 0.5, 1.1, 5.5, 8.0, 31.0])),
    st.tuples(st.just("push"), party, st.integers(1, 40), st.sampled_from(["music", "prompt"])),
    st.tuples(st.just("digits"), party, st.sampled_from(["1", "23#"])),
    st.tuples(st.just("renegotiate"), party, st.sampled_from(sorted(AUDIOS))),
    st.tuples(st.just("restart"), party),
    st.tuples(st.just("move"), party),
    st.tuples(st.just("path"), party, st.booleans()),
    st.tuples(st.just("transmit"), party),
    st.tuples(st.just("sync"), party, st.sampled_from(sorted(SYNCS))),
    st.tuples(st.just("sync"), party, st.sampled_from(sorted(SYNCS))),
    st.tuples(st.just("level"), st.sampled_from(sorted(EncoderLevel))),
    st.tuples(st.just("start"), party),
)  # fmt: skip

pairs_after = st.sampled_from([0, 0, 1, 4, 12, 30])
"""Packets of a conversation after an action, so that an offload begins."""
steps = st.tuples(actions, pairs_after, USUAL_VOICES)


class Driver:
    """Takes the steps of an example."""

    def __init__(self, paths, peers):
        self.paths, self.peers = paths, peers
        self.frame = 0
        self.starts = 0

    def send(self, number, packet):
        """Send a packet of a peer, and remember it."""
        if self.paths.secured and (len(packet) < 12 or len(packet) > 1350):
            return
        datagram = self.paths.protect(number, packet)
        if datagram is not None:
            peer = self.peers[number]
            peer.last = [*peer.last[-80:], datagram]
            self.paths.deliver(number, datagram)

    def say(self, number, voice, extension="none"):
        peer = self.peers[number]
        payload = peer.next_payload(voice)
        self.send(number, peer.packet(payload, extension=EXTENSIONS[extension]))
        peer.advance(payload)

    def talk(self, number, count, voice, extension, interval):
        for _ in range(count):
            self.say(number, voice, extension)
            self.paths.now += interval

    def converse(self, count, one, other, interval):
        for _ in range(count):
            self.say(0, one)
            self.say(1, other)
            self.paths.now += interval

    def burst(self, number, count, voice, former):
        peer = self.peers[number]
        datagrams = []
        for _ in range(count):
            payload = peer.next_payload(voice)
            datagrams.append(self.paths.protect(number, peer.packet(payload)))
            peer.advance(payload)
        came = [datagram for datagram in datagrams if datagram is not None]
        self.paths.deliver(number, *came, former=former)

    def redundant(self, number, count):
        peer = self.peers[number]
        before = peer.next_payload("celt")
        for _ in range(count):
            payload = peer.next_payload("celt")
            block = (1 << 31 | OPUS_TYPE << 24 | 960 << 10 | len(before)).to_bytes(4, "big")
            whole = block + bytes([OPUS_TYPE]) + before + payload
            self.send(number, peer.packet(whole, kind=RED_TYPE))
            peer.advance(payload)
            before = payload

    def jump(self, number, sequence, timestamp):
        self.peers[number].sequence += sequence
        self.peers[number].timestamp += timestamp

    def repeat(self, number, back):
        last = self.peers[number].last
        if last:
            self.paths.deliver(number, last[-min(back, len(last))])

    def swap(self, number, distance):
        taken = [("is late", distance), *["arrives"] * distance]
        speak_with_fates(self, number, taken, "celt", 0.004)

    def impaired(self, number, taken, voice, interval):
        speak_with_fates(self, number, taken, voice, interval)

    def stopped(self, number, taken, voice):
        speak_while_stopped(self, number, taken, voice)

    def odd(self, number, flags, marker, kind, extension, voice, size):
        peer = self.peers[number]
        payload = peer.next_payload(voice)
        whole = peer.packet(
            payload, extension=EXTENSIONS[extension], flags=flags, kind=kind | marker << 7
        )
        self.send(number, whole if size is None else whole[:size])
        peer.advance(payload)

    def payload(self, number, toc, rest, count):
        for _ in range(count):
            peer = self.peers[number]
            self.send(number, peer.packet(bytes([toc]) + rest))
            peer.advance(bytes([toc]) + rest)

    def raw(self, number, data):
        self.paths.deliver(number, data)

    def forged(self, number, place):
        peer = self.peers[number]
        whole = bytearray(self.peers[number].packet(peer.next_payload("celt")) + bytes(10))
        whole[place] ^= 0x55
        self.paths.deliver(number, bytes(whole))

    def ssrc(self, number):
        self.peers[number].ssrc += 1

    def successor(self, number, count, beside):
        """Let another source send, perhaps beside the first, which then goes on."""
        peer = self.peers[number]
        first, other = peer.ssrc, peer.ssrc + 0x100
        for _ in range(count):
            for peer.ssrc in (other, first) if beside else (other,):
                self.say(number, "celt")
            self.paths.now += 0.02
        peer.ssrc = first

    def other_line(self, number, kind, count):
        """Let packets of another line come between those of the audio."""
        peer = self.peers[number]
        for place in range(count):
            own = peer.ssrc, peer.sequence, peer.timestamp
            peer.ssrc, peer.sequence, peer.timestamp = (
                peer.ssrc + 0x200,
                60_000 + place,
                3000 * place,
            )
            self.send(number, peer.packet(b"\x90" * 40, kind=kind))
            peer.ssrc, peer.sequence, peer.timestamp = own
            if place % 4 == 0:
                self.say(number, "celt")
                self.paths.now += 0.02

    def g711(self, number, count):
        """Speak in another format, negotiated or not, by its own clock."""
        peer = self.peers[number]
        begin = peer.timestamp
        for place in range(count):
            payload = MULAW[place % len(MULAW)]
            self.send(number, peer.packet(payload, kind=0, timestamp=begin + 160 * place))
            peer.sequence += 1
            peer.timestamp += 960 // peer.codec.positions_per_tick
            self.paths.now += 0.02

    def event(self, number, digit):
        peer = self.peers[number]
        start = peer.timestamp
        for packet in digit_packets(digit, clock_rate=48_000):
            self.send(number, peer.packet(packet.payload, kind=EVENT_TYPE, timestamp=start))
            peer.sequence += 1
            peer.timestamp += 960 // peer.codec.positions_per_tick
            self.paths.now += 0.02

    def rtcp(self, number, kind):
        loss = {"loss": 40, "calm": 0}.get(kind, 0)
        ours = self.paths.do(lambda world, _: world.parties[number].session.numbering)
        peer = self.peers[number]
        block = ReportBlock(ours.ssrc, loss, loss, ours.sequence & 0xFFFF_FFFF, 90, 0, 0)
        report: RtcpPacket = ReceiverReport(peer.ssrc, (block,))
        if kind == "sender":
            stamp = peer.timestamp & 0xFFFFFFFF
            report = SenderReport(peer.ssrc, 1 << 60, stamp, 10, 100, (block,))
        elif kind == "bye":
            report = Bye((peer.ssrc,), "")
        data = serialize([report])
        if kind == "broken":
            data = data[:-3] + b"\xff"
        datagram = self.paths.protect_rtcp(number, data)
        if datagram is not None:
            self.paths.deliver(number, datagram)

    def route(self, name):
        rows = {leg: frozenset(heard) for leg, heard in ROUTES[name].items()}
        self.paths.do(lambda world, now: world.route(rows, now))

    def attach(self, number, kind):
        def step(world, _now):
            session = world.parties[number].session
            other = world.parties[(number + 1) % PARTIES].session
            pushes = {
                "echo": session.push,
                "push": other.push,
                "tap": lambda frame, now: world.record("attached", frame, now),
            }
            session.attach(pushes.get(kind))

        self.paths.do(step)

    def tick(self, count):
        for _ in range(count):
            self.paths.now += 0.02
            self.paths.tick()

    def flush(self):
        self.paths.flush()

    def wait(self, seconds):
        self.paths.now += seconds

    def push(self, number, count, epoch):
        for _ in range(count):
            self.paths.push(number, self.frame, epoch)
            self.frame += 1
            self.paths.now += 0.02

    def digits(self, number, digits):
        self.paths.do(lambda world, _: world.parties[number].session.send_digits(digits))

    def renegotiate(self, number, name):
        audio = AUDIOS[name]
        self.peers[number].speak(audio)
        self.paths.do(lambda world, _: world.parties[number].session.renegotiate(audio))

    def restart(self, number):
        self.starts += 1
        start = START._replace(ssrc=0x55555555 + 16 * self.starts, timestamp=77 * self.starts)
        self.peers[number].ssrc += 7
        audio = self.paths.audios[number]
        self.peers[number].speak(audio)
        self.paths.do(lambda world, _: world.parties[number].session.restart_source(audio, start))

    def move(self, number):
        self.paths.do(lambda world, _: world.parties[number].move() and None)

    def path(self, number, up):
        self.paths.do(lambda world, _: world.parties[number].set_route(up))

    def transmit(self, number):
        self.paths.do(lambda world, _: world.parties[number].renew_transmit())

    def sync(self, number, what):
        self.paths.sync(what, number)

    def level(self, level):
        def step(world, _):
            world.budget.level = level

        self.paths.do(step)

    def start(self, number):
        self.paths.do(lambda world, now: world.parties[number].session.start_sending(now))


def drive(paths, taken, *, sequence=100, timestamp=0):
    """Take steps, compare what is left, and go on without offloads, which shows the state of the coders."""
    peers = [Peer(number, sequence, timestamp) for number in range(PARTIES)]
    for peer, audio in zip(peers, paths.audios, strict=True):
        peer.speak(audio)
    driver = Driver(paths, peers)
    driver.route("pair")
    driver.start(1)
    for (name, *arguments), pairs, voice in taken:
        getattr(driver, name)(*arguments)
        driver.converse(pairs, voice, voice, 0.02)
    paths.finish()
    driver.converse(8, "celt", "celt", 0.02)
    for number in range(PARTIES):
        driver.push(number, 3, "last")
    return driver


worlds = st.fixed_dictionaries(
    {
        "audio": st.sampled_from(["plain", "levels", "two formats"]),
        "telephones": st.sampled_from(
            [{}, {}, {1: "PCMU"}, {0: "PCMA", 1: "PCMA"}, {0: "PCMU", 2: "PCMA"}]
        ),
        "secured": st.booleans(),
        "continuous": st.sampled_from([False, False, True]),
        "passthrough": st.sampled_from([PARTIES, PARTIES, 1, 0]),
        "limit": st.sampled_from([500, 500, 60]),
        "start": st.sampled_from([START, START._replace(sequence=65_500, timestamp=2**32 - 9600)]),
    }
)
numbers = st.tuples(
    st.sampled_from([100, 0, 65_500]), st.sampled_from([0, 2**32 - 9600, 2**31 - 4800])
)


def check(settings_of_worlds, taken, first):
    chosen = dict(settings_of_worlds)
    kinds = [chosen["audio"]] * PARTIES
    for number, kind in chosen.pop("telephones", {}).items():
        kinds[number] = kind
    with TwoPaths(**{**chosen, "audio": [AUDIOS[kind] for kind in kinds]}) as paths:
        drive(paths, taken, sequence=first[0], timestamp=first[1])
