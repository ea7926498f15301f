/* The legs of the load in one loop: what is due is sent, and what comes is noted with the kernel's time. */

#define _GNU_SOURCE
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/types.h>
#include <time.h>

#include "bulk_legs.h"

enum { HEADER = 12, SAMPLES = 960, FRAME_NS = 20000000, EVENTS = 512 };

/* Those of the last `bulk_wait`: a generator has one thread. */
static struct epoll_event events[EVENTS];
static int event_count, event_next;

static int64_t nanoseconds(const struct timespec *time) {
    return (int64_t)time->tv_sec * 1000000000 + time->tv_nsec;
}

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return nanoseconds(&time);
}

int bulk_timer(int64_t period) {
    const struct timespec each = {0, (long)period};
    const struct itimerspec every = {each, each};
    const int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    return fd >= 0 && timerfd_settime(fd, 0, &every, 0) ? -1 : fd;
}

static void put_32(uint8_t *at, uint32_t value) {
    at[0] = (uint8_t)(value >> 24), at[1] = (uint8_t)(value >> 16), at[2] = (uint8_t)(value >> 8), at[3] = (uint8_t)value;
}

/* Decide by a linear congruential generator whether the network loses the next packet. */
static int lost(bulk_leg *leg) {
    leg->random = leg->random * 6364136223846793005u + 1442695040888963407u;
    return (double)(leg->random >> 11) / 9007199254740992.0 < leg->loss;
}

static void send_frame(const bulk_poller *poller, bulk_leg *leg) {
    uint8_t packet[BULK_ROOM];
    const int64_t frame = leg->dtx_frames > 1 ? 0 : leg->frame;
    const int32_t index = (int32_t)(frame % leg->loop->count);
    int size = HEADER + leg->loop->sizes[index];
    packet[0] = 0x80;
    packet[1] = leg->payload_type;
    packet[2] = (uint8_t)(leg->sequence >> 8);
    packet[3] = (uint8_t)leg->sequence;
    put_32(packet + 4, leg->timestamp);
    put_32(packet + 8, leg->ssrc);
    memcpy(packet + HEADER, leg->loop->frames[index], (size_t)leg->loop->sizes[index]);
    if (poller->srtp_protect(leg->session, packet, &size))
        return;
    if (leg->sent_count < BULK_PACKETS)
        leg->sent[leg->sent_count++] = (bulk_packet){now(), leg->due, frame, leg->timestamp};
    /* What the socket refuses is lost. */
    if (send(leg->fd, packet, (size_t)size, 0) != size)
        return;
}

void bulk_send_due(bulk_poller *poller) {
    int64_t moment = now();
    for (int32_t i = 0; i < poller->count; i++) {
        bulk_leg *leg = poller->legs[i];
        for (; leg->talking && leg->due <= moment; moment = now()) {
            const int paused = leg->frame % leg->dtx_frames != 0;
            if (!paused && !lost(leg))
                send_frame(poller, leg);
            /* DTX leaves out no sequence number, the network does. */
            leg->sequence = (uint16_t)(leg->sequence + !paused);
            leg->timestamp += SAMPLES;
            leg->frame++;
            leg->due += FRAME_NS;
        }
    }
}

void bulk_wait(bulk_poller *poller) {
    event_next = 0;
    event_count = epoll_wait(poller->epoll, events, EVENTS, 0);
}

static int is_rtp(const uint8_t *data, int32_t size) {
    return size >= HEADER && data[0] > 127 && data[0] < 192 && !(data[1] >= 192 && data[1] <= 223);
}

/* Read one datagram into the poller and note it; whether it is for Python. */
static int read_datagram(bulk_poller *poller, bulk_leg *leg) {
    union {
        struct cmsghdr header;
        uint8_t room[64];
    } control;
    struct iovec into = {poller->datagram, BULK_ROOM};
    struct msghdr message = {.msg_iov = &into, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    poller->size = (int32_t)recvmsg(leg->fd, &message, MSG_DONTWAIT);
    if (poller->size <= 0)
        return 0;
    if (!is_rtp(poller->datagram, poller->size))
        return 1;
    const struct cmsghdr *stamp = CMSG_FIRSTHDR(&message);
    if (stamp && stamp->cmsg_type == SO_TIMESTAMPNS && leg->came_count < BULK_PACKETS) {
        struct timespec time;
        memcpy(&time, CMSG_DATA(stamp), sizeof time);
        const uint8_t *at = poller->datagram + 4;
        const uint32_t timestamp = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
        leg->came[leg->came_count++] = (bulk_packet){nanoseconds(&time), 0, 0, timestamp};
    }
    return leg->decoded;
}

int bulk_next(bulk_poller *poller) {
    while (event_next < event_count) {
        const int fd = events[event_next++].data.fd;
        bulk_leg *leg = fd < BULK_FILES ? poller->by_file[fd] : 0;
        poller->size = -1;
        if (!leg || read_datagram(poller, leg))
            return fd;
    }
    return -1;
}
