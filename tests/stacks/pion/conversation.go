package main

import (
	"encoding/binary"
	"encoding/json"
	"math/rand"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v3"
)

const slot = 20 * time.Millisecond

// voice is a track that may send more than one payload type: sound and telephone-events.
type voice struct {
	id           string
	conversation *conversation
}

func (v *voice) Bind(context webrtc.TrackLocalContext) (webrtc.RTPCodecParameters, error) {
	for _, codec := range context.CodecParameters() {
		if strings.EqualFold(codec.MimeType, webrtc.MimeTypeOpus) {
			v.conversation.bind(&context, uint8(codec.PayloadType))
			return codec, nil
		}
	}
	return webrtc.RTPCodecParameters{}, webrtc.ErrUnsupportedCodec
}

func (v *voice) Unbind(webrtc.TrackLocalContext) error {
	v.conversation.bind(nil, 0)
	return nil
}

func (v *voice) ID() string                { return v.id }
func (v *voice) RID() string               { return "" }
func (v *voice) StreamID() string          { return "caller" }
func (v *voice) Kind() webrtc.RTPCodecType { return webrtc.RTPCodecTypeAudio }

// conversation says packets over and over, one every 20 ms, and keeps what is heard with its time.
type conversation struct {
	lock        sync.Mutex
	packets     [][]byte
	began       time.Time
	context     *webrtc.TrackLocalContext
	payloadType uint8
	sequence    uint16
	muted       bool
	digit       int
	digitFirst  int
	listening   bool
	heard       [][]interface{}
}

func newConversation(file string) *conversation {
	text, err := os.ReadFile(file)
	must(err)
	var sound struct{ Packets [][]byte }
	must(json.Unmarshal(text, &sound))
	return &conversation{packets: sound.Packets, sequence: uint16(rand.Intn(1 << 15)), digit: -1}
}

func (c *conversation) bind(context *webrtc.TrackLocalContext, payloadType uint8) {
	c.lock.Lock()
	defer c.lock.Unlock()
	c.context, c.payloadType = context, payloadType
}

func (c *conversation) start() {
	if !c.began.IsZero() {
		return
	}
	c.began = time.Now()
	go func() {
		for number := 0; ; number++ {
			time.Sleep(time.Until(c.began.Add(time.Duration(number) * slot)))
			c.say(number)
		}
	}()
}

func (c *conversation) say(number int) {
	c.lock.Lock()
	defer c.lock.Unlock()
	if c.digit >= 0 {
		c.sayDigit(number)
	} else if packet := c.packets[number%len(c.packets)]; packet != nil && !c.muted {
		c.send(packet, uint32(number*960), c.payloadType)
	}
}

// sayDigit sends a telephone-event (RFC 4733) of 100 ms instead of the sound; its end three times.
func (c *conversation) sayDigit(number int) {
	if c.digitFirst < 0 {
		c.digitFirst = number
	}
	packets := number - c.digitFirst + 1
	payload := []byte{byte(c.digit), 0x0a, 0, 0}
	if packets >= 5 {
		payload[1] |= 0x80
	}
	if packets < 5 {
		binary.BigEndian.PutUint16(payload[2:], uint16(packets*160))
	} else {
		binary.BigEndian.PutUint16(payload[2:], 800)
	}
	c.send(payload, uint32(c.digitFirst*960), eventsType)
	if packets == 7 {
		c.digit = -1
	}
}

func (c *conversation) send(payload []byte, timestamp uint32, payloadType uint8) {
	if c.context == nil {
		return
	}
	c.sequence++
	header := &rtp.Header{
		Version: 2, PayloadType: payloadType, SequenceNumber: c.sequence, Timestamp: timestamp,
		SSRC: uint32(c.context.SSRC()),
	}
	_, _ = c.context.WriteStream().WriteRTP(header, payload) // fails while nothing is connected
}

func (c *conversation) mute(muted bool) {
	c.lock.Lock()
	defer c.lock.Unlock()
	c.muted = muted
}

func (c *conversation) press(digit string) {
	c.lock.Lock()
	defer c.lock.Unlock()
	c.digit, c.digitFirst = strings.Index("0123456789*#ABCD", digit), -1
}

func (c *conversation) take(payload []byte) {
	c.lock.Lock()
	defer c.lock.Unlock()
	if c.listening {
		c.heard = append(c.heard, []interface{}{time.Since(c.began).Seconds(), payload})
	}
}

func (c *conversation) hear(seconds float64) [][]interface{} {
	c.lock.Lock()
	c.listening, c.heard = true, [][]interface{}{}
	c.lock.Unlock()
	time.Sleep(time.Duration(seconds * float64(time.Second)))
	c.lock.Lock()
	defer c.lock.Unlock()
	c.listening = false
	return c.heard
}
