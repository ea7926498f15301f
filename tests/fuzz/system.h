/* What the fuzz target has in place of the system and the libraries: sockets, epoll and eventfd in memory, locks that
 * are counted, and stubs of libsrtp and libopus. Each checks what it is given, touches every byte of it, and fails when
 * the input says so. To be included before the packet path, whose calls it replaces.
 */

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../bridge/rtc/packet_stream.h"

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            abort(); \
        } \
    } while (0)

enum {
    SOCKETS = 4,
    FIRST_FD = 10, /* of the sockets */
    EPOLL = 50,
    EVENTS = 60,   /* eventfds from here on */
    LOCKS = 2,     /* held at once, at most */
    QUEUED = 4,    /* datagrams that wait in a socket, at most */
    CONTENT = 4096, /* of a datagram; its size may be said to be larger */
    TAG = 10,
    TRAILER = 144, /* SRTP_MAX_TRAILER_LEN: what libsrtp may write behind a packet */
};

typedef struct {
    ssize_t size; /* as the network had it */
    socklen_t address_size;
    uint8_t address[110];
    uint8_t data[CONTENT];
} queued_datagram;

static struct {
    int open;
    int queued;
    queued_datagram queue[QUEUED]; /* the oldest first */
} network[SOCKETS];

static uint8_t faults; /* of the stubs. 1: unprotect, 2: protect, 4: decode, 8: encode, 16: send, 32: interrupted */
static long allocations, allocated; /* ever, and now */
static long received, protections; /* datagrams read, packets protected */
static int polled_fds[SOCKETS + 2], polled_count;
static struct epoll_event polled[SOCKETS + 2];
static int events_open;
static uint64_t event_counts[2];
static pthread_mutex_t *held[LOCKS];
static int held_count;

static void note_received(int fd, const void *data, size_t size);
static void check_packet_room(const void *begin, size_t size);
static void check_decoder_room(const void *packet, size_t size, const void *pcm, size_t room);

static unsigned touch(const void *data, size_t size)
{
    unsigned sum = 0;
    for (size_t index = 0; index < size; index++)
        sum += ((const volatile uint8_t *)data)[index];
    return sum;
}

/* Of what Python gives the packet path. */
static void *python_memory(size_t size)
{
    void *memory = calloc(1, size);
    CHECK(memory);
    return memory;
}

static void python_free(void *memory) { free(memory); }

static void *counted_calloc(size_t number, size_t size)
{
    allocations++, allocated++;
    return calloc(number, size);
}

static void counted_free(void *memory)
{
    allocated -= memory != NULL;
    free(memory);
}

static int counted_lock(pthread_mutex_t *mutex)
{
    for (int index = 0; index < held_count; index++)
        CHECK(held[index] != mutex);
    CHECK(held_count < LOCKS);
    held[held_count++] = mutex;
    return pthread_mutex_lock(mutex);
}

static int counted_unlock(pthread_mutex_t *mutex)
{
    CHECK(held_count && held[held_count - 1] == mutex); /* in the reverse order */
    held_count--;
    return pthread_mutex_unlock(mutex);
}

static int is_socket(int fd) { return fd >= FIRST_FD && fd < FIRST_FD + SOCKETS && network[fd - FIRST_FD].open; }

static int fake_epoll_create(int flags) { return flags == EPOLL_CLOEXEC ? EPOLL : -1; }

static int fake_eventfd(unsigned count, int flags)
{
    CHECK(!count && flags == (EFD_NONBLOCK | EFD_CLOEXEC) && events_open < 2);
    event_counts[events_open] = 0;
    return EVENTS + events_open++;
}

static int fake_close(int fd)
{
    CHECK(fd == EPOLL || (fd >= EVENTS && fd < EVENTS + 2));
    events_open -= fd != EPOLL;
    return 0;
}

static int fake_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *added)
{
    CHECK(epoll == EPOLL && (is_socket(fd) || fd >= EVENTS));
    int place = 0;
    while (place < polled_count && polled_fds[place] != fd)
        place++;
    if (operation == EPOLL_CTL_ADD) {
        CHECK(place == polled_count && place < SOCKETS + 2);
        polled_fds[place] = fd;
        polled[polled_count++] = *added;
        return 0;
    }
    CHECK(operation == EPOLL_CTL_DEL && place < polled_count);
    polled_count--;
    polled[place] = polled[polled_count];
    polled_fds[place] = polled_fds[polled_count];
    return 0;
}

static int fake_epoll_wait(int epoll, struct epoll_event *events, int most, int timeout)
{
    CHECK(epoll == EPOLL && most >= 1 && timeout == 0 && !held_count);
    int ready = 0;
    for (int place = 0; place < polled_count && ready < most; place++) {
        int fd = polled_fds[place];
        if (fd >= EVENTS ? event_counts[fd - EVENTS] > 0 : network[fd - FIRST_FD].queued > 0)
            events[ready++] = polled[place];
    }
    return ready;
}

static ssize_t fake_read(int fd, void *data, size_t size)
{
    CHECK(fd >= EVENTS && fd < EVENTS + 2 && size == sizeof(uint64_t));
    errno = EAGAIN;
    if (!event_counts[fd - EVENTS])
        return -1;
    memcpy(data, &event_counts[fd - EVENTS], size);
    event_counts[fd - EVENTS] = 0;
    return (ssize_t)size;
}

static ssize_t fake_write(int fd, const void *data, size_t size)
{
    CHECK(fd >= EVENTS && fd < EVENTS + 2 && size == sizeof(uint64_t));
    uint64_t added;
    memcpy(&added, data, size);
    event_counts[fd - EVENTS] += added;
    return (ssize_t)size;
}

static ssize_t fake_recvfrom(int fd, void *data, size_t room, int flags, struct sockaddr *address, socklen_t *size)
{
    CHECK(is_socket(fd) && flags & MSG_TRUNC && flags & MSG_DONTWAIT && held_count == 1);
    check_packet_room(data, room);
    int *queued = &network[fd - FIRST_FD].queued;
    queued_datagram *queue = network[fd - FIRST_FD].queue, *first = queue;
    errno = EAGAIN;
    if (!*queued)
        return -1;
    ssize_t came = first->size;
    size_t stored = (size_t)came < room ? (size_t)came : room;
    memcpy(data, first->data, stored);
    memcpy(address, first->address, first->address_size < *size ? first->address_size : *size);
    *size = first->address_size;
    memmove(queue, queue + 1, (size_t)--*queued * sizeof *queue);
    received++;
    note_received(fd, data, (size_t)came);
    return came;
}

static ssize_t fake_sendto(int fd, const void *data, size_t size, int flags, const struct sockaddr *address, socklen_t room)
{
    CHECK(is_socket(fd) && size > 12 && size <= 12 + PACKET_PAYLOAD + TRAILER && flags & MSG_DONTWAIT && held_count);
    CHECK(room <= PACKET_ADDRESS && !address == !room);
    touch(data, size);
    touch(address, room);
    if (faults & 32) {
        faults &= ~32;
        errno = EINTR;
        return -1;
    }
    errno = EAGAIN;
    return faults & 16 ? -1 : (ssize_t)size;
}

static int stub_unprotect(void *session, void *packet, int *size)
{
    CHECK(session && held_count && *size >= 8 && *size <= PACKET_MAX && (uintptr_t)packet % 4 == 0);
    touch(session, 1);
    check_packet_room(packet, (size_t)*size);
    touch(packet, (size_t)*size);
    if (faults & 1 || *size < 12 + TAG) {
        memset((uint8_t *)packet + 8, 0xA5, (size_t)(*size - 8));
        *size = 3;
        return 7;
    }
    *size -= TAG;
    return 0;
}

static int stub_protect(void *session, void *packet, int *size)
{
    CHECK(session && held_count && *size >= 8 && *size <= 12 + PACKET_PAYLOAD && (uintptr_t)packet % 4 == 0);
    touch(session, 1);
    protections++;
    check_packet_room(packet, (size_t)*size + TRAILER);
    touch(packet, (size_t)*size);
    if (faults & 2)
        return 9;
    memset((uint8_t *)packet + *size, 0x5A, TRAILER);
    *size += TAG;
    return 0;
}

static int samples_of(uint8_t toc);

static int stub_decode(void *decoder, const uint8_t *packet, int32_t size, int16_t *pcm, int samples, int fec)
{
    CHECK(decoder && held_count && samples > 0 && (packet ? size > 0 : !size));
    CHECK(!fec || (packet && samples == PACKET_FRAME));
    check_decoder_room(packet, (size_t)size, pcm, 2 * (size_t)samples);
    touch(decoder, 1);
    int made = packet && !fec ? samples_of(packet[0]) : samples;
    touch(packet, (size_t)size);
    CHECK(made > 0 && made <= samples);
    if (packet && faults & 4)
        return -4;
    for (int index = 0; index < made; index++)
        pcm[index] = (int16_t)(packet && size > 2 ? packet[2] * 257 : 0);
    return made;
}

static int32_t stub_encode(void *encoder, const int16_t *pcm, int samples, uint8_t *packet, int32_t size)
{
    CHECK(encoder && held_count && samples == PACKET_FRAME && size == PACKET_PAYLOAD);
    touch(encoder, 1);
    touch(pcm, 2 * (size_t)samples);
    if (faults & 8)
        return -1;
    memset(packet, 0x77, (size_t)size);
    return 1 + (int32_t)((uint16_t)pcm[0] % (unsigned)size);
}

#define calloc counted_calloc
#define malloc(size) counted_calloc(1, size)
#define free counted_free
#define pthread_mutex_lock counted_lock
#define pthread_mutex_unlock counted_unlock
#define epoll_create1 fake_epoll_create
#define epoll_ctl fake_epoll_ctl
#define epoll_wait fake_epoll_wait
#define eventfd(count, flags) fake_eventfd(count, flags)
#define close fake_close
#define read fake_read
#define write fake_write
#define recvfrom fake_recvfrom
#define sendto fake_sendto
