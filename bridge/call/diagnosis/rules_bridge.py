"""Rules of what is wrong in the bridge, with its recordings, and in the signalling of providers."""

from collections.abc import Mapping
from typing import Final

from bridge.call.diagnosis.codes import Code, Hop, Rule, Severity

NOTICE, DEGRADED, BROKEN = Severity

BRIDGE: Final[Mapping[Code, Rule]] = {
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
}
