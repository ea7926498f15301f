/* The ring of what waits for Python: see packet_ring.h. */

#define _GNU_SOURCE

#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "packet_ring.h"

enum {
    HEAD_BYTES = offsetof(packet_item, data),
};

/* Makes the descriptor readable. */
static void wake(packet_ring *ring)
{
    uint64_t one = 1;
    ssize_t done = write(ring->wake_fd, &one, sizeof one);
    (void)done; /* the counter is full: it is readable */
}

int packet_ring_put(packet_ring *ring, const packet_item *item, const uint8_t *data)
{
    uint64_t before = atomic_load(&ring->head), head = before;
    size_t stored = item->size < PACKET_BUFFER ? (size_t)item->size : PACKET_BUFFER;
    uint64_t room = (HEAD_BYTES + stored + 7) & ~(uint64_t)7, rest = RING_BYTES - head % RING_BYTES;
    if (rest < room) /* the item begins at the first byte again */
        head += rest;
    if (head + room - atomic_load(&ring->tail) > RING_BYTES)
        return 0;
    if (rest < room && rest >= HEAD_BYTES) {
        packet_item *filler = (void *)(ring->bytes + before % RING_BYTES);
        filler->kind = PACKET_NONE;
        filler->room = (int32_t)rest;
    }
    packet_item *to = (void *)(ring->bytes + head % RING_BYTES);
    memcpy(to, item, HEAD_BYTES);
    memcpy(to->data, data, stored);
    to->room = (int32_t)room;
    /* Sequentially consistent, as the other side's: else both may find that the other has not seen it yet. */
    atomic_store(&ring->head, head + room);
    uint64_t tail = atomic_load(&ring->tail);
    if (tail == before)
        wake(ring);
    int64_t waiting = (int64_t)(head + room - tail);
    if (waiting > atomic_load_explicit(&ring->most, memory_order_relaxed))
        atomic_store_explicit(&ring->most, waiting, memory_order_relaxed);
    return (int)room;
}

packet_item *packet_ring_at(packet_ring *ring, uint64_t *position)
{
    uint64_t head = atomic_load(&ring->head);
    while (*position != head) {
        uint64_t rest = RING_BYTES - *position % RING_BYTES;
        if (rest < HEAD_BYTES) {
            *position += rest;
            continue;
        }
        packet_item *item = (void *)(ring->bytes + *position % RING_BYTES);
        if (item->kind != PACKET_NONE)
            return item;
        *position += (uint64_t)item->room;
    }
    return NULL;
}

void packet_ring_drop(packet_ring *ring, uint64_t position) { atomic_store(&ring->tail, position); }

int packet_ring_empty(packet_ring *ring)
{
    uint64_t tail = atomic_load(&ring->tail), count;
    if (atomic_load(&ring->head) != tail)
        return 0;
    ssize_t done = read(ring->wake_fd, &count, sizeof count);
    (void)done; /* nothing to read: it was not readable */
    if (atomic_load(&ring->head) == tail)
        return 1;
    wake(ring); /* what has come meanwhile may have made it readable before it was read */
    return 0;
}
