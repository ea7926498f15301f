/* A fuzz target of the packet path in bridge/rtc, stepped, without its thread (driver.h runs it).
 *
 * The input is a program: what Python may do with two transports and their sockets, in the order in which rtp/ and
 * rtc/ do it, and datagrams, most of them nearly the expected ones. Everything that the path gets or hands over lies
 * in an allocation of its own, so that whatever leaves one is found. Checked besides, by the rules in packet_path.h:
 *
 * 1, 2. No lock is held outside, no two but a source's and then a sink's; nothing is allocated for a packet.
 * 4. Datagrams come to Python untouched, each once, in order, and none of a socket that was removed; every one is
 *    processed, handed over, dropped and counted, or was of a removed socket. Nothing is left in the ring then.
 * 5. Frames come once and in order, those that wait when an offload ends included, unless they were dropped and counted.
 * 6. Nothing is sent or read on a socket that is closed, nor used once Python has taken it back; nothing is leaked.
 */

#define _GNU_SOURCE

#include <math.h>
#include <sched.h>
#include <signal.h>

#include "system.h"

#include "../../bridge/rtc/g711.c"
#include "../../bridge/rtc/packet_stream.c"
#include "../../bridge/rtc/packet_offload.c"
#include "../../bridge/rtc/packet_ring.c"
#include "../../bridge/rtc/packet_path.c"

enum {
    LEGS = 2,
    ALL = 1 << 20, /* items that Python takes of a turn, and turns in which it must have taken all */
    REMEMBERED = 1 << 16, /* datagrams of a socket that may still be handed over */
};

/* A transport, and what Python keeps for it. */
typedef struct {
    packet_transport *transport;
    int32_t id;
    void *receive, *send, *decoder, *encoder;
    int64_t *used;    /* two ceilings of numbers that may have been used, each with its complement */
    int feeds;        /* whose sink the offloaded source feeds; -1: none */
    int frames;       /* whether Python takes the frames of the offload */
    int64_t first;    /* number of the sink's offload */
    int64_t position; /* of the next one */
    int64_t dropped;  /* by the poller, when the offload began */
} leg;

typedef struct {
    packet_socket *handle; /* NULL while it is closed */
    packet_transport *transport;
    int32_t id;
    uint64_t turn; /* in which a datagram of it was last handed over */
    uint32_t read, given; /* of `hashes`: those from `given` on may still come */
    uint64_t hashes[REMEMBERED];
} listening;

static const uint8_t *input, *input_end;
static long datagrams; /* that have arrived, in all runs: driver.h ends after some */
static packet_poller *poller;
static leg legs[LEGS];
static listening listenings[SOCKETS];
static int32_t last_id;
static uint64_t turns;
static uint8_t reaction; /* what Python does when it is given something */
static int removed; /* sockets, in this run */
static double now;

static uint8_t next_byte(void) { return input < input_end ? *input++ : 0; }

static int samples_of(uint8_t toc) { return opus_duration(toc) / BUS_RATIO; }

static void *new_handle(void) { return python_memory(8); }

static void drop_handle(void **handle)
{
    python_free(*handle);
    *handle = NULL;
}

static int within(const void *inner, size_t size, const void *outer, size_t room)
{
    const uint8_t *begin = inner, *first = outer;
    return begin >= first && begin + size <= first + room;
}

/* A packet that lies in one of the poller's buffers ends there too; the sanitizer knows the poller as a whole alone. */
static void check_packet_room(const void *begin, size_t size)
{
    packet_work *works[] = {&poller->work, &poller->offered};
    if (!within(begin, 0, poller, sizeof *poller))
        return;
    int found = 0;
    for (int index = 0; index < 2; index++)
        found += within(begin, size, works[index]->datagram, PACKET_BUFFER)
                 || within(begin, size, works[index]->plain, PACKET_BUFFER)
                 || within(begin, size, works[index]->sent, PACKET_BUFFER);
    CHECK(found);
}

static void check_decoder_room(const void *packet, size_t size, const void *pcm, size_t room)
{
    packet_work *work = within(pcm, 0, poller->work.pcm, sizeof poller->work.pcm) ? &poller->work : &poller->offered;
    CHECK(within(pcm, room, work->pcm, sizeof work->pcm));
    CHECK(!packet || within(packet, size, work->plain, sizeof work->plain));
}

static uint64_t hash_of(const uint8_t *data, size_t size)
{
    uint64_t hash = 0xCBF29CE484222325u ^ size;
    size_t stored = size < PACKET_BUFFER ? size : PACKET_BUFFER;
    for (size_t index = 0; index < stored; index++)
        hash = (hash ^ data[index]) * 0x100000001B3u;
    return hash;
}

static void note_received(int fd, const void *data, size_t size)
{
    listening *socket = &listenings[fd - FIRST_FD];
    CHECK(socket->handle);
    socket->hashes[socket->read++ % REMEMBERED] = hash_of(data, size);
    if (socket->read - socket->given > REMEMBERED)
        socket->given++;
}

static int64_t dropped(void) { return atomic_load(&poller->dropped); }

/* What Python does with a frame. */
static void take_frame(const packet_item *item)
{
    leg *of = &legs[item->transport == legs[1].id];
    CHECK(item->kind == PACKET_FRAMED || item->kind == PACKET_NONE);
    CHECK(item->size == 2 * PACKET_FRAME && item->transport == of->id && item->at <= now);
    touch(item->data, (size_t)item->size);
    if (!of->transport || !of->frames)
        return;
    CHECK(item->position >= of->position && (item->position == of->position || dropped() > of->dropped));
    of->position = item->position + POSITIONS;
}

static void check_sizes(const uint16_t *sizes, int count, int most)
{
    for (int index = 0; index < count; index++)
        CHECK(sizes[index] > 0 && sizes[index] <= most);
}

static void read_source(leg *of, int end)
{
    packet_source_state *state = python_memory(sizeof *state);
    packet_source_record *record = python_memory(sizeof *record);
    int active = of->transport->source.active, taps = of->transport->source.taps;
    (end ? packet_source_end : packet_source_sync)(of->transport, state, record);
    CHECK(state->recorded >= 0 && state->recorded <= PACKET_RECORDED);
    CHECK(state->octets >= 0 && (taps != TAP_PACKETS || state->octets <= PACKET_COPIES));
    CHECK(taps != TAP_FRAMES || state->recorded * 2 * PACKET_FRAME <= PACKET_COPIES);
    CHECK(state->breaks >= 0 && state->breaks <= state->recorded);
    check_sizes(record->sizes, state->recorded, PACKET_MAX);
    int64_t octets = 0;
    for (int index = 0; index < state->recorded; index++)
        octets += record->sizes[index];
    CHECK(octets == state->octets);
    if (end) {
        CHECK(state->kept >= 0 && state->kept < 2 * PACKET_WARMUP);
        check_sizes(record->kept_sizes, state->kept < PACKET_WARMUP ? state->kept : PACKET_WARMUP, PACKET_MAX);
        for (packet_item *item; (item = packet_next_frame(poller, of->id));)
            take_frame(item);
        CHECK(!active || !of->frames || of->position == state->position || dropped() > of->dropped);
        of->frames = 0;
        of->feeds = -1;
        drop_handle(&of->decoder);
    }
    python_free(state);
    python_free(record);
}

/* What a successor is told: all numbers that were used are below a ceiling, which is at most PACKET_RESERVED away. */
static void check_used(const int64_t *used, int64_t first, int64_t next)
{
    int64_t ceiling = used[0] > used[2] ? used[0] : used[2];
    CHECK(used[1] == ~used[0] && used[3] == ~used[2]);
    CHECK(next == first || (ceiling >= next && ceiling < next + PACKET_RESERVED));
}

static void read_sink(leg *of, int end)
{
    packet_sink_state *state = python_memory(sizeof *state);
    packet_sink_record *record = python_memory(sizeof *record);
    int forwards = of->transport->sink.mode == SINK_PACKETS, active = of->transport->sink.mode != SINK_IDLE;
    (end ? packet_sink_end : packet_sink_sync)(of->transport, state, record);
    if (active && state->used)
        check_used(of->used, of->first, state->sequence);
    CHECK(state->recorded >= 0 && state->recorded <= PACKET_RECORDED);
    check_sizes(record->sizes, state->recorded, PACKET_PAYLOAD);
    if (end) {
        CHECK(state->kept >= 0 && state->kept < 2 * PACKET_WARMUP);
        if (forwards)
            check_sizes(record->kept_sizes, state->kept < PACKET_WARMUP ? state->kept : PACKET_WARMUP, PACKET_PAYLOAD);
        drop_handle(&of->encoder);
    }
    python_free(state);
    python_free(record);
}

/* Begins the offload that the input asks for: of a source, and perhaps of the sink that it feeds. */
static void begin(void)
{
    static const int lengths_of[8] = {960, 960, 960, 1920, 480, 120, 2880, 5760};
    uint8_t kind = next_byte(), numbers = next_byte(), lengths = next_byte(), options = next_byte();
    leg *from = &legs[options & 1], *to = &legs[options >> 1 & 1];
    int pushes = kind % 4 == 2, forwards = kind % 4 == 1, decodes = pushes || (kind & 4) || !forwards;
    int codec = options >> 3 & 7, opus = codec != CODEC_PCMU && codec != CODEC_PCMA;
    int samples = decodes || !opus ? POSITIONS : lengths_of[lengths & 7];
    read_source(from, 1);
    read_sink(to, 1);
    packet_source_state source = {
        .header_pattern = options & 4 ? 0x9000 | 111 : 0x8000 | 111,
        .ssrc = 0x22222222,
        .sequence = numbers & 1 ? 65530 : 100,
        .timestamp = numbers & 2 ? 0xFFFFF000 : 5000,
        .samples = samples,
        .ticks = opus ? samples : G711_OCTETS,
        .codec = opus ? CODEC_OPUS : codec,
        .position = numbers & 4 ? 960 * 1000000LL : 0,
        .renumbering = numbers & 8 ? -70000 : 3,
        .level_id = numbers & 16 ? 1 + (numbers >> 5) : -1,
        .reported = numbers >> 7,
        .warmup_count = lengths >> 3,
        .clock_rate = opus ? 48000 : 8000,
        .meter = {.quiet_since = NAN},
    };
    source.last_timestamp = source.timestamp - (uint32_t)source.ticks;
    packet_sink_state sink = {
        .ssrc = 0x33333333,
        .payload_type = 96,
        .codec = source.codec,
        .sequence = 65530 + 65536LL * (numbers & 3),
        .offset = numbers & 32 ? -960 * 77LL : 4711,
        .forwarded = (int32_t)((source.sequence + source.renumbering - 1) & 0xFFFF),
        .sent = lengths & 8 ? UINT64_MAX : 1,
        .max_samples = numbers & 64 ? 960 : 5760,
        .continuous = kind >> 5 & 1,
        .meter = {.quiet_since = NAN},
    };
    sink.end = source.position + sink.offset + (kind == 249);
    sink.timestamp = sink.end - samples;
    int32_t mode = forwards ? SINK_PACKETS : pushes || kind & 16 ? SINK_FRAMES : SINK_IDLE, generation = 0;
    if (mode != SINK_IDLE) {
        to->used[0] = to->used[2] = 0, to->used[1] = to->used[3] = ~0;
        sink.used = options & 64 ? 0 : (uintptr_t)to->used;
        to->first = sink.sequence;
        to->encoder = new_handle();
        generation = packet_sink_begin(to->transport, &sink, mode, to->encoder) - (kind >= 250);
    }
    from->feeds = forwards || pushes ? options >> 1 & 1 : -1;
    from->frames = decodes && !pushes;
    from->position = source.position;
    from->dropped = dropped();
    from->decoder = new_handle();
    packet_source_begin(from->transport, &source, from->decoder, forwards ? SINK_PACKETS : pushes ? SINK_FRAMES : SINK_IDLE,
                        from->feeds < 0 ? NULL : to->transport, generation,
                        from->frames ? FRAMES_AT_ONCE : decodes ? FRAMES_DECODED : FRAMES_UNWANTED,
                        !(kind >> 3 & 1) ? TAP_NOTHING : decodes && kind & 64 ? TAP_FRAMES : TAP_PACKETS);
}

static void set_keys(leg *of, uint8_t options)
{
    void *receive = options & 2 ? NULL : new_handle(), *send = options & 4 ? NULL : new_handle();
    packet_set_keys(of->transport, of->transport->decrypts ^ (options >> 3 & 1), receive, send);
    drop_handle(&of->receive);
    drop_handle(&of->send);
    of->receive = receive, of->send = send;
}

static void set_route(leg *of, uint8_t options)
{
    static const uint8_t address[PACKET_ADDRESS] = {2, 0, 0x12, 0x34, 127, 0, 0, 1};
    int slot = options >> 2 & (SOCKETS - 1), open = listenings[slot].handle != NULL && !(options & 2);
    open = open && listenings[slot].transport == of->transport;
    int32_t size = options & 16 ? 0 : options & 32 ? 28 : 16;
    packet_set_route(of->transport, open ? FIRST_FD + slot : -1, address, size, address, options >> 6 == 3 ? -1 : size);
}

static void add_socket(int slot)
{
    listening *socket = &listenings[slot];
    leg *of = &legs[slot % LEGS];
    if (socket->handle)
        return;
    network[slot].open = 1;
    network[slot].queued = 0;
    socket->id = ++last_id;
    socket->transport = of->transport;
    socket->turn = 0;
    socket->read = socket->given = 0;
    socket->handle = packet_socket_add(poller, FIRST_FD + slot, socket->id, of->transport);
    CHECK(socket->handle);
}

/* As `PacketPath` closes a socket, whose descriptor may be another's at once. */
static void remove_socket(int slot)
{
    listening *socket = &listenings[slot];
    if (!socket->handle)
        return;
    packet_leave_socket(socket->transport, FIRST_FD + slot);
    packet_socket_remove(poller, socket->handle);
    socket->handle = NULL;
    network[slot].open = 0;
    removed++;
}

static void make_leg(leg *of, uint8_t numbers)
{
    static packet_libraries libraries = {stub_protect, stub_protect, stub_unprotect, stub_unprotect, stub_decode, stub_encode};
    of->id = ++last_id;
    of->feeds = -1;
    of->used = python_memory(4 * sizeof *of->used);
    of->transport = packet_transport_new(&libraries, of->id, numbers & 2 ? ALL : 1 + (numbers >> 2), numbers & 1);
    CHECK(of->transport);
    packet_set_mark(of->transport, of->id);
    set_keys(of, 0);
}

/* Releases a transport, whose sockets may be open for longer; those that feed it end before. */
static void release_leg(leg *of)
{
    for (leg *from = legs; from < legs + LEGS; from++)
        if (from == of || from->feeds == of - legs)
            read_source(from, 1);
    read_sink(of, 1);
    packet_set_route(of->transport, -1, (const uint8_t *)"", 0, NULL, -1);
    set_keys(of, 6);
    packet_take_unsendable(of->transport);
    packet_transport_release(of->transport);
    of->transport = NULL;
    python_free(of->used);
}

static listening *listening_of(int32_t id)
{
    for (int slot = 0; slot < SOCKETS; slot++)
        if (listenings[slot].handle && listenings[slot].id == id)
            return &listenings[slot];
    return NULL;
}

static void look_at(packet_item *item)
{
    size_t stored = item->size < PACKET_BUFFER ? (size_t)item->size : PACKET_BUFFER;
    CHECK(item->size >= 0 && item->at <= now);
    touch(item->data, stored);
    int32_t transport = item->transport, kind = item->kind;
    if (kind == PACKET_FRAMED) {
        if (transport == legs[0].id || transport == legs[1].id)
            take_frame(item);
    } else if (kind == PACKET_PLAIN) {
        CHECK(stored >= HEADER && stored <= PACKET_MAX);
    } else {
        CHECK(kind == PACKET_DATAGRAM);
        listening *socket = listening_of(item->socket);
        CHECK(socket && socket->turn != turns);
        socket->turn = turns;
        uint64_t hash = hash_of(item->data, (size_t)item->size);
        while (socket->given != socket->read && socket->hashes[socket->given % REMEMBERED] != hash)
            socket->given++;
        CHECK(socket->given++ != socket->read);
    }
    for (int index = 0; index < LEGS; index++)
        if (legs[index].id == transport && reaction == 1)
            read_source(&legs[index], 1);
    for (int slot = 0; slot < SOCKETS; slot++)
        if (reaction == 2 && listenings[slot].id == item->socket)
            remove_socket(slot);
}

/* A turn of Python's, in which it takes some of what waits. */
static void take(int most)
{
    turns++;
    long before = allocations, done = received, sent = protections;
    packet_turn(poller);
    CHECK(allocations == before && !held_count);
    CHECK(received - done <= SOCKETS && protections - sent <= (received - done) * (1 + MAX_CONCEALED / POSITIONS));
    for (packet_item *item; most-- > 0 && (item = packet_next(poller)) != NULL;) {
        CHECK(allocations == before && !held_count);
        look_at(item);
    }
    /* It will be called again while something waits. */
    CHECK(atomic_load(&poller->ring.head) == atomic_load(&poller->ring.tail) || event_counts[poller->ring.wake_fd - EVENTS]);
}

static void take_all(void)
{
    int left = 1;
    for (int turn = 0; left; turn++) {
        CHECK(turn < ALL);
        take(ALL);
        left = atomic_load(&poller->ring.head) != atomic_load(&poller->ring.tail);
        for (int slot = 0; slot < SOCKETS; slot++)
            left += network[slot].open && network[slot].queued > 0;
    }
    for (int slot = 0; slot < SOCKETS; slot++)
        CHECK(!listenings[slot].handle || !atomic_load(&listenings[slot].handle->waiting));
    for (int index = 0; index < LEGS; index++)
        CHECK(!legs[index].transport || !atomic_load(&legs[index].transport->queued));
    take(0);
    CHECK(!poller->retired);
    int64_t left_to_python = 0;
    for (int reason = 0; reason < REASONS; reason++)
        left_to_python += atomic_load(&poller->left[reason]);
    int64_t known = atomic_load(&poller->processed) + dropped() + left_to_python;
    CHECK(removed ? known <= received : known == received);
}

/* Writes the expected packet, with a payload that the input gives, and returns its size. */
static int write_expected(const packet_transport *transport, uint8_t *to, uint8_t toc, uint8_t length, uint8_t fill_byte)
{
    static const uint8_t lengths_of[] = {0, 1, 2, 3, 60, 100, 160};
    const packet_source_state *state = &transport->source.state;
    int samples = state->samples, at = HEADER;
    write16(to, state->header_pattern);
    write16(to + 2, (uint32_t)state->sequence);
    write32(to + 4, state->timestamp);
    write32(to + 8, state->ssrc);
    if (state->header_pattern & 0x1000) {
        int words = fill_byte & 3;
        write16(to + at, fill_byte & 4 ? 0xBEDE : 0x1000);
        write16(to + at + 2, (uint32_t)(fill_byte & 128 ? fill_byte << 2 : words));
        at += 4;
        for (int index = 0; index < 4 * words; index++)
            to[at++] = next_byte();
    }
    int size = state->codec != CODEC_OPUS && length < 150 ? G711_OCTETS : length < 200 ? lengths_of[length % 7] : length < 250 ? 6 * length : 1200 + 50 * (length - 250);
    memset(to + at, fill_byte, (size_t)size);
    /* Mostly one that lasts as long as is expected. */
    to[at] = toc < 64 ? toc * 4 : samples == 960 ? 0xF8 | (toc & 4) : samples == 1920 ? 0xF9 : samples == 480 ? 0xF0
             : samples == 120 ? 0xE0 : samples == 2880 ? 0x18 : 0x1A;
    return at + size + (transport->decrypts ? TAG : 0);
}

/* Lets a datagram wait in a socket. */
static void arrive(int slot, uint8_t kind, uint8_t toc, uint8_t length, uint8_t fill_byte)
{
    if (!network[slot].open || network[slot].queued >= QUEUED)
        return;
    queued_datagram *to = &network[slot].queue[network[slot].queued++];
    const packet_transport *transport = listenings[slot].transport;
    int size;
    memset(to->data, 0, sizeof to->data);
    if (kind == 1) {
        size = toc << 3 | (length & 7);
        for (int index = 0; index < size && index < fill_byte; index++)
            to->data[index] = next_byte();
    } else {
        size = write_expected(transport, to->data, toc, length, fill_byte);
        if (kind == 2)
            to->data[next_byte() % HEADER] ^= (uint8_t)(1 + next_byte());
        if (kind == 3)
            size = size * next_byte() / 255;
        if (kind == 4 && size)
            to->data[(next_byte() << 8 | next_byte()) % size] = next_byte();
        if (kind == 5)
            size = 1400 + 3 * next_byte();
        if (kind == 6)
            to->data[1] ^= 0x80;
        if (kind >= 10 && kind < 14) { /* after a gap, late or repeated */
            write16(to->data + 2, read16(to->data + 2) + (uint32_t)((int8_t)next_byte() * (kind & 1 ? 1 : 24)));
            write32(to->data + 4, read32(to->data + 4) + (uint32_t)((int8_t)next_byte() * (kind & 2 ? 160 : 1 << 24)));
        }
        if (kind >= 14) { /* after a loss, or late: number and time are those of another packet */
            int ahead = (int)(next_byte() % 12) - 4;
            write16(to->data + 2, read16(to->data + 2) + (uint32_t)ahead);
            write32(to->data + 4, read32(to->data + 4) + (uint32_t)(ahead * transport->source.state.ticks));
        }
    }
    if (kind == 7) { /* one that is larger than any buffer, and unlike the one before */
        size = 65507;
        memcpy(to->data + HEADER, &datagrams, sizeof datagrams);
    }
    to->size = size;
    memset(to->address, 0, sizeof to->address);
    memcpy(to->address, transport->peer, sizeof transport->peer);
    to->address_size = (socklen_t)transport->peer_size;
    if (kind == 8)
        to->address[next_byte() % PACKET_ADDRESS] ^= 1;
    if (kind == 9)
        to->address_size = next_byte() % sizeof to->address;
    datagrams++;
}

static void push(leg *of)
{
    int16_t pcm[PACKET_FRAME];
    uint8_t loudness = next_byte();
    for (int index = 0; index < PACKET_FRAME; index++)
        pcm[index] = (int16_t)(loudness * 300 + index);
    const packet_sink_state *state = &of->transport->sink.state;
    packet_sink_push(of->transport, pcm, (state->end - state->offset) / BUS_RATIO + (loudness > 200), now);
}

/* Python's own packets and reports, and those that it unprotects. */
static void protect(leg *of, int32_t operation)
{
    int32_t size = 12 + 5 * next_byte(), before = size;
    uint8_t *packet = python_memory((size_t)size + TRAILER);
    int status = packet_srtp(of->transport, operation, packet, &size);
    CHECK(status >= -1 && size <= before + TAG);
    python_free(packet);
}

static void ask(leg *of)
{
    packet_counters counters;
    packet_poller_counters(poller, &counters);
    CHECK(counters.waiting >= 0 && counters.waiting <= RING_BYTES && counters.most <= RING_BYTES && !counters.thread);
    packet_set_alive_at(of->transport, -1.0);
    packet_admit(of->transport, now);
    CHECK(packet_alive_at(of->transport) == now);
    double at = packet_source_last_arrival(of->transport);
    CHECK(isnan(at) || at <= now);
    CHECK(packet_take_unsendable(of->transport) >= 0 && packet_take_unsendable(of->transport) == 0);
}

static void do_step(uint8_t step)
{
    uint8_t options = step < 240 ? next_byte() : 0;
    int slot = options & (SOCKETS - 1), kind = options >> 2 & 15;
    leg *of = &legs[step & 1];
    if (step < 240)
        faults = options & 128 ? next_byte() : 0;
    if (step < 150) {
        uint8_t toc = next_byte(), length = next_byte(), fill_byte = next_byte();
        int count = step < 130 ? 1 : next_byte(), most = options & 64 ? next_byte() & 7 : ALL;
        while (count--) {
            arrive(slot, kind, toc, length, fill_byte);
            if (step < 120 || network[slot].queued == QUEUED)
                take(most);
        }
    } else if (step < 160) {
        take(options & 7);
    } else if (step < 175) {
        push(of);
    } else if (step < 185) {
        read_source(of, options & 1);
    } else if (step < 195) {
        read_sink(of, options & 1);
    } else if (step < 210) {
        begin();
    } else if (step < 216) {
        set_route(of, options);
    } else if (step < 220) {
        set_keys(of, options);
    } else if (step < 226) {
        protect(of, options & 3);
    } else if (step < 232) {
        remove_socket(slot);
        if (options & 4)
            add_socket(slot);
    } else if (step < 236) {
        release_leg(of);
        make_leg(of, options);
        for (int each = 0; each < SOCKETS; each++)
            if (options & 4 && each % LEGS == of - legs) {
                remove_socket(each);
                add_socket(each);
            }
    } else if (step < 240) {
        reaction = options & 3;
    } else if (step < 246) {
        packet_item *item = packet_next_frame(poller, of->id);
        if (item)
            take_frame(item);
    } else if (step < 252) {
        ask(of);
    } else {
        take_all();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input = data, input_end = data + size;
    faults = reaction = 0;
    removed = 0;
    received = 0;
    now = 0.0;
    static int64_t marks[2];
    CHECK((poller = packet_poller_new()));
    packet_poller_set_marks(poller, marks);
    for (int index = 0; index < LEGS; index++)
        make_leg(&legs[index], next_byte());
    for (int slot = 0; slot < SOCKETS; slot++)
        add_socket(slot);
    for (int index = 0; index < LEGS; index++)
        set_route(&legs[index], (uint8_t)(index << 2 | (next_byte() & 0xF2)));
    begin();
    while (input < input_end) {
        uint8_t step = next_byte();
        now += step & 1 ? 0.02 : step & 2 ? 0.0 : 1.1;
        packet_poller_set_clock(poller, now);
        do_step(step);
        CHECK(!held_count);
    }
    take_all();
    for (int index = 0; index < LEGS; index++)
        release_leg(&legs[index]);
    for (int slot = 0; slot < SOCKETS; slot += 2)
        remove_socket(slot);
    packet_poller_free(poller);
    CHECK(!allocated && !events_open);
    for (int slot = 0; slot < SOCKETS; slot++) {
        listenings[slot].handle = NULL;
        network[slot].open = 0;
    }
    polled_count = 0;
    return 0;
}

#undef malloc
#undef free
#include "driver.h"
