#define BULK_LEGS 2048
#define BULK_FILES 65536
#define BULK_PACKETS 4096
#define BULK_ROOM 2048
#define BULK_FRAMES 1024

/* One packet that was sent or came. */
typedef struct {
    int64_t time; /* ns: CLOCK_MONOTONIC just before it was sent, or the kernel's CLOCK_REALTIME when it came */
    int64_t due;  /* ns, of one that was sent */
    int64_t frame;
    uint32_t timestamp;
} bulk_packet;

/* What is said over and over. */
typedef struct {
    const uint8_t *frames[BULK_FRAMES];
    int32_t sizes[BULK_FRAMES];
    int32_t count;
} bulk_loop;

typedef struct {
    int fd; /* connected */
    int talking;
    int decoded;    /* whether RTP that comes is handed to Python too */
    int dtx_frames; /* of so many one is sent, and the loop's first; 1: all */
    double loss;    /* share of the packets that are left out */
    uint64_t random;
    uint32_t ssrc;
    uint32_t timestamp;
    uint16_t sequence;
    uint8_t payload_type;
    void *session; /* of libsrtp */
    const bulk_loop *loop;
    int64_t frame; /* the next one, due at: */
    int64_t due;
    int32_t sent_count;
    int32_t came_count;
    bulk_packet sent[BULK_PACKETS]; /* what is beyond is not noted */
    bulk_packet came[BULK_PACKETS];
} bulk_leg;

typedef struct {
    int epoll;
    int (*srtp_protect)(void *session, void *packet, int *size);
    int32_t count;
    bulk_leg *legs[BULK_LEGS];
    bulk_leg *by_file[BULK_FILES];
    int32_t size; /* of `datagram`; -1: Python is to read the socket itself */
    uint8_t datagram[BULK_ROOM];
} bulk_poller;

/* Return a descriptor that can be read every `period` ns; -1 on failure. */
int bulk_timer(int64_t period);
/* Send what is due of all legs. */
void bulk_send_due(bulk_poller *poller);
/* Look once which sockets have something. */
void bulk_wait(bulk_poller *poller);
/* Read one datagram of each of these, and stop at one that is for Python: return its socket, or -1 at the end. */
int bulk_next(bulk_poller *poller);
