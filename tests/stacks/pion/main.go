// A caller made of Pion; its commands stand in tests/stacks/caller.py.
package main

import (
	"bufio"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"regexp"
	"runtime/debug"
	"time"

	"github.com/pion/ice/v2"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v3"
)

const eventsType = 101

var candidates = regexp.MustCompile(`a=(candidate:.*|end-of-candidates)\r\n`)

type server struct {
	Urls       string
	Username   string
	Credential string
}

type command struct {
	Do          string
	Lines       []string
	Bundle      string
	Certificate string
	Relay       *server
	Semantics   string
	Tracks      int
	Camera      bool
	Mdns        bool
	Restart     bool
	Trickle     bool
	Sdp         string
	Held        bool
	Muted       bool
	Digit       string
	Seconds     float64
	Address     string
	Wait        bool
}

type reply map[string]interface{}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

type caller struct {
	address string
	voice   *voice
	peer    *webrtc.PeerConnection
	sender  *webrtc.RTPSender
}

func (c *caller) open(wanted command) reply {
	engine := &webrtc.MediaEngine{}
	must(engine.RegisterDefaultCodecs())
	must(engine.RegisterCodec(webrtc.RTPCodecParameters{
		RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: "audio/telephone-event", ClockRate: 8000},
		PayloadType:        eventsType,
	}, webrtc.RTPCodecTypeAudio))
	settings := webrtc.SettingEngine{}
	settings.SetIncludeLoopbackCandidate(true)
	settings.SetIPFilter(func(ip net.IP) bool { return ip.String() == c.address })
	if wanted.Mdns {
		settings.SetICEMulticastDNSMode(ice.MulticastDNSModeQueryAndGather)
	}
	configuration := webrtc.Configuration{}
	if wanted.Certificate != "" {
		configuration.Certificates = []webrtc.Certificate{certificate(wanted.Certificate)}
	}
	if wanted.Relay != nil {
		configuration.ICETransportPolicy = webrtc.ICETransportPolicyRelay
		configuration.ICEServers = []webrtc.ICEServer{{
			URLs: []string{wanted.Relay.Urls}, Username: wanted.Relay.Username, Credential: wanted.Relay.Credential,
		}}
	}
	if wanted.Semantics == "plan-b" {
		configuration.SDPSemantics = webrtc.SDPSemanticsPlanB
	}
	api := webrtc.NewAPI(webrtc.WithMediaEngine(engine), webrtc.WithSettingEngine(settings))
	peer, err := api.NewPeerConnection(configuration)
	must(err)
	c.peer = peer
	for _, kind := range wanted.Lines {
		switch kind {
		case "audio":
			for number := 0; number < wanted.Tracks; number++ {
				c.sender, err = peer.AddTrack(&voice{id: fmt.Sprintf("audio%d", number), conversation: c.voice.conversation})
				must(err)
			}
		case "video":
			if wanted.Camera {
				err = film(peer)
			} else {
				_, err = peer.AddTransceiverFromKind(webrtc.RTPCodecTypeVideo)
			}
		case "data":
			_, err = peer.CreateDataChannel("chat", nil)
		}
		must(err)
	}
	peer.OnTrack(func(remote *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		for {
			packet, _, err := remote.ReadRTP()
			if err != nil {
				return
			}
			c.voice.conversation.take(packet.Payload)
		}
	})
	return reply{}
}

// film sends packets of video over and over: 30 pictures a second of 8 packets each, 2 Mbit/s.
func film(peer *webrtc.PeerConnection) error {
	track, err := webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8}, "camera", "caller")
	if err != nil {
		return err
	}
	go func() {
		payload := make([]byte, 1000)
		for number := 0; ; number++ {
			if number%8 == 0 {
				time.Sleep(time.Second / 30)
			}
			_ = track.WriteRTP(&rtp.Packet{
				Header:  rtp.Header{Version: 2, SequenceNumber: uint16(number), Timestamp: uint32(number / 8 * 3000)},
				Payload: payload,
			})
		}
	}()
	_, err = peer.AddTrack(track)
	return err
}

func certificate(kind string) webrtc.Certificate {
	var key crypto.PrivateKey
	var err error
	if kind == "rsa" {
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	} else {
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	must(err)
	made, err := webrtc.GenerateCertificate(key)
	must(err)
	return *made
}

func (c *caller) offer(wanted command) reply {
	if wanted.Address != "" {
		c.address = wanted.Address
	}
	offer, err := c.peer.CreateOffer(&webrtc.OfferOptions{ICERestart: wanted.Restart})
	must(err)
	gathered := webrtc.GatheringCompletePromise(c.peer)
	must(c.peer.SetLocalDescription(offer))
	if wanted.Trickle {
		return reply{"sdp": candidates.ReplaceAllString(c.peer.LocalDescription().SDP, "")}
	}
	<-gathered
	return reply{"sdp": c.peer.LocalDescription().SDP}
}

func (c *caller) accept(wanted command) reply {
	must(c.peer.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: wanted.Sdp}))
	for waited := 0; wanted.Wait && c.peer.ConnectionState() != webrtc.PeerConnectionStateConnected; waited++ {
		if waited > 1500 || c.peer.ConnectionState() == webrtc.PeerConnectionStateFailed {
			panic("it is " + c.peer.ConnectionState().String())
		}
		time.Sleep(10 * time.Millisecond)
	}
	c.voice.conversation.start()
	return reply{}
}

// Pion has no direction to set: a track is removed and added again.
func (c *caller) hold(held bool) reply {
	if held {
		must(c.peer.RemoveTrack(c.sender))
		return reply{}
	}
	var err error
	c.sender, err = c.peer.AddTrack(&voice{id: "audio0", conversation: c.voice.conversation})
	must(err)
	return reply{}
}

func (c *caller) run(wanted command) reply {
	conversation := c.voice.conversation
	switch wanted.Do {
	case "open":
		return c.open(wanted)
	case "offer":
		return c.offer(wanted)
	case "accept":
		return c.accept(wanted)
	case "hold":
		return c.hold(wanted.Held)
	case "mute":
		conversation.mute(wanted.Muted)
	case "press":
		conversation.press(wanted.Digit)
	case "hear":
		return reply{"packets": conversation.hear(wanted.Seconds)}
	case "close":
		must(c.peer.Close())
	}
	return reply{}
}

// answer runs a command; one that fails is replied to with `error`.
func (c *caller) answer(wanted command) (answered reply) {
	defer func() {
		if problem := recover(); problem != nil {
			answered = reply{"error": fmt.Sprintf("%v\n%s", problem, debug.Stack())}
		}
	}()
	return c.run(wanted)
}

func main() {
	c := &caller{address: os.Args[2], voice: &voice{conversation: newConversation(os.Args[1])}}
	lines := bufio.NewReader(os.Stdin)
	output := json.NewEncoder(os.Stdout)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		wanted := command{Tracks: 1, Wait: true}
		must(json.Unmarshal(line, &wanted))
		must(output.Encode(c.answer(wanted)))
	}
}
