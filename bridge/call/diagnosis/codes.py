"""The closed set of codes of problems, and what a rule of each says."""

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Hop(StrEnum):
    """The stations of a call's audio, in the order in which it passes them."""

    MICROPHONE = "browser.microphone"
    NETWORK = "browser.network"
    BOT = "bot"
    """A bot that is a WebRTC peer; the others are what they are connected as."""
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
    BOT_NOT_CONNECTED = "bot_not_connected"
    BOT_REFUSED = "bot_refused"
    BOT_PROVIDER_REFUSED = "bot_provider_refused"
    BOT_MESSAGES_IGNORED = "bot_messages_ignored"
    BOT_SENDS_NOTHING = "bot_sends_nothing"
    BOT_NO_ANSWER = "bot_no_answer"
    BOT_NOT_HEARD = "bot_not_heard"
    BOT_SPOKE_EARLY = "bot_spoke_early"
    BOT_WRONG_FORMAT = "bot_wrong_format"
    BOT_WRONG_RATE = "bot_wrong_rate"
    BOT_FALLS_BEHIND = "bot_falls_behind"
    BOT_CLIPS = "bot_clips"
    BOT_QUIET = "bot_quiet"
    BOT_HEARS_ITSELF = "bot_hears_itself"
    BOT_TALKS_OVER = "bot_talks_over"
    BOT_READS_SLOWLY = "bot_reads_slowly"
    BOT_FUNCTION_HANGS = "bot_function_hangs"
    BOT_FUNCTION_FAILED = "bot_function_failed"
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
