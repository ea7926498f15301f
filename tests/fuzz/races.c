/* Packets between the packet path's thread and Python, under ThreadSanitizer: `python -m tests.fuzz.races`.
 *
 * Eight transports on loopback receive numbered packets, each for another's peer; the thread forwards those of four,
 * decodes and encodes those of two, of which some are lost and concealed, and gives the frames of two to Python. The main thread is Python: it processes what
 * it is given, and at random it syncs, ends and begins offloads, sends packets and frames of its own inside the
 * streams, changes keys, routes and sockets, and stops for 30 ms. libsrtp and libopus are stubs with plain state, so
 * that a use without a lock is a race; -DWITHOUT_LOCKS leaves all locks out, which has to be found.
 *
 * Checked by the rules in packet_path.h: 1 and 2 by ThreadSanitizer; 3, no sequence number comes or is protected twice,
 * nor without being noted as used before;
 * 4 and 5, each packet comes to the peer once and in order, none is refused or dropped; 6, no datagram comes from a
 * socket that is another's or closed.
 */

#define _GNU_SOURCE

#include <arpa/inet.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef WITHOUT_LOCKS
#define pthread_mutex_lock(mutex) ((void)(mutex))
#define pthread_mutex_unlock(mutex) ((void)(mutex))
#endif
#include "../../bridge/rtc/g711.c"
#include "../../bridge/rtc/packet_stream.c"
#include "../../bridge/rtc/packet_offload.c"
#include "../../bridge/rtc/packet_ring.c"
#include "../../bridge/rtc/packet_path.c"

enum {
    LEGS = 8,
    MAX_PACKETS = 1 << 22, /* of a leg */
    OUTSTANDING = 100, /* packets of a leg on their way, at most: neither a socket nor the ring has to drop one */
    SIGNALS = 20, /* of the datagrams that Python alone understands, likewise */
    PORTS = 2, /* of a peer */
    TAG = 10,
    TOC = 0xF8, OTHER_TOC = 0xF0, /* of 20 and 10 ms */
    THEIRS = 0, OURS = 0xEE, CONCEALED = 0xCC, /* whose packet it is, behind the TOC */
    PAYLOAD = 10,
    STUCK_SECONDS = 20,
};

static atomic_long broken;

#define EXPECT(condition) \
    do { \
        if (!(condition) && atomic_fetch_add(&broken, 1) < 10) \
            fprintf(stderr, "races.c:%d: %s\n", __LINE__, #condition); \
    } while (0)

static double monotonic(void) { return (double)clock_ns(CLOCK_MONOTONIC) * 1e-9; }

/* The number of a packet is read from where it lies: TOC, whose it is, number. */
static uint64_t number_of(const uint8_t *payload)
{
    uint64_t number;
    memcpy(&number, payload + 2, sizeof number);
    return number;
}

static void write_payload(uint8_t *to, int toc, int whose, uint64_t number)
{
    to[0] = (uint8_t)toc;
    to[1] = (uint8_t)whose;
    memcpy(to + 2, &number, sizeof number);
}

/* libsrtp: the highest index of a context, which is not used twice, nor before its sink has noted that it may be */
typedef struct {
    int64_t highest; /* -1 before there is one */
    int64_t count;
    const int64_t *used; /* two ceilings of numbers, each with its complement */
} context;

static int64_t ceiling_of(const int64_t *used) { return used[0] > used[2] ? used[0] : used[2]; }

static atomic_long reused, refused;

static int next_index(context *of, const uint8_t *packet)
{
    int64_t index = (of->highest & ~0xFFFFLL) | read16(packet + 2);
    if (of->highest < 0)
        index = read16(packet + 2);
    else if (index + 0x8000 < of->highest)
        index += 0x10000;
    if (index <= of->highest)
        return 0;
    of->highest = index;
    of->count++;
    return 1;
}

static int stub_protect(void *session, void *packet, int *size)
{
    if (!next_index(session, packet)) {
        atomic_fetch_add(&reused, 1);
        return 9;
    }
    const int64_t *used = ((context *)session)->used;
    int ahead = (int)((ceiling_of(used) - (int64_t)read16((uint8_t *)packet + 2)) & 0xFFFF);
    EXPECT(ahead > 0 && ahead <= PACKET_RESERVED);
    memset((uint8_t *)packet + *size, 0xAA, TAG);
    *size += TAG;
    return 0;
}

static int stub_unprotect(void *session, void *packet, int *size)
{
    if (!next_index(session, packet)) {
        atomic_fetch_add(&refused, 1);
        return 9;
    }
    *size -= TAG;
    return 0;
}

static int stub_protect_rtcp(void *session, void *packet, int *size)
{
    ((context *)session)->count++;
    memset((uint8_t *)packet + *size, 0xBB, TAG);
    *size += TAG;
    return 0;
}

/* libopus: a coder counts what it does; a frame has the payload's bytes */
static int stub_decode(void *decoder, const uint8_t *packet, int32_t size, int16_t *pcm, int samples, int fec)
{
    (void)samples, (void)fec;
    ++*(int64_t *)decoder;
    memset(pcm, 0, 2 * PACKET_FRAME);
    if (packet)
        memcpy(pcm, packet, (size_t)(size < PAYLOAD ? size : PAYLOAD));
    else
        write_payload((uint8_t *)pcm, TOC, CONCEALED, 0);
    return PACKET_FRAME;
}

static int32_t stub_encode(void *encoder, const int16_t *pcm, int samples, uint8_t *packet, int32_t size)
{
    (void)samples, (void)size;
    ++*(int64_t *)encoder;
    memcpy(packet, pcm, PAYLOAD);
    return PAYLOAD;
}

static const packet_libraries libraries = {stub_protect, stub_protect_rtcp, stub_unprotect, stub_protect_rtcp, stub_decode, stub_encode};

/* The peers, which two threads are. */
static struct {
    int sockets[PORTS];
    struct sockaddr_in addresses[PORTS];
    atomic_int port;     /* the one in use */
    atomic_int to;       /* where packets go: a port, in the network's order */
    atomic_int paused;
    atomic_long sent, got, own; /* packets; those that Python made itself */
    atomic_long signals, signalled; /* sent, and given to Python or lost with a socket */
} peers[LEGS];
static uint8_t numbers_seen[LEGS][MAX_PACKETS], sequences_seen[LEGS][1 << 16];
static atomic_long rounds; /* of the thread that sends */
static atomic_int over; /* 1: all packets were sent, 2: all have come */
static long packets_of_a_leg;

/* How many packets may be lost before one of a leg, for each of which its peer gets one. */
static int may_lose(int index) { return index == 4 || index == 5; }

static void send_from_peer(int index, const uint8_t *data, size_t size)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    to.sin_port = (in_port_t)atomic_load(&peers[index].to);
    int from = peers[index].sockets[atomic_load(&peers[index].port)];
    EXPECT(sendto(from, data, size, 0, (void *)&to, sizeof to) == (ssize_t)size);
}

static void *send_packets(void *unused)
{
    (void)unused;
    unsigned seed = 1;
    while (!atomic_load(&over)) {
        int most = 1;
        atomic_fetch_add(&rounds, 1);
        for (int index = 0; index < LEGS; index++) {
            long sent = atomic_load(&peers[index].sent);
            if (rand_r(&seed) % 20 == 0
                && atomic_load(&peers[index].signals) - atomic_load(&peers[index].signalled) < SIGNALS) {
                uint8_t signal[20] = {0, 1, (uint8_t)index};
                atomic_fetch_add(&peers[index].signals, 1);
                send_from_peer(index, signal, sizeof signal);
            }
            if (sent == packets_of_a_leg)
                continue;
            most = 0;
            if (atomic_load(&peers[index].paused) || sent - atomic_load(&peers[index].got) >= OUTSTANDING)
                continue;
            uint8_t packet[HEADER + PAYLOAD + TAG] = {0x80, 111};
            sent += may_lose(index) && sent + 1 < packets_of_a_leg && rand_r(&seed) % 20 == 0;
            write16(packet + 2, (uint32_t)(sent & 0xFFFF));
            write32(packet + 4, (uint32_t)(sent * 960));
            write32(packet + 8, 1000 + (uint32_t)index);
            write_payload(packet + HEADER, rand_r(&seed) % 300 ? TOC : OTHER_TOC, THEIRS, (uint64_t)sent);
            atomic_store(&peers[index].sent, sent + 1);
            send_from_peer(index, packet, sizeof packet);
        }
        if (most)
            atomic_store(&over, 1);
        usleep(200 + (useconds_t)(rand_r(&seed) % 300));
    }
    return NULL;
}

static void check_received(int index, int port, const uint8_t *packet, ssize_t size, int64_t last[LEGS][PORTS])
{
    const uint8_t *payload = packet + HEADER;
    uint64_t number = number_of(payload);
    EXPECT(size == HEADER + PAYLOAD + TAG);
    /* One has come round when all were used. */
    long rounds = (atomic_load(&peers[index ^ 1].got) + atomic_load(&peers[index].own)) / 65536;
    EXPECT(sequences_seen[index][read16(packet + 2)]++ <= rounds);
    if (payload[1] == OURS) {
        atomic_fetch_add(&peers[index].own, 1);
        return;
    }
    atomic_fetch_add(&peers[index ^ 1].got, 1);
    if (payload[1] == CONCEALED)
        return;
    EXPECT(number < MAX_PACKETS && !numbers_seen[index][number]++);
    EXPECT((int64_t)number > last[index][port]);
    last[index][port] = (int64_t)number;
}

static void *receive_packets(void *unused)
{
    (void)unused;
    int64_t last[LEGS][PORTS];
    memset(last, 0xFF, sizeof last);
    while (atomic_load(&over) < 2) {
        int idle = 1;
        for (int index = 0; index < LEGS; index++)
            for (int port = 0; port < PORTS; port++) {
                uint8_t packet[PACKET_BUFFER];
                ssize_t size;
                while ((size = recv(peers[index].sockets[port], packet, sizeof packet, MSG_DONTWAIT)) > 0) {
                    check_received(index, port, packet, size, last);
                    idle = 0;
                }
            }
        if (idle)
            usleep(200);
    }
    return NULL;
}

/* A leg, as Python has it; its packets go to the peer of the leg beside it. */
typedef struct {
    packet_transport *transport;
    packet_socket *socket;
    int fd, port; /* the peer's port in use */
    int32_t id;   /* of the socket */
    packet_source_state source;
    packet_sink_state sink;
    int active;   /* whether its source is offloaded */
    int feeds;    /* what its source is offloaded for */
    int32_t mode; /* of its sink's offload */
    int32_t generation;
    context *receive, *send;
    int64_t used[4]; /* of its sink */
    int64_t *decoder, *encoder;
} leg;

static packet_poller *poller;
static leg legs[LEGS];
static int32_t last_id;
static unsigned seed = 7;
static struct {
    long syncs, slow, frames, own, pushed, keys, routes, sockets, stops, signals, reports;
} did;

static unsigned draw(unsigned most) { return (unsigned)rand_r(&seed) % most; }

static leg *beside(const leg *of) { return &legs[(of - legs) ^ 1]; }

static void read_sink(leg *of, int end)
{
    static packet_sink_record record;
    if (of->mode == SINK_IDLE)
        return;
    (end ? packet_sink_end : packet_sink_sync)(of->transport, &of->sink, &record);
    if (end)
        of->mode = SINK_IDLE;
}

static void begin_sink(leg *of)
{
    if (of->mode != SINK_IDLE)
        return;
    of->mode = beside(of)->feeds == SINK_PACKETS ? SINK_PACKETS : SINK_FRAMES;
    of->sink.forwarded = (beside(of)->source.sequence - 1) & 0xFFFF;
    of->generation = packet_sink_begin(of->transport, &of->sink, of->mode, of->encoder);
}

/* Sends a packet of Python's, which has the stream. */
static void send_by_python(leg *of, const uint8_t *payload)
{
    uint8_t packet[PACKET_BUFFER] = {0x80, 111};
    int32_t size = HEADER + PAYLOAD;
    if (of->sink.sequence >= ceiling_of(of->used)) {
        int64_t *lower = of->used[0] > of->used[2] ? of->used + 2 : of->used;
        lower[0] = of->sink.sequence + PACKET_RESERVED, lower[1] = ~lower[0];
    }
    write16(packet + 2, (uint32_t)(of->sink.sequence++ & 0xFFFF));
    write32(packet + 4, (uint32_t)of->sink.end);
    write32(packet + 8, of->sink.ssrc);
    memcpy(packet + HEADER, payload, PAYLOAD);
    of->sink.end += POSITIONS;
    if (packet_srtp(of->transport, SRTP_PROTECT, packet, &size))
        return;
    const struct sockaddr_in *to = &peers[of - legs].addresses[of->port];
    EXPECT(sendto(of->fd, packet, (size_t)size, MSG_DONTWAIT, (const void *)to, sizeof *to) == size);
}

/* Continues the stream of a leg by what is at a position of its source. */
static void continue_by_python(leg *of, int64_t position, const uint8_t *payload)
{
    read_sink(of, 1);
    of->sink.offset = of->sink.end - position;
    send_by_python(of, payload);
}

static void take_frame(leg *from, const packet_item *item)
{
    leg *to = beside(from);
    did.frames++;
    if (packet_sink_push(to->transport, (const void *)item->data, item->position / BUS_RATIO, item->at))
        return;
    continue_by_python(to, item->position, item->data);
    begin_sink(to);
}

static void read_source(leg *of, int end)
{
    static packet_source_record record;
    if (!of->active)
        return;
    (end ? packet_source_end : packet_source_sync)(of->transport, &of->source, &record);
    if (!end)
        return;
    of->active = 0;
    for (packet_item *item; (item = packet_next_frame(poller, of->transport->id));)
        take_frame(of, item);
}

static void begin_source(leg *of)
{
    leg *to = beside(of);
    int feeds = of->feeds;
    of->active = 1;
    packet_source_begin(of->transport, &of->source, of->decoder, feeds, feeds ? to->transport : NULL, to->generation,
                        feeds == SINK_PACKETS ? FRAMES_UNWANTED : feeds ? FRAMES_DECODED : FRAMES_AT_ONCE,
                        (int32_t)draw(feeds == SINK_PACKETS ? 2 : 3));
}

/* Processes a packet that was not the expected one, or was it too late, and offloads both streams. */
static void take_packet(leg *from, uint8_t *packet)
{
    leg *to = beside(from);
    uint8_t concealed[PAYLOAD];
    int lost = ahead_of((int32_t)read16(packet + 2), from->source.sequence);
    did.slow++;
    EXPECT(lost >= 0 && lost <= may_lose((int)(from - legs)));
    write_payload(concealed, TOC, CONCEALED, 0);
    for (; lost >= 0; lost--) {
        continue_by_python(to, from->source.position, lost ? concealed : packet + HEADER);
        from->source.sequence = (from->source.sequence + 1) & 0xFFFF;
        from->source.timestamp += 960;
        from->source.position += 960;
    }
    begin_sink(to);
    begin_source(from);
}

static void look_at(packet_item *item)
{
    leg *from = &legs[item->transport];
    if (item->kind == PACKET_FRAMED) {
        take_frame(from, item);
        return;
    }
    uint8_t packet[PACKET_BUFFER];
    int32_t size = item->size;
    memcpy(packet, item->data, (size_t)size);
    EXPECT(item->kind != PACKET_DATAGRAM || item->socket == from->id); /* not of one that is closed */
    if (packet[0] < 128) {
        did.signals++;
        atomic_fetch_add(&peers[from - legs].signalled, 1);
        EXPECT(packet[2] == from - legs);
    } else {
        read_source(from, 1);
        if (item->kind == PACKET_DATAGRAM && packet_srtp(from->transport, SRTP_UNPROTECT, packet, &size))
            return;
        take_packet(from, packet);
    }
}

/* As an event loop: does nothing unless the descriptor is readable. */
static void take_turn(int milliseconds)
{
    struct pollfd waits = {.fd = packet_poller_fd(poller), .events = POLLIN};
    if (poll(&waits, 1, milliseconds) <= 0)
        return;
    packet_turn(poller);
    for (packet_item *item; (item = packet_next(poller));)
        look_at(item);
}

static int open_socket(struct sockaddr_in *address)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof any;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (void *)&any, size) || getsockname(fd, (void *)address, &size)) {
        perror("socket");
        exit(2);
    }
    return fd;
}

static void set_route(leg *of)
{
    const struct sockaddr_in *to = &peers[of - legs].addresses[of->port];
    packet_set_route(of->transport, of->fd, (const void *)to, sizeof *to, (const void *)to, sizeof *to);
}

static void listen_on_socket(leg *of)
{
    struct sockaddr_in address;
    of->fd = open_socket(&address);
    of->id = ++last_id;
    of->socket = packet_socket_add(poller, of->fd, of->id, of->transport);
    set_route(of);
    atomic_store(&peers[of - legs].to, address.sin_port);
}

/* Lets no packets come of a leg, nor of the one whose packets it sends, and waits for those on their way. */
static int pause_leg(int index)
{
    int both[2] = {index, index ^ 1};
    for (int each = 0; each < 2; each++)
        atomic_store(&peers[both[each]].paused, 1);
    double since = monotonic();
    for (long before = atomic_load(&rounds); atomic_load(&rounds) < before + 2 && !atomic_load(&over);)
        take_turn(1); /* one may be about to be sent */
    for (int each = 0; each < 2; each++)
        while (atomic_load(&peers[both[each]].sent) != atomic_load(&peers[both[each]].got)) {
            take_turn(1);
            if (monotonic() > since + STUCK_SECONDS)
                return 0;
        }
    return 1;
}

/* Closes the sockets of two legs and opens others, whose descriptors are swapped; signals that wait are lost. */
static void change_sockets(int index)
{
    int both[2] = {index, (index + 3) % LEGS};
    if (!pause_leg(both[0]) || !pause_leg(both[1]))
        return;
    for (int each = 0; each < 2; each++) {
        leg *of = &legs[both[each]];
        packet_leave_socket(of->transport, of->fd);
        packet_socket_remove(poller, of->socket);
        close(of->fd);
    }
    for (int each = 2; each-- > 0;) {
        listen_on_socket(&legs[both[each]]);
        atomic_store(&peers[both[each]].signalled, atomic_load(&peers[both[each]].signals));
        atomic_store(&peers[both[each]].paused, 0);
        atomic_store(&peers[both[each] ^ 1].paused, 0);
    }
    did.sockets += 2;
}

static context *new_context(const leg *of)
{
    context *made = calloc(1, sizeof *made);
    made->highest = -1;
    made->used = of->used;
    return made;
}

static void change_keys(leg *of)
{
    context *receive = of->receive, *send = of->send;
    of->receive = new_context(of), of->send = new_context(of);
    packet_set_keys(of->transport, 1, of->receive, of->send);
    free(receive);
    free(send);
    did.keys++;
}

/* A packet of Python's inside the stream, such as a digit. */
static void send_own(leg *of)
{
    uint8_t payload[PAYLOAD];
    write_payload(payload, TOC, OURS, 0);
    read_sink(of, 1);
    send_by_python(of, payload);
    /* What comes next follows it: a packet whose time was already sent is dropped. */
    of->sink.offset += POSITIONS;
    if (draw(2))
        begin_sink(of);
    did.own++;
}

/* A frame of Python's, where a source may push another at the same time. */
static void push_own(leg *of)
{
    int16_t pcm[PACKET_FRAME] = {0};
    write_payload((uint8_t *)pcm, TOC, OURS, 0);
    read_sink(of, 0);
    if (packet_sink_push(of->transport, pcm, (of->sink.end - of->sink.offset) / BUS_RATIO, monotonic()))
        did.own++, did.pushed++;
}

static void ask(leg *of)
{
    uint8_t report[PACKET_BUFFER] = {0x80, 200};
    int32_t size = 28;
    packet_srtp(of->transport, SRTP_PROTECT_RTCP, report, &size);
    packet_counters counters;
    packet_poller_counters(poller, &counters);
    packet_source_last_arrival(of->transport);
    packet_alive_at(of->transport);
    packet_admit(of->transport, monotonic());
    EXPECT(!packet_take_unsendable(of->transport));
    did.reports++;
}

static void act(void)
{
    leg *of = &legs[draw(LEGS)];
    unsigned choice = draw(400);
    if (choice < 8) {
        send_own(of);
    } else if (choice < 16) {
        push_own(of);
    } else if (choice < 24) {
        read_source(of, 1);
    } else if (choice < 30) {
        read_sink(of, 1);
        begin_sink(of);
    } else if (choice < 36) {
        read_source(of, 1);
        begin_source(of);
    } else if (choice < 40) {
        change_keys(of);
    } else if (choice < 44) {
        /* A packet of the address before may be overtaken: Python alone takes it. */
        if (!pause_leg((int)(of - legs)))
            return;
        of->port ^= 1;
        set_route(of);
        atomic_store(&peers[of - legs].port, of->port);
        atomic_store(&peers[of - legs].paused, 0);
        atomic_store(&peers[(of - legs) ^ 1].paused, 0);
        did.routes++;
    } else if (choice < 46) {
        change_sockets((int)(of - legs));
    } else if (choice < 60) {
        ask(of);
    } else if (choice < 62) {
        usleep(30000);
        did.stops++;
    } else if (choice < 230) {
        read_source(of, 0);
        did.syncs++;
    } else {
        read_sink(of, 0);
        did.syncs++;
    }
}

static void make_leg(int index)
{
    leg *of = &legs[index];
    for (int port = 0; port < PORTS; port++)
        peers[index].sockets[port] = open_socket(&peers[index].addresses[port]);
    of->transport = packet_transport_new(&libraries, index, INT64_MAX / 2, 1);
    packet_set_mark(of->transport, 1 + index);
    of->feeds = index < 4 ? SINK_PACKETS : index < 6 ? SINK_FRAMES : SINK_IDLE;
    of->source = (packet_source_state){.header_pattern = 0x8000 | 111, .ssrc = 1000 + (uint32_t)index, .samples = 960,
                                       .ticks = 960, .level_id = -1, .clock_rate = 48000, .meter = {.quiet_since = NAN}};
    of->sink = (packet_sink_state){.ssrc = 5000 + (uint32_t)index, .payload_type = 111, .max_samples = 5760,
                                   .sequence = 65000, .used = (uintptr_t)of->used, .meter = {.quiet_since = NAN}};
    of->used[1] = of->used[3] = ~0;
    of->decoder = calloc(1, sizeof *of->decoder);
    of->encoder = calloc(1, sizeof *of->encoder);
    change_keys(of);
    listen_on_socket(of);
}

/* Runs until all packets have come, or none does any more; returns whether they have. */
static int run(void)
{
    long before = -1, got = 0, sent = 1;
    double since = monotonic();
    while (!(atomic_load(&over) && got == sent)) {
        take_turn(draw(2));
        if (!atomic_load(&over))
            act();
        got = sent = 0;
        for (int index = 0; index < LEGS; index++) {
            got += atomic_load(&peers[index].got);
            sent += atomic_load(&peers[index].sent);
        }
        if (got != before)
            since = monotonic();
        else if (monotonic() > since + STUCK_SECONDS)
            return 0;
        before = got;
    }
    return 1;
}

int main(int count, char **arguments)
{
    long packets = count > 1 ? atol(arguments[1]) : 100000;
    packets_of_a_leg = packets / LEGS;
    if (packets_of_a_leg > MAX_PACKETS)
        return 2;
    if (count > 2)
        seed = (unsigned)atol(arguments[2]);
    double began = monotonic();
    static int64_t marks[2];
    poller = packet_poller_new();
    if (poller)
        packet_poller_set_marks(poller, marks);
    if (!poller || packet_poller_start(poller, count > 3 ? (int32_t)atol(arguments[3]) : 0, 0))
        return 2;
    for (int index = 0; index < LEGS; index++)
        make_leg(index);
    for (int index = 0; index < LEGS; index++)
        begin_sink(&legs[index]);
    for (int index = 0; index < LEGS; index++)
        begin_source(&legs[index]);
    pthread_t sender, receiver;
    pthread_create(&sender, NULL, send_packets, NULL);
    pthread_create(&receiver, NULL, receive_packets, NULL);
    int complete = run();
    atomic_store(&over, 2);
    pthread_join(sender, NULL);
    pthread_join(receiver, NULL);
    packet_counters counters;
    packet_poller_counters(poller, &counters);
    long got = 0, own = 0, unsendable = 0;
    for (int index = 0; index < LEGS; index++) {
        leg *of = &legs[index];
        got += atomic_load(&peers[index].got);
        own += atomic_load(&peers[index].own);
        read_source(of, 1);
        read_sink(of, 1);
        unsendable += packet_take_unsendable(of->transport);
        packet_transport_release(of->transport);
    }
    packet_poller_free(poller);
    int good = complete && got == LEGS * packets_of_a_leg && own == did.own && !unsendable && !atomic_load(&broken)
               && !atomic_load(&reused) && !atomic_load(&refused) && !counters.dropped;
    printf("%ld packets in %.1f s, %ld by Python and %ld frames; %ld own packets, %ld of them frames; %ld syncs, %ld keys,"
           " %ld routes, %ld sockets, %ld stops, %ld signals, %ld reports; most in the ring %ld bytes\n"
           "missing %ld, own missing %ld, wrong %ld, protected twice %ld, refused %ld, not sent %ld, dropped %ld\n",
           got, monotonic() - began, did.slow, did.frames, did.own, did.pushed, did.syncs, did.keys, did.routes,
           did.sockets, did.stops, did.signals, did.reports, (long)counters.most, LEGS * packets_of_a_leg - got, did.own - own,
           atomic_load(&broken), atomic_load(&reused), atomic_load(&refused), unsendable, (long)counters.dropped);
    return !good;
}
