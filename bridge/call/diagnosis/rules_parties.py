"""Rules of what is wrong between a party and the bridge: microphones, speakers, networks."""

from collections.abc import Mapping
from typing import Final

from bridge.call.diagnosis.codes import Code, Hop, Rule, Severity

NOTICE, DEGRADED, BROKEN = Severity

FILTERED_FIX: Final = (
    "Echo cancellation and noise suppression take music, tones and hums for noise: speak, or switch them off "
    "(in the page, or with getUserMedia's echoCancellation and noiseSuppression)."
)
"""Where a browser's filters leave nothing of its microphone."""

PARTIES: Final[Mapping[Code, Rule]] = {
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
