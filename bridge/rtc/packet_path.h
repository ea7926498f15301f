/* The packet path: expected RTP packets, from socket to socket without Python.
 *
 * What an object expects and what has happened to it lies in its structure, which Python fills when it
 * leases a stream to this path, and reads back when it settles. Positions and timestamps that are not
 * wrapped count at 48 kHz, times are monotonic seconds, sizes bytes. cffi reads this file too: it has
 * declarations only. Nothing here allocates per packet, and nothing is called from two threads at once.
 */

#define PACKET_RECORDED 128 /* packets of a lease between two settlements, at most */
#define PACKET_WARMUP 5     /* newest payloads or frames kept, as decoders and encoders need to warm up */
#define PACKET_MAX 1500     /* of a datagram */
#define PACKET_PAYLOAD 1275 /* of a payload that is sent */
#define PACKET_COPIES 16384 /* bytes of payloads copied for taps between two settlements, at most */
#define PACKET_FRAME 320    /* samples of a frame, at 16 kHz */
#define PACKET_SAMPLES 1920 /* of a decoded Opus packet, at 16 kHz */
#define PACKET_BUFFER 2048  /* bytes for a datagram, or for a packet and the tag behind it */
#define PACKET_ADDRESS 28   /* bytes of a `struct sockaddr_in6` */

/* What `packet_poll` found. */
#define PACKET_NONE 0     /* nothing is left to do */
#define PACKET_DATAGRAM 1 /* in `datagram`, untouched */
#define PACKET_PLAIN 2    /* an unprotected RTP packet in `plain`: expected, but for its payload */
#define PACKET_FRAMED 3   /* a frame in `pcm`, at `position` */

/* What a sink is leased for. */
#define SINK_IDLE 0
#define SINK_FRAMES 1
#define SINK_PACKETS 2

/* Functions of libsrtp and libopus, where the process has loaded them. */
typedef struct {
    int (*srtp_protect)(void *session, void *packet, int *size);
    int (*srtp_unprotect)(void *session, void *packet, int *size);
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

typedef struct packet_source packet_source;

/* One SRTP association and the path to its peer; Python uses the first three as well. */
typedef struct {
    double alive_at;    /* when an authentic packet last came */
    double second_ends; /* of the second whose packets are counted */
    int64_t allowed;    /* packets that may still come in it */
    int64_t limit;      /* packets a second */
    int64_t unsendable; /* packets that could not be protected or sent */
    const packet_libraries *libraries;
    packet_source *source; /* what its packets are leased to, or NULL */
    void *receive;         /* libsrtp's contexts; NULL before there are keys */
    void *send;
    int32_t secured; /* 0: packets are plain RTP, and need no keys */
    int32_t id;
    int32_t fd; /* of the socket in use; -1 without a route */
    int32_t address_size;
    uint8_t address[PACKET_ADDRESS]; /* of the peer; without one, the socket is connected */
} packet_transport;

/* One outgoing stream: bridge.wire.rtp.stream, and of bridge.rtp.sender what changes with a packet. */
typedef struct {
    packet_transport *transport;
    void *encoder;
    int32_t mode;       /* SINK_* */
    int32_t generation; /* raised with every lease */
    int64_t sequence;
    int64_t timestamp;
    int64_t end;
    int64_t offset;
    int64_t packets;
    int64_t octets;
    double last_time;
    int64_t relayed_packets;
    int64_t max_samples; /* of a relayed packet, at 48 kHz */
    double covered;      /* bridge.rtp.silence_filler, of a steady stream */
    int32_t steady;
    uint32_t ssrc;
    int32_t relayed; /* the source's sequence number of the newest packet */
    int32_t payload_type;
    packet_meter meter;
    int32_t kept;     /* payloads or frames of this lease; from PACKET_WARMUP on, modulo it */
    int32_t recorded; /* packets relayed since it was settled */
    double times[PACKET_RECORDED];
    uint16_t sizes[PACKET_RECORDED];
    uint16_t kept_sizes[PACKET_WARMUP];
    uint8_t payloads[PACKET_WARMUP][PACKET_PAYLOAD];
    int16_t frames[PACKET_WARMUP][PACKET_FRAME];
} packet_sink;

/* One incoming stream: the next packet of bridge.rtp.fast_path, and what happened to the ones before. */
struct packet_source {
    packet_transport *transport;
    void *decoder;
    packet_sink *relay; /* takes its packets, or NULL */
    packet_sink *push;  /* takes its frames, or NULL */
    int32_t relay_generation;
    int32_t push_generation;
    int32_t decodes;    /* whether frames are wanted, by `push` or by Python */
    int32_t taps;       /* whether its packets are copied for Python */
    uint32_t form;      /* the first two bytes of its header, without the marker */
    uint32_t ssrc;
    uint32_t timestamp;
    int32_t sequence;
    int32_t samples; /* of a packet, at 48 kHz */
    int32_t ticks;   /* the same at the RTP clock */
    int64_t position;
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
    int32_t recorded; /* packets since it was settled */
    int64_t octets;   /* of their payloads */
    int64_t frames;   /* of the receiver, ever */
    int64_t concealed_samples;
    int64_t refused;    /* payloads that the decoder refused, of frames */
    int64_t unmeasured; /* the same, of payloads decoded for their level */
    int32_t kept;       /* payloads of this lease that were not decoded; from PACKET_WARMUP on, modulo it */
    double times[PACKET_RECORDED];
    uint16_t sizes[PACKET_RECORDED];
    uint16_t kept_sizes[PACKET_WARMUP];
    uint8_t payloads[PACKET_WARMUP][PACKET_MAX];
    double levels[PACKET_RECORDED]; /* for taps: of the source before each packet recorded */
    uint8_t copies[PACKET_COPIES];  /* for taps: the payloads of those packets, one after the other */
};

/* What Python has to look at. */
typedef struct {
    int32_t socket;    /* id of the socket of a datagram */
    int32_t transport; /* id of the transport of anything else */
    int32_t size;      /* bytes of the datagram (which may exceed its buffer), packet or payload */
    int64_t position;
    int32_t address_size;
    uint8_t address[PACKET_ADDRESS];
    uint8_t datagram[PACKET_BUFFER];
    uint8_t plain[PACKET_BUFFER];
    int16_t pcm[PACKET_SAMPLES];
} packet_event;

typedef struct packet_poller packet_poller;
typedef struct packet_socket packet_socket;

const char *packet_path_source(void); /* which source the library was built from */

packet_poller *packet_poller_new(void); /* NULL when the system refuses */
void packet_poller_free(packet_poller *poller);
int packet_poller_fd(packet_poller *poller); /* readable while a socket is */

packet_socket *packet_socket_add(packet_poller *poller, int fd, int32_t id, packet_transport *transport);
void packet_socket_remove(packet_poller *poller, packet_socket *socket);

/* Processes what has arrived until Python has to look at something; returns PACKET_*. To be called
   again until it returns PACKET_NONE, which it does after at most one datagram of each socket, so that
   what they cause in the event loop happens in their order. `now` is below 0
   for the time at which each one is processed. */
int packet_poll(packet_poller *poller, double now, packet_event *event);

/* Encodes and sends a frame of 640 bytes; 0, with nothing changed, unless it continues the stream. */
int packet_push(packet_sink *sink, const int16_t *pcm, int64_t pts, double now);
