/* A fuzz target of bridge/rtc/packet_path.c, by libFuzzer, or by the driver at its end without it.
 *
 * The input is a program: it sets up leases, then lets datagrams arrive, most of them nearly the expected ones.
 * Sockets are in memory; libsrtp and libopus are stubs that check each size and pointer, touch every byte that they
 * were given, and fail when the input says so.
 */

#define _GNU_SOURCE

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            abort(); \
        } \
    } while (0)

static long allocations;

static void *counted_calloc(size_t number, size_t size)
{
    allocations++;
    return calloc(number, size);
}

static int fake_epoll_create(int flags);
static int fake_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event);
static int fake_epoll_wait(int epoll, struct epoll_event *events, int most, int timeout);
static int fake_close(int fd);
static ssize_t fake_recvfrom(int fd, void *data, size_t room, int flags, struct sockaddr *address, socklen_t *size);
static ssize_t fake_sendto(int fd, const void *data, size_t size, int flags, const struct sockaddr *address, socklen_t room);

#define calloc counted_calloc
#define malloc(size) counted_calloc(1, size)
#define epoll_create1 fake_epoll_create
#define epoll_ctl fake_epoll_ctl
#define epoll_wait fake_epoll_wait
#define close fake_close
#define recvfrom fake_recvfrom
#define sendto fake_sendto
#include "../../bridge/rtc/packet_path.c"
#undef calloc
#undef malloc

enum {
    SOCKETS = 2,
    TAG = 10,
    TRAILER = 144, /* SRTP_MAX_TRAILER_LEN: what libsrtp may write behind a packet */
};

/* The input, and what it decides about the stubs. */
static const uint8_t *input, *input_end;
static uint8_t faults; /* 1: unprotect, 2: protect, 4: decode, 8: encode, 16: send, 32: interrupted */
static long datagrams;

static struct epoll_event polled[SOCKETS];
static int polled_fd[SOCKETS];
static int sockets;
static uint8_t incoming[4096];
static ssize_t arrived;
static ssize_t incoming_size; /* as the network had it; below 0: nothing has come */
static uint8_t incoming_address[110];
static socklen_t incoming_address_size;

static packet_poller *poller;
static packet_event *event;
static packet_transport *transports[SOCKETS];
static packet_source *source;
static packet_sink *sinks[SOCKETS];

static uint8_t next(void) { return input < input_end ? *input++ : 0; }

static unsigned touch(const void *data, size_t size)
{
    unsigned sum = 0;
    for (size_t index = 0; index < size; index++)
        sum += ((const volatile uint8_t *)data)[index];
    return sum;
}

static int within(const void *inner, size_t size, const void *outer, size_t room)
{
    const uint8_t *begin = inner, *first = outer;
    return begin >= first && begin + size <= first + room;
}

static int fake_epoll_create(int flags) { return flags == EPOLL_CLOEXEC ? 99 : -1; }

static int fake_close(int fd) { return fd == 99 ? 0 : -1; }

static int fake_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *added)
{
    CHECK(epoll == 99);
    if (operation == EPOLL_CTL_ADD) {
        CHECK(sockets < SOCKETS);
        polled_fd[sockets] = fd;
        polled[sockets++] = *added;
        return 0;
    }
    for (int index = 0; index < sockets; index++)
        if (polled_fd[index] == fd) {
            sockets--;
            polled[index] = polled[sockets];
            polled_fd[index] = polled_fd[sockets];
            return 0;
        }
    return -1;
}

static int fake_epoll_wait(int epoll, struct epoll_event *events, int most, int timeout)
{
    CHECK(epoll == 99 && most >= 1 && timeout == 0);
    int ready = incoming_size >= 0 ? sockets : 0;
    memcpy(events, polled, (size_t)ready * sizeof *events);
    return ready;
}

static ssize_t fake_recvfrom(int fd, void *data, size_t room, int flags, struct sockaddr *address, socklen_t *size)
{
    CHECK(fd >= 0 && flags & MSG_TRUNC && flags & MSG_DONTWAIT);
    CHECK(within(data, room, event->datagram, sizeof event->datagram) && *size == sizeof event->address);
    if (incoming_size < 0) {
        errno = EAGAIN;
        return -1;
    }
    ssize_t came = incoming_size;
    incoming_size = -1;
    memcpy(data, incoming, (size_t)came < room ? (size_t)came : room);
    memcpy(address, incoming_address, incoming_address_size < *size ? incoming_address_size : *size);
    *size = incoming_address_size;
    return came;
}

static ssize_t fake_sendto(int fd, const void *data, size_t size, int flags, const struct sockaddr *address, socklen_t room)
{
    CHECK(fd >= 0 && size > HEADER && size <= HEADER + PACKET_PAYLOAD + TRAILER && flags & MSG_DONTWAIT);
    CHECK(room <= sizeof transports[0]->address && !address == !room);
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
    CHECK(session && within(packet, (size_t)*size, event->plain, sizeof event->plain));
    CHECK(*size > HEADER && *size <= PACKET_MAX && (uintptr_t)packet % 4 == 0);
    touch(packet, (size_t)*size);
    if (faults & 1 || *size < HEADER + TAG) {
        memset((uint8_t *)packet + HEADER, 0xA5, (size_t)(*size - HEADER));
        *size = 3;
        return 7;
    }
    *size -= TAG;
    return 0;
}

static int stub_protect(void *session, void *packet, int *size)
{
    CHECK(session && *size > HEADER && *size <= HEADER + PACKET_PAYLOAD && (uintptr_t)packet % 4 == 0);
    touch(packet, (size_t)*size);
    if (faults & 2)
        return 9;
    memset((uint8_t *)packet + *size, 0x5A, TRAILER);
    *size += TAG;
    return 0;
}

static int stub_decode(void *decoder, const uint8_t *packet, int32_t size, int16_t *pcm, int samples, int fec)
{
    CHECK(decoder && !fec && samples > 0 && within(pcm, 2 * (size_t)samples, event->pcm, sizeof event->pcm));
    CHECK(packet ? size > 0 && within(packet, (size_t)size, event->plain, sizeof event->plain) : !size);
    int made = packet ? duration(packet[0]) / BUS_RATIO : samples;
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
    CHECK(encoder && samples == PACKET_FRAME && size == PACKET_PAYLOAD);
    touch(pcm, 2 * (size_t)samples);
    if (faults & 8)
        return -1;
    memset(packet, 0x77, (size_t)size);
    return 1 + (int32_t)((uint16_t)pcm[0] % (unsigned)size);
}

static packet_libraries libraries = {stub_protect, stub_unprotect, stub_decode, stub_encode};

static int some_samples(uint8_t choice)
{
    static const int lengths[8] = {960, 960, 960, 1920, 480, 120, 2880, 5760};
    return lengths[choice & 7];
}

/* Begins the leases that the input asks for, as rtp/ and rtc/packet_leases.py may. */
static void lease(void)
{
    uint8_t kind = next(), numbers = next(), lengths = next(), options = next();
    packet_transport *transport = transports[0];
    packet_sink *sink = sinks[options & 1];
    int samples = some_samples(lengths);
    int pushes = kind % 4 == 2, relays = kind % 4 == 1, decodes = pushes || (kind & 4) || !relays;
    if (decodes)
        samples = POSITIONS;
    transport->secured = transports[1]->secured = !(options & 2);
    transport->receive = options & 4 ? NULL : transport;
    transports[options & 1]->send = options & 8 ? NULL : transport;
    transports[options & 1]->fd = options & 16 ? -1 : 5;
    transport->limit = 1 + (numbers & 63);
    transport->address_size = transports[1]->address_size = options & 32 ? 0 : options & 64 ? 28 : 16;
    source->form = options & 128 ? 0x9000 | 111 : 0x8000 | 111;
    source->ssrc = 0x22222222;
    source->sequence = numbers & 1 ? 65530 : 100;
    source->timestamp = numbers & 2 ? 0xFFFFF000 : 5000;
    source->samples = source->ticks = samples;
    source->position = numbers & 4 ? 960 * 1000000LL : 0;
    source->renumbering = numbers & 8 ? -70000 : 3;
    source->level_id = numbers & 16 ? 1 + (numbers >> 5) : -1;
    source->reported = numbers >> 7;
    source->warmup_count = lengths >> 3;
    source->clock_rate = 48000;
    source->last_arrival = 0;
    source->last_timestamp = source->timestamp - (uint32_t)samples;
    source->recorded = lengths & 128 ? 120 : 0;
    source->octets = lengths & 64 ? PACKET_COPIES - PACKET_MAX - 100 : 0;
    source->kept = 0;
    source->decoder = source;
    source->relay = relays ? sink : NULL;
    source->push = pushes ? sink : NULL;
    source->decodes = decodes;
    source->taps = kind >> 3 & 1;
    source->meter.quiet_since = NAN;
    sink->meter.quiet_since = NAN;
    sink->encoder = sink;
    sink->generation++;
    source->relay_generation = source->push_generation = sink->generation - (kind >= 250);
    sink->mode = relays ? SINK_PACKETS : pushes ? SINK_FRAMES : kind & 16 ? SINK_FRAMES : SINK_IDLE;
    sink->payload_type = 96;
    sink->sequence = 65530 + 65536LL * (numbers & 3);
    sink->offset = numbers & 32 ? -960 * 77LL : 4711;
    sink->end = source->position + sink->offset + (kind == 249);
    sink->timestamp = sink->end - samples;
    sink->relayed = (int32_t)((source->sequence + source->renumbering - 1) & 0xFFFF);
    sink->max_samples = numbers & 64 ? 960 : 5760;
    sink->steady = kind >> 5 & 1;
    sink->recorded = kind & 64 ? 100 : 0;
    sink->kept = 0;
    transport->source = kind == 255 ? NULL : source;
}

/* Writes the expected packet, with a payload that the input gives, and returns its size. */
static int write_expected(void)
{
    uint8_t toc = next(), length = next(), fill = next();
    int samples = source->samples, at = HEADER;
    static const uint8_t lengths_of[] = {0, 1, 2, 3, 60, 100, 160};
    write16(incoming, source->form);
    write16(incoming + 2, (uint32_t)source->sequence);
    write32(incoming + 4, source->timestamp);
    write32(incoming + 8, source->ssrc);
    if (source->form & 0x1000) {
        int words = fill & 3;
        write16(incoming + at, fill & 4 ? 0xBEDE : 0x1000);
        write16(incoming + at + 2, (uint32_t)(fill & 128 ? fill << 2 : words));
        at += 4;
        for (int index = 0; index < 4 * words; index++)
            incoming[at++] = next();
    }
    int size = length < 200 ? lengths_of[length % 7] : length < 250 ? 6 * length : 1200 + 50 * (length - 250);
    memset(incoming + at, fill, (size_t)size);
    /* Mostly one that lasts as long as is expected. */
    incoming[at] = toc < 64 ? toc * 4 : samples == 960 ? 0xF8 | (toc & 4) : samples == 1920 ? 0xF9 : samples == 480 ? 0xF0
                   : samples == 120 ? 0xE0 : samples == 2880 ? 0x18 : 0x1A;
    at += size + (transports[0]->secured ? TAG : 0);
    return at;
}

static void poll_all(double now)
{
    for (int found = -1, turns = 0; found; turns++) {
        CHECK(turns < 4);
        int64_t sequence = sinks[0]->sequence + sinks[1]->sequence;
        long before = allocations;
        found = packet_poll(poller, now, event);
        CHECK(allocations == before);
        CHECK(sinks[0]->sequence + sinks[1]->sequence - sequence <= 1);
        CHECK(found >= PACKET_NONE && found <= PACKET_FRAMED);
        CHECK(source->recorded >= 0 && source->recorded <= PACKET_RECORDED);
        for (int index = 0; index < SOCKETS; index++)
            CHECK(sinks[index]->recorded >= 0 && sinks[index]->recorded <= PACKET_RECORDED);
        if (found == PACKET_PLAIN)
            CHECK(event->size >= HEADER && event->size <= PACKET_MAX && event->transport == 1);
        CHECK(source->octets >= 0 && (!source->taps || source->octets <= PACKET_COPIES));
        if (found == PACKET_FRAMED)
            CHECK(source->decodes && source->samples == POSITIONS);
        if (found == PACKET_DATAGRAM) {
            size_t size = event->size < (int)sizeof event->datagram ? (size_t)event->size : sizeof event->datagram;
            CHECK(event->size == arrived && !memcmp(event->datagram, incoming, size));
        }
    }
}

static void arrive(double now)
{
    uint8_t kind = next();
    faults = kind & 3 ? 0 : next();
    int size;
    if (kind % 8 == 1) {
        size = next() << 3 | (next() & 7);
        for (int index = 0; index < size; index++)
            incoming[index] = next();
    } else {
        size = write_expected();
        if (kind % 8 == 2 && size > 0)
            incoming[next() % HEADER] ^= (uint8_t)(1 + next());
        if (kind % 8 == 3)
            size = next() < size ? input[-1] : size;
        if (kind % 8 == 4)
            incoming[(next() << 8 | next()) % size] = next();
        if (kind == 5)
            size = 1400 + 3 * next();
        if (kind == 13)
            incoming[1] ^= 0x80;
    }
    incoming_size = kind == 21 ? 65507 : size;
    memcpy(incoming_address, transports[0]->address, sizeof transports[0]->address);
    incoming_address_size = (socklen_t)transports[0]->address_size;
    if (kind == 29)
        incoming_address[next() % 28] ^= 1;
    if (kind == 37)
        incoming_address_size = next() % 110;
    arrived = incoming_size;
    datagrams++;
    poll_all(now);
}

static void push(double now)
{
    int16_t pcm[PACKET_FRAME];
    packet_sink *sink = sinks[next() & 1];
    faults = next();
    for (int index = 0; index < PACKET_FRAME; index++)
        pcm[index] = (int16_t)(faults * 300 + index);
    int64_t pts = (sink->end - sink->offset) / BUS_RATIO + (next() > 200);
    long before = allocations;
    packet_push(sink, pcm, pts, now);
    CHECK(allocations == before);
}

static void settle(void)
{
    source->recorded = 0;
    source->octets = 0;
    sinks[0]->recorded = sinks[1]->recorded = 0;
}

/* Opens a socket anew; one beside it is closed while it waits to be looked at. */
static packet_socket *listen_again(packet_socket *socket, double now)
{
    if (socket)
        packet_socket_remove(poller, socket);
    socket = packet_socket_add(poller, 5, 1, transports[0]);
    packet_socket *other = packet_socket_add(poller, 6, 2, transports[1]);
    CHECK(socket && other);
    incoming_address_size = 0;
    arrived = incoming_size = 1;
    packet_poll(poller, now, event);
    packet_socket_remove(poller, other);
    CHECK(packet_poll(poller, now, event) == PACKET_NONE);
    return socket;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input = data, input_end = data + size;
    faults = 0;
    incoming_size = -1;
    CHECK((poller = packet_poller_new()));
    /* Each on its own, so that whatever leaves one is found. */
    event = calloc(1, sizeof *event);
    source = calloc(1, sizeof *source);
    for (int index = 0; index < SOCKETS; index++) {
        transports[index] = calloc(1, sizeof *transports[index]);
        transports[index]->libraries = &libraries;
        transports[index]->id = 1 + index;
        sinks[index] = calloc(1, sizeof *sinks[index]);
        sinks[index]->transport = transports[index];
    }
    source->transport = transports[0];
    double now = 0.0;
    packet_socket *socket = listen_again(NULL, now);
    lease();
    while (input < input_end) {
        uint8_t step = next();
        now += step & 1 ? 0.02 : step & 2 ? 0.0 : 1.1;
        if (step < 200)
            arrive(now);
        else if (step < 225)
            push(now);
        else if (step < 240)
            settle();
        else if (step < 250)
            lease();
        else
            socket = listen_again(socket, now);
    }
    packet_poller_free(poller);
    sockets = 0;
    free(event);
    free(source);
    for (int index = 0; index < SOCKETS; index++) {
        free(transports[index]);
        free(sinks[index]);
    }
    return 0;
}

#ifdef LIBFUZZER

/* Ends the run after $FUZZ_DATAGRAMS. */
static long most;

int LLVMFuzzerInitialize(int *count, char ***arguments)
{
    (void)count, (void)arguments;
    const char *wanted = getenv("FUZZ_DATAGRAMS");
    most = wanted ? atol(wanted) : 0;
    return 0;
}

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t room);

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed)
{
    (void)seed;
    if (most && datagrams >= most) {
        fprintf(stderr, "datagrams: %ld\n", datagrams);
        _exit(0);
    }
    return LLVMFuzzerMutate(data, size, room);
}

#else

/* Without libFuzzer: the corpus, then inputs of its bytes and random ones, until $FUZZ_DATAGRAMS. */
static uint64_t random_state = 0x9E3779B97F4A7C15u;

static uint32_t random32(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 16);
}

int main(int count, char **names)
{
    static uint8_t data[4096], seeds[256][4096];
    static size_t sizes[256];
    const char *wanted = getenv("FUZZ_DATAGRAMS"), *seed = getenv("FUZZ_SEED");
    long most = wanted ? atol(wanted) : 0, told = 0;
    if (seed)
        random_state ^= (uint64_t)atol(seed) << 20;
    int seeded = 0;
    for (int index = 1; index < count; index++) {
        FILE *file = fopen(names[index], "rb");
        CHECK(file);
        size_t size = fread(data, 1, sizeof data, file);
        fclose(file);
        LLVMFuzzerTestOneInput(data, size);
        if (seeded < 256) {
            memcpy(seeds[seeded], data, size);
            sizes[seeded++] = size;
        }
    }
    while (datagrams < most) {
        size_t size = 16 + random32() % 1000;
        for (size_t index = 0; index < size; index++)
            data[index] = (uint8_t)random32();
        if (seeded && random32() % 2) {
            int chosen = (int)(random32() % (unsigned)seeded);
            size = sizes[chosen];
            memcpy(data, seeds[chosen], size);
            for (uint32_t changes = random32() % 8; size && changes--;)
                data[random32() % size] = (uint8_t)random32();
        }
        uint8_t *exact = malloc(size ? size : 1);
        CHECK(exact);
        memcpy(exact, data, size);
        LLVMFuzzerTestOneInput(exact, size);
        free(exact);
        if (datagrams >= told + 1000000) {
            told = datagrams;
            fprintf(stderr, "datagrams: %ld\n", datagrams);
        }
    }
    fprintf(stderr, "datagrams: %ld\n", datagrams);
    return 0;
}

#endif
