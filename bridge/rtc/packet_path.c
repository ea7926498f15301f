/* The packet path's sockets: which of them have something to read, who reads them, and what Python gets (packet_path.h). */

#define _GNU_SOURCE

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "packet_ring.h"

#ifndef PACKET_PATH_SOURCE
#define PACKET_PATH_SOURCE ""
#endif

enum {
    BATCH = 64,          /* sockets of a round */
    STEP = 16,           /* of a turn of Python's: a millisecond at most before other work of the event loop */
    TURN = 64,           /* items that Python gets of a turn */
    WAITING = 256,       /* weight of one socket's items in the ring: 2.5 s of frames; a flood leaves room for the others */
    LIGHT = 512,         /* bytes of an item: each more weigh as one more */
    ROUNDS = 64,         /* without a pause, where there is a tick */
    SLICE_NS = 100000,   /* asked of the scheduler: the shorter, the sooner a thread runs that has woken */
    PRIORITY = 1,        /* with SCHED_FIFO */
    WATCH_NS = 100000000, /* a thread with SCHED_FIFO may use */
    BUSY_NS = 60000000,  /* this much of the CPU in that time; then it is an ordinary one */
    CALM_NS = 1000000000, /* for so long */
};

struct packet_socket {
    packet_socket *next;
    packet_transport *transport;
    int32_t id;
    int fd;               /* -1 once it was removed; under the source's lock */
    atomic_int waiting;   /* weight of its items in the ring */
    uint64_t turn;        /* of Python's, in which a datagram of it was last given */
    uint64_t retired_at;  /* the ring knows it up to this position */
};

struct packet_poller {
    int epoll_fd;
    int control_fd; /* readable when the thread is to stop */
    packet_ring ring;
    pthread_mutex_t lock; /* of both lists */
    packet_socket *sockets, *retired;
    volatile int64_t *marks; /* bridge.wire.crash_marks: of Python's thread, then of the poller's */
    int own_mark;            /* of rounds */
    _Atomic double now; /* below 0: the time at which each datagram is processed */
    atomic_int_fast64_t rounds, processed, dropped, left[REASONS];
    /* Of Python's turns */
    uint64_t turn;
    int given_items;           /* of this turn */
    uint64_t next;             /* where it goes on in the ring: some before may wait for the next turn */
    packet_item *taken;        /* the item given last, which is still in the ring; or NULL */
    packet_item given;         /* what has become of one that was offered */
    packet_work offered;
    /* Of rounds, which the thread does or, without one, Python */
    packet_work work;
    pthread_t thread;
    int threaded;
    int32_t tick_us, realtime;
    atomic_int stopping, busy, thread_id, scheduling;
    int64_t watched_at, used_at, calm_at; /* bounds of SCHED_FIFO, in ns */
};

static int64_t clock_ns(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static double time_of(packet_poller *poller)
{
    double now = atomic_load_explicit(&poller->now, memory_order_relaxed);
    return now < 0.0 ? (double)clock_ns(CLOCK_MONOTONIC) * 1e-9 : now;
}

static int weight(int32_t room) { return 1 + room / LIGHT; }

/* CrashMarks.begin; 0 for nothing. */
static void mark(packet_poller *poller, int thread, int64_t call)
{
    if (poller->marks)
        poller->marks[thread] = call;
}

static void count(atomic_int_fast64_t *counter) { atomic_fetch_add_explicit(counter, 1, memory_order_relaxed); }

/* Writes what has become of a datagram into an item, and returns its data. */
static const uint8_t *fill(packet_item *item, const packet_work *work, int found)
{
    item->kind = found;
    item->position = work->position;
    item->size = found == PACKET_FRAMED ? (int32_t)(2 * PACKET_FRAME) : work->size;
    item->address_size = work->address_size;
    memcpy(item->address, work->address, sizeof item->address);
    return found == PACKET_FRAMED ? (const uint8_t *)work->pcm : found == PACKET_PLAIN ? work->plain : work->datagram;
}

/* Reads a datagram of a socket and processes it, under its source's lock. */
static void read_socket(packet_poller *poller, packet_socket *socket)
{
    packet_work *work = &poller->work;
    socklen_t address_size = sizeof work->address;
    ssize_t size = recvfrom(socket->fd, work->datagram, sizeof work->datagram, MSG_DONTWAIT | MSG_TRUNC,
                            (void *)work->address, &address_size);
    if (size < 0)
        return;
    work->size = (int32_t)size;
    work->address_size = address_size < sizeof work->address ? (int32_t)address_size : (int32_t)sizeof work->address;
    double now = time_of(poller);
    work->only_next = atomic_load(&socket->transport->queued) > 0;
    int found = packet_stream_receive(socket->transport, work, now);
    if (found == PACKET_NONE) {
        count(&poller->processed);
        return;
    }
    packet_item item = {.socket = socket->id, .transport = socket->transport->id, .at = now, .from = socket};
    item.queued = found != PACKET_FRAMED && work->reason != REASON_SIGNALLING && work->reason != REASON_SRTP;
    const uint8_t *data = fill(&item, work, found);
    int room = atomic_load(&socket->waiting) < WAITING ? packet_ring_put(&poller->ring, &item, data) : 0;
    if (!room) {
        count(&poller->dropped);
        return;
    }
    atomic_fetch_add_explicit(&socket->waiting, weight(room), memory_order_relaxed);
    atomic_fetch_add(&socket->transport->queued, item.queued);
    if (found == PACKET_FRAMED)
        atomic_fetch_add(&socket->transport->frames, 1);
}

/* Frees the sockets that were removed, and that nobody can know any more. */
static void free_retired(packet_poller *poller)
{
    uint64_t tail = atomic_load(&poller->ring.tail);
    packet_lock(&poller->lock);
    for (packet_socket **link = &poller->retired; *link;) {
        packet_socket *socket = *link;
        if (tail < socket->retired_at) {
            link = &socket->next;
            continue;
        }
        *link = socket->next;
        packet_transport_release(socket->transport);
        free(socket);
    }
    packet_unlock(&poller->lock);
}

/* Processes a datagram of each of at most `most` sockets that have one; returns how many they were. */
static int do_round(packet_poller *poller, int most, int timeout)
{
    struct epoll_event events[BATCH];
    free_retired(poller);
    int ready = epoll_wait(poller->epoll_fd, events, most, timeout);
    if (ready <= 0)
        return 0;
    atomic_store(&poller->busy, 1);
    for (int index = 0; index < ready; index++) {
        packet_socket *socket = events[index].data.ptr;
        if (!socket)
            continue;
        mark(poller, poller->own_mark, socket->transport->mark);
        packet_lock(&socket->transport->source_lock);
        if (socket->fd >= 0)
            read_socket(poller, socket);
        packet_unlock(&socket->transport->source_lock);
    }
    mark(poller, poller->own_mark, 0);
    count(&poller->rounds);
    atomic_store(&poller->busy, 0);
    return ready;
}

/* Asks for a short slice, which needs no privilege (Linux 6.12). */
static void ask_for_slice(packet_poller *poller)
{
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
    } wanted = {.size = 48, .policy = SCHED_OTHER, .runtime = SLICE_NS};
    errno = 0;
    wanted.nice = nice(0);
    int refused = syscall(SYS_sched_setattr, 0, &wanted, 0) != 0;
    atomic_store(&poller->scheduling, refused ? SCHEDULING_USUAL : SCHEDULING_SLICE);
}

static void ask_for_realtime(packet_poller *poller)
{
    struct sched_param wanted = {.sched_priority = PRIORITY};
    poller->watched_at = clock_ns(CLOCK_MONOTONIC);
    poller->used_at = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    if (pthread_setschedparam(pthread_self(), SCHED_FIFO, &wanted) == 0)
        atomic_store(&poller->scheduling, SCHEDULING_REALTIME);
}

/* Gives SCHED_FIFO back for a while when the thread leaves others too little. */
static void watch_realtime(packet_poller *poller)
{
    int64_t now = clock_ns(CLOCK_MONOTONIC);
    if (atomic_load(&poller->scheduling) != SCHEDULING_REALTIME) {
        if (poller->calm_at && now >= poller->calm_at) {
            poller->calm_at = 0;
            ask_for_realtime(poller);
        }
        return;
    }
    if (now - poller->watched_at < WATCH_NS)
        return;
    int64_t used = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    if (used - poller->used_at > BUSY_NS) {
        struct sched_param usual = {0};
        pthread_setschedparam(pthread_self(), SCHED_OTHER, &usual);
        ask_for_slice(poller);
        poller->calm_at = now + CALM_NS;
    }
    poller->watched_at = now;
    poller->used_at = used;
}

static void *run_thread(void *argument)
{
    packet_poller *poller = argument;
    pthread_setname_np(pthread_self(), "media");
    ask_for_slice(poller);
    if (poller->realtime)
        ask_for_realtime(poller);
    atomic_store(&poller->thread_id, (int)syscall(SYS_gettid)); /* now its scheduling is known */
    const struct timespec tick = {0, poller->tick_us * 1000L};
    while (!atomic_load(&poller->stopping)) {
        do_round(poller, BATCH, -1);
        if (poller->tick_us) {
            for (int rounds = 1; rounds < ROUNDS && do_round(poller, BATCH, 0); rounds++)
                ;
            clock_nanosleep(CLOCK_MONOTONIC, 0, &tick, NULL);
        }
        if (poller->realtime)
            watch_realtime(poller);
    }
    return NULL;
}

PUBLIC const char *packet_path_source(void) { return PACKET_PATH_SOURCE; }

static int watch(packet_poller *poller, int fd, packet_socket *socket)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = socket};
    return epoll_ctl(poller->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

PUBLIC packet_poller *packet_poller_new(void)
{
    packet_poller *poller = calloc(1, sizeof *poller);
    if (!poller)
        return NULL;
    pthread_mutex_init(&poller->lock, NULL);
    atomic_store(&poller->now, -1.0);
    poller->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    poller->control_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    poller->ring.wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (poller->epoll_fd < 0 || poller->control_fd < 0 || poller->ring.wake_fd < 0
        || watch(poller, poller->ring.wake_fd, NULL) < 0) {
        packet_poller_free(poller);
        return NULL;
    }
    return poller;
}

PUBLIC int packet_poller_start(packet_poller *poller, int32_t tick_us, int32_t realtime)
{
    sigset_t all, before;
    poller->tick_us = tick_us;
    poller->realtime = realtime;
    poller->own_mark = 1;
    /* Python waits for the ring now, and the thread for the sockets. */
    if (epoll_ctl(poller->epoll_fd, EPOLL_CTL_DEL, poller->ring.wake_fd, NULL) < 0
        || watch(poller, poller->control_fd, NULL) < 0)
        return errno;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&poller->thread, NULL, run_thread, poller);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    poller->threaded = !error;
    return error;
}

static void free_sockets(packet_socket *socket)
{
    for (packet_socket *next; socket; socket = next) {
        next = socket->next;
        packet_transport_release(socket->transport);
        free(socket);
    }
}

PUBLIC void packet_poller_free(packet_poller *poller)
{
    if (poller->threaded) {
        uint64_t one = 1;
        atomic_store(&poller->stopping, 1);
        ssize_t done = write(poller->control_fd, &one, sizeof one);
        (void)done;
        pthread_join(poller->thread, NULL);
    }
    free_sockets(poller->sockets);
    free_sockets(poller->retired);
    close(poller->epoll_fd);
    close(poller->control_fd);
    close(poller->ring.wake_fd);
    pthread_mutex_destroy(&poller->lock);
    free(poller);
}

PUBLIC int packet_poller_fd(packet_poller *poller)
{
    return poller->threaded ? poller->ring.wake_fd : poller->epoll_fd;
}

PUBLIC void packet_poller_counters(packet_poller *poller, packet_counters *counters)
{
    counters->rounds = atomic_load(&poller->rounds);
    counters->processed = atomic_load(&poller->processed);
    counters->dropped = atomic_load(&poller->dropped);
    for (int reason = 0; reason < REASONS; reason++)
        counters->left[reason] = atomic_load(&poller->left[reason]);
    counters->waiting = (int64_t)(atomic_load(&poller->ring.head) - atomic_load(&poller->ring.tail));
    counters->most = atomic_load(&poller->ring.most);
    counters->thread = atomic_load(&poller->thread_id);
    counters->scheduling = atomic_load(&poller->scheduling);
}

PUBLIC void packet_poller_set_marks(packet_poller *poller, int64_t *marks) { poller->marks = marks; }

PUBLIC void packet_poller_set_clock(packet_poller *poller, double now) { atomic_store(&poller->now, now); }

PUBLIC void packet_poller_wait(packet_poller *poller)
{
    const struct timespec moment = {0, 20000};
    struct epoll_event event;
    if (!poller->threaded)
        return;
    /* In this order: the thread is busy before it takes the datagram out. */
    while (!atomic_load(&poller->thread_id) || epoll_wait(poller->epoll_fd, &event, 1, 0) > 0
           || atomic_load(&poller->busy))
        nanosleep(&moment, NULL);
}

PUBLIC packet_socket *packet_socket_add(packet_poller *poller, int fd, int32_t id, packet_transport *transport)
{
    packet_socket *socket = calloc(1, sizeof *socket);
    if (!socket)
        return NULL;
    socket->fd = fd;
    socket->id = id;
    socket->transport = transport;
    packet_lock(&poller->lock);
    int refused = watch(poller, fd, socket) < 0;
    if (!refused) {
        atomic_fetch_add(&transport->owners, 1);
        socket->next = poller->sockets;
        poller->sockets = socket;
    }
    packet_unlock(&poller->lock);
    if (refused) {
        free(socket);
        return NULL;
    }
    return socket;
}

PUBLIC void packet_socket_remove(packet_poller *poller, packet_socket *socket)
{
    packet_lock(&socket->transport->source_lock);
    epoll_ctl(poller->epoll_fd, EPOLL_CTL_DEL, socket->fd, NULL);
    socket->fd = -1;
    packet_unlock(&socket->transport->source_lock);
    packet_lock(&poller->lock);
    packet_socket **link = &poller->sockets;
    while (*link != socket)
        link = &(*link)->next;
    *link = socket->next;
    socket->retired_at = atomic_load(&poller->ring.head);
    socket->next = poller->retired;
    poller->retired = socket;
    packet_unlock(&poller->lock);
}

PUBLIC void packet_turn(packet_poller *poller)
{
    poller->turn++;
    poller->given_items = 0;
    poller->next = 0;
    if (!poller->threaded)
        do_round(poller, STEP, 0);
}

/* Takes an item out of the ring. */
static void drop(packet_item *item)
{
    item->kind = PACKET_NONE;
    atomic_fetch_sub_explicit(&item->from->waiting, weight(item->room), memory_order_relaxed);
    atomic_fetch_sub(&item->from->transport->queued, item->queued);
}

/* Offers a datagram of the ring to the stream that may expect it meanwhile; below 0 if frames of the stream have to be
   taken first: it came too early, and what it had to wait for has been processed since. */
static int offer(packet_poller *poller, const packet_item *item)
{
    packet_transport *transport = item->from->transport;
    packet_work *work = &poller->offered;
    work->size = item->size;
    work->address_size = item->address_size;
    work->only_next = 0;
    memcpy(work->address, item->address, sizeof work->address);
    memcpy(work->datagram, item->data, item->size < PACKET_BUFFER ? (size_t)item->size : PACKET_BUFFER);
    packet_lock(&transport->source_lock);
    int found = atomic_load(&transport->frames) ? -1 : packet_stream_receive(transport, work, item->at);
    packet_unlock(&transport->source_lock);
    return found;
}

PUBLIC packet_item *packet_next(packet_poller *poller)
{
    packet_ring *ring = &poller->ring;
    if (poller->taken)
        drop(poller->taken);
    poller->taken = NULL;
    for (;;) {
        uint64_t tail = atomic_load(&ring->tail);
        packet_ring_at(ring, &tail); /* behind what was taken out */
        packet_ring_drop(ring, tail);
        poller->next = poller->next > tail ? poller->next : tail;
        packet_item *item = packet_ring_at(ring, &poller->next);
        if (!item) {
            packet_ring_empty(ring);
            return NULL; /* the descriptor stays readable unless the ring is empty */
        }
        packet_item *waiting = item;
        packet_socket *from = item->from;
        packet_transport *transport = from->transport;
        int reason = item->kind == PACKET_FRAMED ? REASON_FRAME : REASON_PAYLOAD;
        if (poller->given_items >= TURN)
            return NULL;
        if (transport->passed == poller->turn || (item->kind == PACKET_DATAGRAM && from->turn == poller->turn)) {
            transport->passed = poller->turn; /* all of it, which stays in order */
            poller->next += (uint64_t)item->room;
            continue;
        }
        mark(poller, 0, transport->mark); /* which Python clears after the turn */
        if (item->kind == PACKET_DATAGRAM) {
            int found = from->fd < 0 ? PACKET_NONE : offer(poller, item);
            if (found < 0) {
                const packet_item *frame = packet_next_frame(poller, item->transport);
                memcpy(&poller->given, frame, offsetof(packet_item, data) + (size_t)frame->size);
                poller->given.kind = PACKET_FRAMED;
                poller->given_items++;
                return &poller->given;
            }
            if (found == PACKET_NONE) {
                if (from->fd >= 0)
                    count(&poller->processed);
                drop(item);
                continue;
            }
            reason = poller->offered.reason;
            if (found == PACKET_DATAGRAM)
                from->turn = poller->turn;
            poller->given = (packet_item){.socket = item->socket, .transport = item->transport, .at = item->at};
            const uint8_t *data = fill(&poller->given, &poller->offered, found);
            size_t size = (size_t)poller->given.size;
            memcpy(poller->given.data, data, size < PACKET_BUFFER ? size : PACKET_BUFFER);
            item = &poller->given;
        }
        if (item->kind == PACKET_FRAMED && item != &poller->given)
            atomic_fetch_sub(&transport->frames, 1);
        count(&poller->left[reason]);
        poller->given_items++;
        poller->taken = waiting;
        return item;
    }
}

PUBLIC packet_item *packet_next_frame(packet_poller *poller, int32_t transport)
{
    packet_ring *ring = &poller->ring;
    uint64_t position = atomic_load(&ring->tail);
    for (packet_item *item; (item = packet_ring_at(ring, &position)); position += (uint64_t)item->room)
        if (item->kind == PACKET_FRAMED && item->transport == transport && item != poller->taken) {
            item->kind = PACKET_NONE;
            atomic_fetch_sub_explicit(&item->from->waiting, weight(item->room), memory_order_relaxed);
            atomic_fetch_sub(&item->from->transport->frames, 1);
            count(&poller->left[REASON_FRAME]);
            return item;
        }
    return NULL;
}
