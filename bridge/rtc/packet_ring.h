/* The ring of what waits for Python: one thread puts, one takes. */

#ifndef PACKET_RING_H
#define PACKET_RING_H

#include "packet_stream.h"

#define RING_BYTES (1u << 20)

typedef struct {
    atomic_uint_fast64_t head; /* bytes put in since the beginning */
    atomic_uint_fast64_t tail; /* bytes taken out */
    atomic_int_fast64_t most;  /* bytes that have waited at once */
    int wake_fd;               /* readable while something waits, and perhaps longer */
    /* An item may end, or be read as a whole, behind the last byte. */
    _Alignas(8) uint8_t bytes[RING_BYTES + sizeof(packet_item)];
} packet_ring;

/* Puts an item in whose `size` bytes are `data`; returns the room that it takes, 0 if there is none. */
int packet_ring_put(packet_ring *ring, const packet_item *item, const uint8_t *data);

/* Returns the first item from a position on, which it moves to that item; NULL at the end. */
packet_item *packet_ring_at(packet_ring *ring, uint64_t *position);

/* Takes out everything up to a position. */
void packet_ring_drop(packet_ring *ring, uint64_t position);

/* Whether it is empty; then its descriptor is not readable. To be asked by the thread that takes. */
int packet_ring_empty(packet_ring *ring);

#endif
