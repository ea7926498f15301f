"""A caller made of GStreamer's webrtcbin; its commands stand in tests/stacks/caller.py.

Debian's Python runs it, since Debian's bindings are for that one.
"""

import base64
import itertools
import json
import re
import struct
import sys
import threading
import time

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402

OPUS = (
    "application/x-rtp,media=audio,encoding-name=OPUS,payload=97,clock-rate=48000,"
    "encoding-params=(string)2"
)
VIDEO = "application/x-rtp,media=video,encoding-name=VP8,payload=96,clock-rate=90000"
CANDIDATES = re.compile(r"a=(candidate:.*|end-of-candidates)\r\n")
POLICIES = {"bundled": "max-bundle", "balanced": "max-bundle", "separate": "none"}
SLOT = 0.02
CAMERA = f"{VIDEO},ssrc=(uint)9"
PICTURES, PIECES, PIECE = 30, 8, b"\x10" + bytes(999)
"""A second, packets of each, and a packet's payload: 2 Mbit/s."""
SECONDS = 15.0


class Caller:
    """One webrtcbin that says packets over and over."""

    def __init__(self, packets, address):
        self.packets, self.address = packets, address
        self.replies = []
        self.heard = None
        self.muted = False
        self.began = 0.0

    def open(self, lines, bundle, relay=None, certificate=None, semantics=None, camera=False, **_):
        if semantics == "plan-b":
            return {"cannot": "it speaks Unified Plan only"}
        if certificate == "ecdsa":
            return {"cannot": "GStreamer makes RSA certificates only"}
        self.pipe = Gst.parse_launch(
            f"webrtcbin name=peer bundle-policy={POLICIES[bundle]} "
            "appsrc name=voice is-live=true format=time "
            "caps=audio/x-opus,rate=48000,channels=2,channel-mapping-family=0 ! "
            f"rtpopuspay pt=97 ! {OPUS} ! queue name=sound"
            + f" appsrc name=camera is-live=true format=time caps={CAMERA} ! queue name=picture"
            * camera
        )
        self.peer, self.voice = self.pipe.get_by_name("peer"), self.pipe.get_by_name("voice")
        self.peer.connect("pad-added", self.pad_added)
        # Kept, for the bindings take the only reference there is.
        self.agent = self.peer.get_property("ice-agent")
        self.agent.emit("add-local-ip-address", self.address)
        if relay:
            host, _, query = relay["urls"].removeprefix("turn:").partition("?")
            user = GLib.uri_escape_string(relay["username"], None, False)
            password = GLib.uri_escape_string(relay["credential"], None, False)
            self.peer.set_property("turn-server", f"turn://{user}:{password}@{host}?{query}")
            self.peer.set_property("ice-transport-policy", GstWebRTC.WebRTCICETransportPolicy.RELAY)
        self.pipe.set_state(Gst.State.READY)
        for line in lines:
            if line == "audio":
                self.pipe.get_by_name("sound").link(self.peer)
            elif line == "video" and camera:
                self.pipe.get_by_name("picture").link(self.peer)
            elif line == "video":
                recvonly = GstWebRTC.WebRTCRTPTransceiverDirection.RECVONLY
                self.peer.emit("add-transceiver", recvonly, Gst.Caps.from_string(VIDEO))
            else:
                self.channel = self.peer.emit("create-data-channel", "chat", None)
        self.lines = lines
        media = [line for line in lines if line != "data"]
        self.audio = self.peer.emit("get-transceiver", media.index("audio"))
        self.pipe.set_state(Gst.State.PLAYING)
        threading.Thread(target=self.speak, daemon=True).start()
        if camera:
            threading.Thread(target=self.film, daemon=True).start()
        return {}

    def offer(self, restart=False, trickle=False, address=None, **_):
        if address:
            self.agent.emit("add-local-ip-address", address)
        options = Gst.Structure.new_empty("options")
        if restart:
            options.set_value("ice-restart", True)
        until = time.monotonic() + SECONDS
        while True:
            offer = self.ask("create-offer", options).get_value("offer")
            if offer.sdp.medias_len() == len(self.lines):
                break
            if time.monotonic() > until:
                raise TimeoutError("what it is to send is not known")
            time.sleep(0.02)
        self.ask("set-local-description", offer)
        complete = GstWebRTC.WebRTCICEGatheringState.COMPLETE
        while not trickle and self.peer.get_property("ice-gathering-state") != complete:
            time.sleep(0.01)
        text = self.peer.get_property("local-description").sdp.as_text()
        return {"sdp": CANDIDATES.sub("", text) if trickle else text}

    def accept(self, sdp, wait=True, **_):
        _, message = GstSdp.SDPMessage.new()
        GstSdp.sdp_message_parse_buffer(sdp.encode(), message)
        kind = GstWebRTC.WebRTCSDPType.ANSWER
        self.ask("set-remote-description", GstWebRTC.WebRTCSessionDescription.new(kind, message))
        state, until = GstWebRTC.WebRTCPeerConnectionState, time.monotonic() + SECONDS
        while wait and (now := self.peer.get_property("connection-state")) != state.CONNECTED:
            if now == state.FAILED or time.monotonic() > until:
                raise ConnectionError(f"it is {now.value_nick}")
            time.sleep(0.01)
        return {}

    def hold(self, held, **_):
        directions = GstWebRTC.WebRTCRTPTransceiverDirection
        wanted = directions.INACTIVE if held else directions.SENDRECV
        self.audio.set_property("direction", wanted)
        return {}

    def mute(self, muted, **_):
        self.muted = muted
        return {}

    def press(self, **_):
        return {
            "cannot": "rtpopuspay sends Opus alone, and webrtcbin takes one payload type a line"
        }

    def hear(self, seconds, **_):
        self.heard = []
        time.sleep(seconds)
        packets, self.heard = self.heard, None
        return {"packets": packets}

    def close(self, **_):
        self.pipe.set_state(Gst.State.NULL)
        return {}

    def ask(self, signal, argument):
        """Emit a signal that replies by a promise, and return the reply."""
        promise = Gst.Promise.new()
        self.peer.emit(signal, argument, promise)
        promise.wait()
        reply = promise.get_reply()
        self.replies.append((promise, reply))  # the bindings would free what is in a reply with it
        if reply is not None and reply.has_field("error"):
            raise ConnectionError(reply.get_value("error").message)
        return reply

    def speak(self):
        self.began = time.monotonic()
        first = self.pipe.get_pipeline_clock().get_time() - self.pipe.get_base_time()
        number = 0
        while True:
            time.sleep(max(0.0, self.began + number * SLOT - time.monotonic()))
            packet = self.packets[number % len(self.packets)]
            if packet is not None and not self.muted:
                buffer = Gst.Buffer.new_wrapped(packet)
                buffer.pts = first + round(number * SLOT * Gst.SECOND)
                self.voice.emit("push-buffer", buffer)
            number += 1

    def film(self):
        camera, first = self.pipe.get_by_name("camera"), time.monotonic()
        for number in itertools.count():
            picture = number // PIECES
            time.sleep(max(0.0, first + picture / PICTURES - time.monotonic()))
            header = struct.pack(
                "!BBHII", 0x80, 96, number & 0xFFFF, 3000 * picture & 0xFFFFFFFF, 9
            )
            buffer = Gst.Buffer.new_wrapped(header + PIECE)
            buffer.pts = round(picture / PICTURES * Gst.SECOND)
            camera.emit("push-buffer", buffer)

    def pad_added(self, _, pad):
        if pad.direction == Gst.PadDirection.SRC:
            depay, sink = (Gst.ElementFactory.make(name) for name in ("rtpopusdepay", "fakesink"))
            sink.set_property("sync", False)
            sink.set_property("async", False)
            for element in (depay, sink):
                self.pipe.add(element)
                element.sync_state_with_parent()
            depay.link(sink)
            depay.get_static_pad("src").add_probe(Gst.PadProbeType.BUFFER, self.take_payload)
            pad.link(depay.get_static_pad("sink"))

    def take_payload(self, _, info):
        if (heard := self.heard) is not None:
            buffer = info.get_buffer()
            payload = base64.b64encode(buffer.extract_dup(0, buffer.get_size())).decode()
            heard.append((time.monotonic() - self.began, payload))
        return Gst.PadProbeReturn.OK


def answer(caller, command):
    """Run a command; one that fails is replied to with `error`."""
    try:
        return getattr(caller, command.pop("do"))(**command)
    except Exception as error:
        missing = "not implemented" in str(error)
        return {"cannot" if missing else "error": str(error) or repr(error)}


def main():
    Gst.init(None)
    with open(sys.argv[1]) as file:
        coded = json.load(file)["packets"]
    packets = [None if text is None else base64.b64decode(text) for text in coded]
    caller = Caller(packets, sys.argv[2])
    threading.Thread(target=GLib.MainLoop().run, daemon=True).start()
    for line in sys.stdin:
        print(json.dumps(answer(caller, json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
