/* The packet path: expected RTP packets, from socket to socket without Python.
 *
 * A transport has one source and one sink. What they expect, and what has happened to them, lies in C: Python copies
 * a `state` in when it offloads a stream to this path, and out when it syncs, with what was recorded meanwhile in a
 * `record`. Positions and timestamps that are not wrapped count at 48 kHz, times are monotonic seconds, sizes bytes.
 *
 * 1. Two mutexes a transport: the source's covers what receives (the source, its decoder, libsrtp's context for
 *    receiving, the peer's address, reading a socket), the sink's covers what sends (the sink, its encoder, libsrtp's
 *    context for sending, the socket and address in use).
 * 2. Each function below is one step: it locks, copies or works, and unlocks. None calls Python, none returns with a
 *    lock held. The thread takes a source's lock and then that of the sink it feeds; nothing else takes two.
 * 3. A sink's number and its protection lie in one critical section, so no SRTP index is used twice.
 * 4. What is not expected goes untouched and in order into one ring, which Python drains; it may have become the
 *    expected packet by then, and is processed here after all. While RTP packets of a transport wait in the ring, only
 *    the very next packet of its stream is taken, none after a gap: what is missing may be one of those.
 * 5. A frame for Python waits in the ring too: `packet_next_frame` returns those of a source whose offload has ended.
 * 6. A socket is closed after `packet_socket_remove`; its structure is freed when neither a round nor the ring knows it.
 *
 * cffi reads this file too: it has declarations only. Nothing here allocates per packet.
 */

#define PACKET_RECORDED 128 /* packets of an offload between two syncs, at most */
#define PACKET_WARMUP 5     /* newest payloads or frames kept, as decoders and encoders need to warm up */
#define PACKET_MAX 1500     /* of a datagram */
#define PACKET_PAYLOAD 1275 /* of a payload that is sent */
#define PACKET_COPIES 32768 /* bytes of payloads or frames copied for taps between two syncs, at most */
#define PACKET_FRAME 320    /* samples of a frame, at 16 kHz */
#define PACKET_SAMPLES 1920 /* of a decoded Opus packet, at 16 kHz */
#define PACKET_BUFFER 2048  /* bytes for a datagram, or for a packet and the tag behind it */
#define PACKET_ADDRESS 28   /* bytes of a `struct sockaddr_in6` */
#define PACKET_RESERVED 64  /* numbers of a stream that are noted as used at once */

/* What Python has to look at. */
#define PACKET_NONE 0     /* nothing */
#define PACKET_DATAGRAM 1 /* a datagram, untouched */
#define PACKET_PLAIN 2    /* an unprotected RTP packet: expected, but for its payload */
#define PACKET_FRAMED 3   /* a frame, at `position` */

/* What a sink is offloaded for. */
#define SINK_IDLE 0
#define SINK_FRAMES 1
#define SINK_PACKETS 2

/* What libsrtp does with a packet. */
#define SRTP_PROTECT 0
#define SRTP_PROTECT_RTCP 1
#define SRTP_UNPROTECT 2
#define SRTP_UNPROTECT_RTCP 3

/* Why a datagram goes to Python: REASONS in packet_path.py. */
#define REASON_SIGNALLING 0 /* STUN, DTLS, RTCP, and what is nothing of these */
#define REASON_IDLE 1       /* the source is not offloaded */
#define REASON_ADDRESS 2    /* not from the peer's address */
#define REASON_HEADER 3     /* another sequence number, timestamp, SSRC or format */
#define REASON_SINK 4       /* the sink is not continued by it */
#define REASON_FULL 5       /* what was recorded has to be synced first, or too many packets came in a second */
#define REASON_SRTP 6       /* it cannot be unprotected */
#define REASON_PAYLOAD 7    /* of another length, or not to be forwarded as it is */
#define REASON_FRAME 8      /* a frame that Python takes */
#define REASONS 9

/* What of a source's packets is copied for taps. */
#define TAP_NOTHING 0
#define TAP_PACKETS 1
#define TAP_FRAMES 2

/* Who wants a source's frames. */
#define FRAMES_UNWANTED 0
#define FRAMES_DECODED 1 /* its sink, or taps */
#define FRAMES_AT_ONCE 2 /* Python */

/* What payloads are encoded with. */
#define CODEC_OPUS 0
#define CODEC_PCMU 1
#define CODEC_PCMA 2

#define G711_OCTETS 160      /* of a frame */
#define G711_TICK 6          /* positions in a tick of its RTP clock */
#define G711_PAST_CODES 31   /* samples at 8 kHz that decoding continues */
#define G711_PAST_SAMPLES 62 /* samples at 16 kHz that encoding continues */

/* Functions of libsrtp and libopus, where the process has loaded them. */
typedef struct {
    int (*srtp_protect)(void *session, void *packet, int *size);
    int (*srtp_protect_rtcp)(void *session, void *packet, int *size);
    int (*srtp_unprotect)(void *session, void *packet, int *size);
    int (*srtp_unprotect_rtcp)(void *session, void *packet, int *size);
    int (*opus_decode)(void *decoder, const uint8_t *packet, int32_t size, int16_t *pcm, int samples, int fec);
    int32_t (*opus_encode)(void *encoder, const int16_t *pcm, int samples, uint8_t *packet, int32_t size);
} packet_libraries;

/* bridge.rtp.level_meter */
typedef struct {
    double level_dbov;
    double silent_seconds;
    double quiet_since; /* NaN while it is not quiet */
    int64_t levels;
    int64_t quiet;
    int64_t measured;
    int64_t clipped;
} packet_meter;

/* One outgoing stream: bridge.wire.rtp.stream, and of bridge.rtp.sender what changes with a packet. */
typedef struct {
    int64_t sequence;
    int64_t timestamp;
    int64_t end;
    int64_t offset;
    int64_t packets;
    int64_t octets;
    double last_time;
    int64_t forwarded_packets;
    int64_t max_samples; /* of a forwarded packet, at 48 kHz */
    double covered;      /* bridge.rtp.silence_filler, of a continuous stream */
    int32_t continuous;
    uint32_t ssrc;
    int32_t codec;     /* CODEC_* */
    int16_t past[G711_PAST_SAMPLES]; /* of G.711's encoder */
    int32_t forwarded; /* the source's sequence number of the newest packet */
    uint64_t sent;     /* which of the newest sequence numbers were used, the newest in the lowest bit */
    int64_t dropped;
    int32_t payload_type;
    packet_meter meter;
    int32_t kept;     /* payloads or frames of this offload; from PACKET_WARMUP on, modulo it */
    int32_t recorded; /* packets forwarded since it was synced */
    uintptr_t used;   /* address of two pairs of bridge.wire.rtp.used_numbers; 0 for none */
} packet_sink_state;

typedef struct {
    double times[PACKET_RECORDED];
    uint16_t sizes[PACKET_RECORDED];
    uint16_t kept_sizes[PACKET_WARMUP];
    uint8_t payloads[PACKET_WARMUP][PACKET_PAYLOAD];
    int16_t frames[PACKET_WARMUP][PACKET_FRAME];
} packet_sink_record;

/* One incoming stream: the next packet of bridge.rtp.fast_path, and what happened to the ones before. */
typedef struct {
    uint32_t header_pattern; /* the first two bytes of its header, without the marker */
    uint32_t ssrc;
    uint32_t timestamp;
    int32_t sequence;
    int32_t samples; /* of a packet, at 48 kHz */
    int32_t ticks;   /* the same at the RTP clock */
    int32_t codec;   /* CODEC_*; of any but Opus, packets have 20 ms */
    int16_t past[G711_PAST_CODES]; /* of G.711's decoder */
    int64_t position;   /* of the next packet; not rounded */
    double accepted_at; /* when the packet before it came */
    int64_t renumbering;
    int32_t level_id; /* of the header extension with levels (RFC 6464); -1 without one */
    int32_t reported; /* whether it carried one the last time it was read */
    int64_t warmup_count;
    packet_meter meter;
    double clock_rate; /* bridge.wire.rtp.reception */
    double jitter;
    double peak;
    double peak_before;
    double peak_until;
    double last_arrival;
    uint32_t last_timestamp;
    int32_t recorded; /* packets since it was synced */
    int32_t breaks;   /* of these, the ones that were not the next one: after a gap, or late */
    int64_t octets;   /* of their payloads */
    int64_t frames;   /* of the receiver, ever */
    int64_t concealed_samples;
    int64_t fec_samples;
    double reordering_until; /* a packet may wait for its predecessor, in Python */
    int64_t refused;    /* payloads that the decoder refused, of frames */
    int64_t unmeasured; /* the same, of payloads decoded for their level */
    int32_t kept;       /* payloads of this offload that were not decoded, or of G.711; from PACKET_WARMUP on, modulo it */
} packet_source_state;

typedef struct {
    double times[PACKET_RECORDED];
    uint16_t sizes[PACKET_RECORDED];
    uint16_t sequences[PACKET_RECORDED];
    uint16_t kept_sizes[PACKET_WARMUP];
    uint8_t payloads[PACKET_WARMUP][PACKET_MAX];
    int64_t positions[PACKET_RECORDED]; /* for taps: of each packet recorded */
    double levels[PACKET_RECORDED]; /* for taps: of the source before each packet recorded */
    uint8_t copies[PACKET_COPIES];  /* for taps: the payloads or frames of those packets, one after the other */
} packet_source_record;

typedef struct packet_poller packet_poller;
typedef struct packet_socket packet_socket;
typedef struct packet_transport packet_transport;

/* What waits for Python. */
typedef struct {
    int32_t kind;      /* PACKET_* */
    int32_t socket;    /* id of the socket */
    int32_t transport; /* id of its transport */
    int32_t size;      /* bytes of the datagram (which may exceed PACKET_BUFFER), packet or frame */
    int32_t address_size;
    int32_t room; /* bytes of this item in the ring */
    int64_t position;
    double at;            /* when it came */
    packet_socket *from;
    int32_t queued; /* whether it may be one of the source's sequence (`packet_transport`) */
    uint8_t address[PACKET_ADDRESS];
    uint8_t data[PACKET_BUFFER]; /* an item ends after `size` of it */
} packet_item;

/* What a poller has done since it was made. */
typedef struct {
    int64_t rounds;
    int64_t processed; /* packets that needed no Python */
    int64_t left[REASONS];
    int64_t dropped;   /* datagrams for which the ring had no room */
    int64_t waiting;   /* bytes in the ring */
    int64_t most;      /* bytes that have waited at once */
    int32_t thread;    /* id of the thread; 0 without one */
    int32_t scheduling; /* of the thread: SCHEDULING_* */
} packet_counters;

#define SCHEDULING_USUAL 0
#define SCHEDULING_SLICE 1    /* with a short slice, so that it is run soon after it wakes */
#define SCHEDULING_REALTIME 2 /* SCHED_FIFO */

const char *packet_path_source(void); /* which source the library was built from */

/* Sockets. `now` of a step, below 0 for the time at which each datagram is processed. */
packet_poller *packet_poller_new(void); /* NULL when the system refuses */
void packet_poller_free(packet_poller *poller); /* stops the thread */
int packet_poller_fd(packet_poller *poller);    /* readable while Python has something to do */
int packet_poller_start(packet_poller *poller, int32_t tick_us, int32_t realtime); /* the thread; 0, or an errno */
void packet_poller_counters(packet_poller *poller, packet_counters *counters);
void packet_poller_set_marks(packet_poller *poller, int64_t *marks); /* before it is started */
void packet_poller_set_clock(packet_poller *poller, double now); /* for tests */
void packet_poller_wait(packet_poller *poller); /* until the thread has processed all that lay in the sockets */
packet_socket *packet_socket_add(packet_poller *poller, int fd, int32_t id, packet_transport *transport);
void packet_socket_remove(packet_poller *poller, packet_socket *socket);

/* Begins a turn of Python's; without the thread, processes at most one datagram of each socket. */
void packet_turn(packet_poller *poller);
/* Returns what Python has to look at, valid until the next call; NULL when nothing is left of this turn, which has
   at most one datagram of each socket, whose effects in the event loop come before the next; no other's wait for it. */
packet_item *packet_next(packet_poller *poller);
/* Returns a frame of a transport that waits in the ring, and takes it out; NULL without one. */
packet_item *packet_next_frame(packet_poller *poller, int32_t transport);

/* Transports. A socket keeps its transport until it is freed, Python keeps it until it releases it. */
packet_transport *packet_transport_new(const packet_libraries *libraries, int32_t id, int64_t limit, int32_t secured);
void packet_transport_release(packet_transport *transport);
void packet_set_mark(packet_transport *transport, int64_t mark); /* of its call, before it has sockets */
/* libsrtp's contexts from now on; NULL without keys. Packets that are not `secured` are plain RTP. */
void packet_set_keys(packet_transport *transport, int32_t secured, void *receive, void *send);
/* Where packets are sent, from fd -1: nowhere, and the address they are taken from; peer_size -1: from none. A socket that is
   connected has addresses without bytes. */
void packet_set_route(packet_transport *transport, int fd, const uint8_t *address, int32_t address_size,
                      const uint8_t *peer, int32_t peer_size);
void packet_leave_socket(packet_transport *transport, int fd); /* which is about to be closed */
/* Runs a function of libsrtp in place; returns its status, -1 without keys. */
int packet_srtp(packet_transport *transport, int32_t operation, uint8_t *packet, int32_t *size);
/* Counts an authentic packet; returns whether the second has room for it. */
int packet_admit(packet_transport *transport, double now);
double packet_alive_at(packet_transport *transport); /* when an authentic packet last came */
void packet_set_alive_at(packet_transport *transport, double now);
int64_t packet_take_unsendable(packet_transport *transport); /* packets that could not be protected or sent, once */

/* Offloads. `begin` takes the state; `sync` returns it with what was recorded since, which it then forgets; `end` likewise,
   with what is kept. */
int32_t packet_sink_begin(packet_transport *transport, const packet_sink_state *state, int32_t mode, void *encoder); /* returns its generation */
void packet_sink_sync(packet_transport *transport, packet_sink_state *state, packet_sink_record *record);
void packet_sink_end(packet_transport *transport, packet_sink_state *state, packet_sink_record *record);
double packet_sink_covered(packet_transport *transport); /* until when a continuous stream is sent */
/* Encodes and sends a frame of 640 bytes; 0, with nothing changed, if its time was already sent or the offload has ended. */
int packet_sink_push(packet_transport *transport, const int16_t *pcm, int64_t pts, double now);
/* `feeds` is SINK_FRAMES or SINK_PACKETS with the transport whose sink takes frames or packets, in this generation; else SINK_IDLE.
   `decodes` is one of FRAMES_*, `taps` one of TAP_*. */
void packet_source_begin(packet_transport *transport, const packet_source_state *state, void *decoder, int32_t feeds,
                         packet_transport *sink, int32_t generation, int32_t decodes, int32_t taps);
void packet_source_sync(packet_transport *transport, packet_source_state *state, packet_source_record *record);
void packet_source_end(packet_transport *transport, packet_source_state *state, packet_source_record *record);
double packet_source_last_arrival(packet_transport *transport); /* of a packet that was not synced; NaN without one */

/* Decodes a packet of G711_OCTETS to a frame, or encodes a frame; `past` has the last samples before it (g711.c). */
void g711_decode(int codec, int16_t past[G711_PAST_CODES], const uint8_t *codes, int16_t *pcm);
void g711_encode(int codec, int16_t past[G711_PAST_SAMPLES], const int16_t *pcm, uint8_t *codes);
