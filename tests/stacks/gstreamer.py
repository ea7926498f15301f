"""A caller made of GStreamer's webrtcbin; how it is spoken to stands in tests/stacks/caller.py.

Debian's Python runs it, since Debian's bindings are for that one.
"""

import base64
import json
import sys
import threading

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402

HEARD_ENOUGH = 25
OPUS = (
    "application/x-rtp,media=audio,encoding-name=OPUS,payload=97,clock-rate=48000,"
    "encoding-params=(string)2"
)
VIDEO = "application/x-rtp,media=video,encoding-name=VP8,payload=96,clock-rate=90000"


class Caller:
    """One webrtcbin that says a tone."""

    def __init__(self, lines, bundle):
        self.lines = lines
        self.heard = []
        self.loop = GLib.MainLoop()
        self.pipe = Gst.parse_launch(
            f"webrtcbin name=peer bundle-policy={bundle} "
            "audiotestsrc is-live=true freq=440 volume=0.3 samplesperbuffer=960 ! audioconvert ! "
            f"audioresample ! opusenc ! rtpopuspay pt=97 ! {OPUS} ! queue name=voice"
        )
        self.peer = self.pipe.get_by_name("peer")
        self.peer.connect("pad-added", self.pad_added)
        self.peer.connect("notify::ice-gathering-state", self.gathered)
        # Kept, for the bindings take the only reference there is.
        self.agent = self.peer.get_property("ice-agent")
        self.agent.emit("add-local-ip-address", "127.0.0.1")

    def run(self):
        self.pipe.set_state(Gst.State.READY)
        for line in self.lines:
            if line == "audio":
                self.pipe.get_by_name("voice").link(self.peer)
            elif line == "video":
                recvonly = GstWebRTC.WebRTCRTPTransceiverDirection.RECVONLY
                self.peer.emit("add-transceiver", recvonly, Gst.Caps.from_string(VIDEO))
            else:
                self.peer.emit("create-data-channel", "chat", None)
        self.pipe.set_state(Gst.State.PLAYING)
        GLib.idle_add(self.create_offer)
        self.loop.run()
        self.pipe.set_state(Gst.State.NULL)

    def create_offer(self):
        self.peer.emit("create-offer", None, Gst.Promise.new_with_change_func(self.offered))

    def offered(self, promise):
        reply = promise.get_reply()
        offer = reply.get_value("offer")
        if offer.sdp.medias_len() < len(self.lines):  # what it is to send is not known yet
            GLib.timeout_add(20, self.create_offer)
        else:
            self.peer.emit("set-local-description", offer, Gst.Promise.new())

    def gathered(self, peer, _):
        complete = GstWebRTC.WebRTCICEGatheringState.COMPLETE
        if peer.get_property("ice-gathering-state") == complete:
            offer = peer.get_property("local-description").sdp.as_text()
            print(json.dumps({"offer": offer}), flush=True)
            threading.Thread(target=self.take_answer, daemon=True).start()

    def take_answer(self):
        text = json.loads(sys.stdin.readline())["answer"]
        _, message = GstSdp.SDPMessage.new()
        GstSdp.sdp_message_parse_buffer(text.encode(), message)
        answer = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, message)
        promise = Gst.Promise.new()
        self.peer.emit("set-remote-description", answer, promise)
        promise.wait()
        reply = promise.get_reply()
        if reply is not None and reply.has_field("error"):
            print(reply.get_value("error").message, file=sys.stderr, flush=True)
            GLib.idle_add(self.loop.quit)

    def pad_added(self, _, pad):
        if pad.direction == Gst.PadDirection.SRC:
            depay, sink = (Gst.ElementFactory.make(name) for name in ("rtpopusdepay", "fakesink"))
            for element in (depay, sink):
                self.pipe.add(element)
                element.sync_state_with_parent()
            depay.link(sink)
            depay.get_static_pad("src").add_probe(Gst.PadProbeType.BUFFER, self.take_payload)
            pad.link(depay.get_static_pad("sink"))

    def take_payload(self, _, info):
        buffer = info.get_buffer()
        payload = buffer.extract_dup(0, buffer.get_size())
        self.heard.append(base64.b64encode(payload).decode())
        if len(self.heard) == HEARD_ENOUGH:
            print(json.dumps({"heard": self.heard}), flush=True)
            GLib.idle_add(self.loop.quit)
        return Gst.PadProbeReturn.OK


if __name__ == "__main__":
    Gst.init(None)
    Caller(sys.argv[1].split(","), sys.argv[3]).run()
