"""The closed set of problems: where each lies, how bad it is, what to say and what to do about it.

`docs/troubleshooting.md` has a section for each code, generated from this table.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final


class Hop(StrEnum):
    """The stations of a call's audio, in the order in which it passes them."""

    MICROPHONE = "browser.microphone"
    NETWORK = "browser.network"
    SOCKET = "socket"
    STREAM = "stream"
    AGENT = "agent"
    BRIDGE = "bridge"
    RECORDING = "recording"
    SIGNALLING = "provider.signalling"
    PROVIDER_NETWORK = "provider.network"
    FAR = "provider.far"
    SPEAKER = "browser.speaker"


class Severity(IntEnum):
    """How much is lost; the name in lower case is what is shown."""

    NOTICE = 0
    """Somebody did it on purpose."""
    DEGRADED = 1
    """Heard, but worse."""
    BROKEN = 2
    """Not heard."""

    @property
    def word(self) -> str:
        """The severity as the API spells it."""
        return self.name.lower()


class Code(StrEnum):
    """Everything that can be wrong; the values are public names."""

    MICROPHONE_MUTED = "microphone_muted"
    MICROPHONE_SILENT = "microphone_silent"
    CLIPPING = "clipping"
    TURN_REFUSED = "turn_refused"
    TURN_MISSING = "turn_missing"
    ICE_NO_CHECKS = "ice_no_checks"
    ICE_ONE_WAY = "ice_one_way"
    DTLS_FINGERPRINT = "dtls_fingerprint"
    DTLS_NO_ANSWER = "dtls_no_answer"
    SRTP_REJECTED = "srtp_rejected"
    CODEC_MISMATCH = "codec_mismatch"
    BROWSER_SENDS_NOTHING = "browser_sends_nothing"
    NETWORK_STALLED = "network_stalled"
    NETWORK_LOSSY = "network_lossy"
    NETWORK_JITTERY = "network_jittery"
    ROUND_TRIP_LONG = "round_trip_long"
    SOCKET_SENDS_NOTHING = "socket_sends_nothing"
    SOCKET_WRONG_FORMAT = "socket_wrong_format"
    SOCKET_READER_SLOW = "socket_reader_slow"
    STREAM_UNREACHABLE = "stream_unreachable"
    AGENT_PROVIDER_FAILED = "agent_provider_failed"
    AGENT_SLOW = "agent_slow"
    BRIDGE_OVERLOADED = "bridge_overloaded"
    CRASHED_NODE = "call.crashed_node"
    INTERRUPTED = "interrupted"
    NOBODY_JOINED = "nobody_joined"
    MUTED = "muted"
    HELD = "held"
    RECORDING_FAILED = "recording_failed"
    PROVIDER_REFUSED = "provider_refused"
    PROVIDER_UNREACHABLE = "provider_unreachable"
    SIP_REGISTRATION_FAILED = "sip_registration_failed"
    TRUNK_UNREACHABLE = "trunk_unreachable"
    CODEC_REFUSED = "codec_refused"
    ONE_WAY_RTP = "one_way_rtp"
    FAR_SENDS_NOTHING = "far_sends_nothing"
    FAR_NOT_HEARING = "far_not_hearing"
    FAR_SILENT = "far_silent"
    ECHO_SUSPECTED = "echo_suspected"
    SPEAKER_BLOCKED = "speaker_blocked"
    SPEAKER_MISSING = "speaker_missing"


@dataclass(frozen=True, slots=True)
class Rule:
    """What there is to say of a problem."""

    hop: Hop
    severity: Severity
    summary: str
    """A sentence; `str.format` fills in the evidence."""
    fix: str
    """What to do, in one or two sentences."""
    after: float = 0.0
    """Seconds for which the condition must hold before the problem is raised."""
    clear_after: float = 1.5
    """Seconds for which it must not hold before the problem is cleared."""


NOTICE, DEGRADED, BROKEN = Severity

FILTERED_FIX: Final = (
    "Echo cancellation and noise suppression take music, tones and hums for noise: speak, or switch them off "
    "(in the page, or with getUserMedia's echoCancellation and noiseSuppression)."
)
"""Where a browser's filters leave nothing of its microphone."""

RULES: Final[Mapping[Code, Rule]] = {
    Code.MICROPHONE_MUTED: Rule(
        Hop.MICROPHONE,
        NOTICE,
        "The microphone of this party is {how}.",
        "Unmute it (in the page, the operating system, on the headset, or with POST /call/mute), or use another one.",
        after=0.5,
    ),
    Code.MICROPHONE_SILENT: Rule(
        Hop.MICROPHONE,
        BROKEN,
        "The browser sends silence: {how}.",
        "Choose another input device, raise its level, and check that the browser may use the microphone.",
        after=4.0,
        clear_after=0.5,
    ),
    Code.CLIPPING: Rule(
        Hop.MICROPHONE,
        DEGRADED,
        "This party's voice is distorted: {clippedPercent:.0f} % of its frames reach full scale.",
        "Lower the input level of the microphone, or switch off its boost.",
        after=1.0,
        clear_after=5.0,
    ),
    Code.TURN_REFUSED: Rule(
        Hop.NETWORK,
        BROKEN,
        "The TURN server refuses the browser (error {errorCode}).",
        "Compare turn.secret with the server's, and its clock with the bridge's; error 486 means that its quota is used up.",
    ),
    Code.TURN_MISSING: Rule(
        Hop.NETWORK,
        BROKEN,
        "The browser has private addresses only, none of its checks arrives, and no TURN server is set.",
        "Set turn.mode and turn.urls, or check rtc.stun_urls, rtc.external_address and the firewall.",
        after=3.0,
    ),
    Code.ICE_NO_CHECKS: Rule(
        Hop.NETWORK,
        BROKEN,
        "No STUN packet of this party has arrived.",
        "Open the UDP ports of rtc.ports in the firewall, set rtc.external_address to the public address, or offer TURN.",
        after=3.0,
    ),
    Code.ICE_ONE_WAY: Rule(
        Hop.NETWORK,
        BROKEN,
        "This party's connectivity checks arrive, but none of ours is answered.",
        "Let UDP from the ports of rtc.ports leave the firewall; behind such a NAT the browser needs TURN.",
        after=3.0,
    ),
    Code.DTLS_FINGERPRINT: Rule(
        Hop.NETWORK,
        BROKEN,
        "The certificate of this party is not the one that its session description names.",
        "Pass the offer and the answer on unchanged, and do not mix up those of two connections.",
    ),
    Code.DTLS_NO_ANSWER: Rule(
        Hop.NETWORK,
        BROKEN,
        "The network path is up, but the DTLS handshake does not finish.",
        "Check the MTU of VPNs on the path, and that no firewall filters DTLS.",
        after=3.0,
    ),
    Code.SRTP_REJECTED: Rule(
        Hop.NETWORK,
        BROKEN,
        "{rejectedPackets} packets of this party could not be decrypted.",
        "Close the earlier peer connection, which may still send with its own keys, and connect anew.",
        after=1.0,
    ),
    Code.CODEC_MISMATCH: Rule(
        Hop.NETWORK,
        BROKEN,
        "This party sends packets of a payload type that was not negotiated.",
        "Send the codec of the answer, with its payload type.",
        after=1.0,
    ),
    Code.BROWSER_SENDS_NOTHING: Rule(
        Hop.NETWORK,
        BROKEN,
        "The browser is connected, and has sent no audio packet.",
        "Add the microphone's track to the peer connection before the offer, with direction sendrecv.",
        clear_after=0.0,
    ),
    Code.NETWORK_STALLED: Rule(
        Hop.NETWORK,
        BROKEN,
        "Nothing arrives from this party any more: its last packet came {lastPacketSeconds:.0f} s ago.",
        "Wait for its network to come back; web/bridge.js restarts ICE by itself, other clients must.",
        clear_after=0.0,
    ),
    Code.NETWORK_LOSSY: Rule(
        Hop.NETWORK,
        DEGRADED,
        "{lossPercent:.0f} % of {packets} are lost.",
        "Use a cable or a nearer access point, or a TURN server close to the party.",
        clear_after=4.0,
    ),
    Code.NETWORK_JITTERY: Rule(
        Hop.NETWORK,
        DEGRADED,
        "This party's packets arrive unevenly: up to {jitterMs:.0f} ms after their time, {latePercent:.0f} % of them too late.",
        "Look for a busy network or CPU at the party; prefer a cable.",
        after=1.5,
        clear_after=4.0,
    ),
    Code.ROUND_TRIP_LONG: Rule(
        Hop.NETWORK,
        DEGRADED,
        "Packets to this party and back take {roundTripMs:.0f} ms.",
        "Run the bridge, or the TURN server, nearer to the party.",
        after=1.0,
        clear_after=5.0,
    ),
    Code.SOCKET_SENDS_NOTHING: Rule(
        Hop.SOCKET,
        BROKEN,
        "The media socket is open, and its client has sent no audio.",
        "Send binary messages in the documented format; see the page about sockets.",
        after=3.5,
        clear_after=0.0,
    ),
    Code.SOCKET_WRONG_FORMAT: Rule(
        Hop.SOCKET,
        BROKEN,
        "The socket's audio is noise: it looks like {looksLike}, and {expected} is expected.",
        "Send {expected}, or ask for another format when the socket is opened.",
        after=1.0,
        clear_after=3.0,
    ),
    Code.SOCKET_READER_SLOW: Rule(
        Hop.SOCKET,
        DEGRADED,
        "The socket's client reads too slowly: {droppedSeconds:.1f} s of audio for it were dropped.",
        "Read every message at once, and work on it elsewhere.",
        clear_after=5.0,
    ),
    Code.STREAM_UNREACHABLE: Rule(
        Hop.STREAM,
        BROKEN,
        "The media stream ended: {reason}.",
        "Check that the stream's WebSocket server answers, and that net.allow admits its address.",
    ),
    Code.AGENT_PROVIDER_FAILED: Rule(
        Hop.AGENT,
        BROKEN,
        "The agent's {step} failed: {reason}.",
        "Check URL, key and limits of this provider in the line's agent settings.",
        clear_after=5.0,
    ),
    Code.AGENT_SLOW: Rule(
        Hop.AGENT,
        DEGRADED,
        "The agent took {replySeconds:.1f} s to reply; most of it is {slowestStep}.",
        "Use a faster provider for {slowestStep}, a streaming one, or one that is nearer.",
        clear_after=5.0,
    ),
    Code.BRIDGE_OVERLOADED: Rule(
        Hop.BRIDGE,
        DEGRADED,
        "The bridge or its machine is overloaded: packets wait up to {lagMs:.0f} ms.",
        "Add nodes (BRIDGE_NODES) or machines, or lower limits.calls; if other programs hold the cores, move them away.",
        after=1.5,
        clear_after=3.0,
    ),
    Code.CRASHED_NODE: Rule(
        Hop.BRIDGE,
        BROKEN,
        "The bridge ended the call: two of its processes have crashed or hung while they worked on it.",
        "Report it, with the log of the two deaths (node.lost, node.stuck): no call may end a process.",
    ),
    Code.INTERRUPTED: Rule(
        Hop.BRIDGE,
        DEGRADED,
        "Nobody was heard for {silentMs} ms: another process of the bridge had to go on with the call ({cause}).",
        "Look in the log for node.lost, which has the exit code, and for what the node logged before.",
    ),
    Code.NOBODY_JOINED: Rule(
        Hop.BRIDGE,
        BROKEN,
        "The call was answered, and nobody is on this side of it.",
        "Post an offer, open a socket, or attach an agent, a stream or a playback to the call.",
        after=4.0,
        clear_after=0.0,
    ),
    Code.MUTED: Rule(
        Hop.BRIDGE,
        NOTICE,
        "This side of the call is muted.",
        "Unmute it: POST /call/mute with muted false.",
    ),
    Code.HELD: Rule(Hop.BRIDGE, NOTICE, "The call is on hold.", "Resume the call."),
    Code.RECORDING_FAILED: Rule(
        Hop.RECORDING,
        DEGRADED,
        "The call is not being recorded: {reason}.",
        "Check the disk space (recording.min_free_mb) and the recording settings.",
    ),
    Code.PROVIDER_REFUSED: Rule(
        Hop.SIGNALLING,
        BROKEN,
        "The provider refused the call: {reason}.",
        "Do what the provider's message asks for.",
    ),
    Code.PROVIDER_UNREACHABLE: Rule(
        Hop.SIGNALLING,
        BROKEN,
        "The provider is not available: {reason}.",
        "Check the line's provider URL and the network; run media-bridge doctor.",
    ),
    Code.SIP_REGISTRATION_FAILED: Rule(
        Hop.SIGNALLING,
        BROKEN,
        "The SIP trunk does not accept the line's account: {reason}.",
        "Check username, password and domain of lines.NAME.sip; run media-bridge doctor.",
    ),
    Code.TRUNK_UNREACHABLE: Rule(
        Hop.SIGNALLING,
        BROKEN,
        "The SIP trunk does not take calls: {reason}.",
        "Check lines.NAME.sip.trunk and the network; run media-bridge doctor, and ask the trunk's operator.",
    ),
    Code.CODEC_REFUSED: Rule(
        Hop.SIGNALLING,
        BROKEN,
        "The telephone side and the bridge do not agree on codec or encryption: {reason}.",
        "Compare codecs and srtp of lines.NAME.sip with what the trunk offers.",
    ),
    Code.ONE_WAY_RTP: Rule(
        Hop.PROVIDER_NETWORK,
        BROKEN,
        "This telephone is sent audio, and none of its packets has come in {lastPacketSeconds:.0f} s.",
        "Let UDP from the trunk's media servers reach rtc.ports, and set rtc.external_address: the bridge asks for audio at that address.",
        clear_after=0.0,
    ),
    Code.FAR_SENDS_NOTHING: Rule(
        Hop.PROVIDER_NETWORK,
        BROKEN,
        "Nobody hears the far party: it has sent no packet for {lastPacketSeconds:.0f} s.",
        "Let UDP from the provider reach rtc.ports, set rtc.external_address, and check that rtc.bind is the public interface.",
        clear_after=0.0,
    ),
    Code.FAR_NOT_HEARING: Rule(
        Hop.PROVIDER_NETWORK,
        BROKEN,
        "The far party does not receive our audio: its reports do not mention our packets.",
        "Let UDP from rtc.ports to the provider leave the firewall.",
        clear_after=0.0,
    ),
    Code.FAR_SILENT: Rule(
        Hop.FAR,
        BROKEN,
        "The far party sends silence: its level is {levelDbov:.0f} dBov.",
        "Ask the far party to unmute, or to choose another microphone.",
        after=6.8,
        clear_after=0.5,
    ),
    Code.ECHO_SUSPECTED: Rule(
        Hop.FAR,
        DEGRADED,
        "This party sends back what it hears, {delayMs:.0f} ms later.",
        "Use a headset, or switch on echo cancellation in this party's device.",
        clear_after=5.0,
    ),
    Code.SPEAKER_BLOCKED: Rule(
        Hop.SPEAKER,
        BROKEN,
        "The browser does not play the call: it waits for a click or a tap.",
        "Click anywhere in the page; call play() from a click handler.",
        after=0.5,
        clear_after=0.0,
    ),
    Code.SPEAKER_MISSING: Rule(
        Hop.SPEAKER,
        BROKEN,
        "The speaker that was chosen for the call is gone.",
        "Plug it in again, or choose another one.",
        after=0.5,
        clear_after=0.0,
    ),
}
