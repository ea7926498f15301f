/* What the files of the packet path share: see packet_path.h. */

#ifndef PACKET_STREAM_H
#define PACKET_STREAM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "packet_path.h" /* which has no guard, because cffi reads it */

#define PUBLIC __attribute__((visibility("default")))

typedef struct {
    packet_transport *transport;
    void *encoder;
    int32_t mode;       /* SINK_* */
    int32_t generation; /* raised with every offload */
    packet_sink_state state;
    packet_sink_record record;
} packet_sink;

typedef struct {
    int32_t active; /* whether it is offloaded */
    int32_t decodes; /* FRAMES_* */
    int32_t taps;    /* TAP_* */
    int32_t generation; /* of the sink's offload that it feeds */
    void *decoder;
    packet_sink *forward; /* takes its packets, or NULL */
    packet_sink *push;    /* takes its frames, or NULL */
    packet_source_state state;
    packet_source_record record;
} packet_source;

/* One SRTP association and the path to its peer. */
struct packet_transport {
    const packet_libraries *libraries;
    int32_t id;
    atomic_int owners; /* sockets, and Python */
    atomic_int queued; /* of its RTP packets, how many wait in the ring */
    atomic_int frames; /* that wait in the ring; raised under the source's lock */
    int64_t mark;      /* of its call (bridge.wire.crash_marks) */
    uint64_t passed;   /* the turn of Python's in which what waits in the ring was left for the next one */

    pthread_mutex_t source_lock;
    int32_t decrypts; /* 0: packets are plain RTP, and need no keys */
    void *receive; /* libsrtp's context; NULL before there are keys */
    double alive_at;    /* when an authentic packet last came */
    double second_ends; /* of the second whose packets are counted */
    int64_t allowed;    /* packets that may still come in it */
    int64_t limit;      /* packets a second */
    int32_t peer_size; /* -1: packets are taken from nowhere */
    uint8_t peer[PACKET_ADDRESS]; /* the address that packets are taken from */
    packet_source source;

    pthread_mutex_t sink_lock;
    int32_t encrypts; /* likewise */
    void *send;
    int64_t unsendable; /* packets that could not be protected or sent */
    int32_t fd;         /* of the socket in use; -1 without a route */
    int32_t address_size;
    uint8_t address[PACKET_ADDRESS]; /* of the peer; without one, the socket is connected */
    packet_sink sink;
};

/* A datagram, and what becomes of it: one for each thread that processes packets. */
typedef struct {
    int32_t size; /* of the datagram, then of the packet */
    int32_t address_size;
    int32_t reason; /* REASON_*, if Python has to look at it */
    int32_t only_next; /* whether packets wait before it, so that it must not be taken after a gap */
    int64_t position;
    uint8_t address[PACKET_ADDRESS];
    _Alignas(8) uint8_t datagram[PACKET_BUFFER];
    _Alignas(8) uint8_t plain[PACKET_BUFFER];
    _Alignas(8) uint8_t sent[PACKET_BUFFER]; /* with room for the tag */
    int16_t pcm[PACKET_SAMPLES];
} packet_work;

/* Processes a datagram under the source's lock, which the caller holds; returns what Python has to look at. */
int packet_stream_receive(packet_transport *transport, packet_work *work, double now);

/* Under the sink's lock (`packet_sink_push`); `packet` has PACKET_BUFFER bytes. */
int packet_stream_push(packet_sink *sink, const int16_t *pcm, int64_t pts, double now, uint8_t *packet);

/* Under the source's lock: how many bytes are copied for taps. */
size_t packet_stream_copied(const packet_source *source);

/* Under the source's lock (`packet_admit`). */
int packet_stream_admit(packet_transport *transport, double now);

void packet_lock(pthread_mutex_t *mutex);
void packet_unlock(pthread_mutex_t *mutex);

#endif
