// A caller made of Pion; how it is spoken to stands in tests/stacks/caller.py.
package main

import (
	"bufio"
	"encoding/json"
	"os"
	"strings"
	"time"

	"github.com/pion/webrtc/v3"
	"github.com/pion/webrtc/v3/pkg/media"
)

const heardEnough = 25

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	var sound [][]byte
	text, err := os.ReadFile(os.Args[2])
	must(err)
	must(json.Unmarshal(text, &sound))

	engine := &webrtc.MediaEngine{}
	must(engine.RegisterDefaultCodecs())
	settings := webrtc.SettingEngine{}
	settings.SetIncludeLoopbackCandidate(true)
	api := webrtc.NewAPI(webrtc.WithMediaEngine(engine), webrtc.WithSettingEngine(settings))
	peer, err := api.NewPeerConnection(webrtc.Configuration{})
	must(err)
	track, err := webrtc.NewTrackLocalStaticSample(
		webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus}, "audio", "caller")
	must(err)
	for _, kind := range strings.Split(os.Args[1], ",") {
		switch kind {
		case "audio":
			_, err = peer.AddTrack(track)
		case "video":
			_, err = peer.AddTransceiverFromKind(webrtc.RTPCodecTypeVideo)
		case "data":
			_, err = peer.CreateDataChannel("chat", nil)
		}
		must(err)
	}
	connected := make(chan struct{})
	peer.OnConnectionStateChange(func(state webrtc.PeerConnectionState) {
		if state == webrtc.PeerConnectionStateConnected {
			close(connected)
		}
	})
	output := json.NewEncoder(os.Stdout)
	peer.OnTrack(func(remote *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		var heard [][]byte
		for len(heard) < heardEnough {
			packet, _, err := remote.ReadRTP()
			must(err)
			heard = append(heard, packet.Payload)
		}
		must(output.Encode(map[string]interface{}{"heard": heard}))
		os.Exit(0)
	})

	gathered := webrtc.GatheringCompletePromise(peer)
	offer, err := peer.CreateOffer(nil)
	must(err)
	must(peer.SetLocalDescription(offer))
	<-gathered
	must(output.Encode(map[string]string{"offer": peer.LocalDescription().SDP}))
	line, err := bufio.NewReader(os.Stdin).ReadBytes('\n')
	must(err)
	var reply struct{ Answer string }
	must(json.Unmarshal(line, &reply))
	must(peer.SetRemoteDescription(
		webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: reply.Answer}))
	<-connected
	ticker := time.NewTicker(20 * time.Millisecond)
	for number := 0; ; number++ {
		must(track.WriteSample(
			media.Sample{Data: sound[number%len(sound)], Duration: 20 * time.Millisecond}))
		<-ticker.C
	}
}
