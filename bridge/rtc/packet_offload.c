/* The offloads of a transport, its keys and its route, as Python sets them: each function is one step under one lock
 * (packet_path.h).
 */

#define _GNU_SOURCE

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "packet_stream.h"

void packet_lock(pthread_mutex_t *mutex) { pthread_mutex_lock(mutex); }

void packet_unlock(pthread_mutex_t *mutex) { pthread_mutex_unlock(mutex); }

/* With priority inheritance, as the thread may have a higher priority than Python. */
static void make_lock(pthread_mutex_t *mutex)
{
    pthread_mutexattr_t kind;
    pthread_mutexattr_init(&kind);
    pthread_mutexattr_setprotocol(&kind, PTHREAD_PRIO_INHERIT);
    pthread_mutex_init(mutex, &kind);
    pthread_mutexattr_destroy(&kind);
}

PUBLIC packet_transport *packet_transport_new(const packet_libraries *libraries, int32_t id, int64_t limit,
                                              int32_t secured)
{
    packet_transport *transport = calloc(1, sizeof *transport);
    if (!transport)
        return NULL;
    transport->libraries = libraries;
    transport->id = id;
    transport->limit = limit;
    transport->decrypts = transport->encrypts = secured;
    transport->fd = -1;
    transport->sink.transport = transport;
    atomic_init(&transport->owners, 1);
    make_lock(&transport->source_lock);
    make_lock(&transport->sink_lock);
    return transport;
}

PUBLIC void packet_transport_release(packet_transport *transport)
{
    if (atomic_fetch_sub(&transport->owners, 1) > 1)
        return;
    pthread_mutex_destroy(&transport->source_lock);
    pthread_mutex_destroy(&transport->sink_lock);
    free(transport);
}

PUBLIC void packet_set_mark(packet_transport *transport, int64_t mark) { transport->mark = mark; }

PUBLIC void packet_set_keys(packet_transport *transport, int32_t secured, void *receive, void *send)
{
    packet_lock(&transport->source_lock);
    transport->decrypts = secured;
    transport->receive = receive;
    packet_unlock(&transport->source_lock);
    packet_lock(&transport->sink_lock);
    transport->encrypts = secured;
    transport->send = send;
    packet_unlock(&transport->sink_lock);
}

PUBLIC void packet_set_route(packet_transport *transport, int fd, const uint8_t *address, int32_t address_size,
                             const uint8_t *peer, int32_t peer_size)
{
    if (address_size < 0 || address_size > PACKET_ADDRESS || peer_size > PACKET_ADDRESS)
        return;
    packet_lock(&transport->source_lock);
    transport->peer_size = peer_size;
    if (peer_size > 0)
        memcpy(transport->peer, peer, (size_t)peer_size);
    packet_unlock(&transport->source_lock);
    packet_lock(&transport->sink_lock);
    transport->address_size = address_size;
    memcpy(transport->address, address, (size_t)address_size);
    transport->fd = fd;
    packet_unlock(&transport->sink_lock);
}

PUBLIC void packet_leave_socket(packet_transport *transport, int fd)
{
    packet_lock(&transport->sink_lock);
    if (transport->fd == fd)
        transport->fd = -1;
    packet_unlock(&transport->sink_lock);
}

PUBLIC int packet_srtp(packet_transport *transport, int32_t operation, uint8_t *packet, int32_t *size)
{
    const packet_libraries *libraries = transport->libraries;
    int sends = operation == SRTP_PROTECT || operation == SRTP_PROTECT_RTCP, length = *size, status = -1;
    pthread_mutex_t *lock = sends ? &transport->sink_lock : &transport->source_lock;
    packet_lock(lock);
    void *session = sends ? transport->send : transport->receive;
    if (session)
        status = operation == SRTP_PROTECT        ? libraries->srtp_protect(session, packet, &length)
                 : operation == SRTP_PROTECT_RTCP ? libraries->srtp_protect_rtcp(session, packet, &length)
                 : operation == SRTP_UNPROTECT    ? libraries->srtp_unprotect(session, packet, &length)
                                                  : libraries->srtp_unprotect_rtcp(session, packet, &length);
    packet_unlock(lock);
    *size = length;
    return status;
}

PUBLIC int packet_admit(packet_transport *transport, double now)
{
    packet_lock(&transport->source_lock);
    int admitted = packet_stream_admit(transport, now);
    packet_unlock(&transport->source_lock);
    return admitted;
}

PUBLIC double packet_alive_at(packet_transport *transport)
{
    packet_lock(&transport->source_lock);
    double at = transport->alive_at;
    packet_unlock(&transport->source_lock);
    return at;
}

PUBLIC void packet_set_alive_at(packet_transport *transport, double now)
{
    packet_lock(&transport->source_lock);
    transport->alive_at = now;
    packet_unlock(&transport->source_lock);
}

PUBLIC int64_t packet_take_unsendable(packet_transport *transport)
{
    packet_lock(&transport->sink_lock);
    int64_t count = transport->unsendable;
    transport->unsendable = 0;
    packet_unlock(&transport->sink_lock);
    return count;
}

PUBLIC int32_t packet_sink_begin(packet_transport *transport, const packet_sink_state *state, int32_t mode,
                                 void *encoder)
{
    packet_sink *sink = &transport->sink;
    packet_lock(&transport->sink_lock);
    sink->state = *state;
    sink->state.kept = sink->state.recorded = 0;
    sink->encoder = encoder;
    sink->mode = mode;
    int32_t generation = ++sink->generation;
    packet_unlock(&transport->sink_lock);
    return generation;
}

/* Copies what was recorded, and forgets it. */
static void copy_sink(packet_sink *sink, packet_sink_state *state, packet_sink_record *record)
{
    size_t recorded = (size_t)sink->state.recorded;
    *state = sink->state;
    memcpy(record->times, sink->record.times, recorded * sizeof record->times[0]);
    memcpy(record->sizes, sink->record.sizes, recorded * sizeof record->sizes[0]);
    sink->state.recorded = 0;
}

PUBLIC void packet_sink_sync(packet_transport *transport, packet_sink_state *state, packet_sink_record *record)
{
    packet_lock(&transport->sink_lock);
    copy_sink(&transport->sink, state, record);
    packet_unlock(&transport->sink_lock);
}

PUBLIC void packet_sink_end(packet_transport *transport, packet_sink_state *state, packet_sink_record *record)
{
    packet_sink *sink = &transport->sink;
    packet_lock(&transport->sink_lock);
    copy_sink(sink, state, record);
    if (sink->mode == SINK_PACKETS) {
        memcpy(record->kept_sizes, sink->record.kept_sizes, sizeof record->kept_sizes);
        memcpy(record->payloads, sink->record.payloads, sizeof record->payloads);
    } else {
        memcpy(record->frames, sink->record.frames, sizeof record->frames);
    }
    sink->mode = SINK_IDLE;
    sink->encoder = NULL;
    packet_unlock(&transport->sink_lock);
}

PUBLIC double packet_sink_covered(packet_transport *transport)
{
    packet_lock(&transport->sink_lock);
    double covered = transport->sink.state.covered;
    packet_unlock(&transport->sink_lock);
    return covered;
}

PUBLIC int packet_sink_push(packet_transport *transport, const int16_t *pcm, int64_t pts, double now)
{
    _Alignas(8) uint8_t packet[PACKET_BUFFER];
    packet_lock(&transport->sink_lock);
    int pushed = packet_stream_push(&transport->sink, pcm, pts, now, packet);
    packet_unlock(&transport->sink_lock);
    return pushed;
}

PUBLIC void packet_source_begin(packet_transport *transport, const packet_source_state *state, void *decoder,
                                int32_t feeds, packet_transport *sink, int32_t generation, int32_t decodes,
                                int32_t taps)
{
    packet_source *source = &transport->source;
    packet_lock(&transport->source_lock);
    source->state = *state;
    source->state.kept = source->state.recorded = source->state.breaks = 0;
    source->state.octets = source->state.refused = source->state.unmeasured = 0;
    source->decoder = decoder;
    source->forward = feeds == SINK_PACKETS ? &sink->sink : NULL;
    source->push = feeds == SINK_FRAMES ? &sink->sink : NULL;
    source->generation = generation;
    source->decodes = decodes;
    source->taps = taps;
    source->active = 1;
    packet_unlock(&transport->source_lock);
}

/* Copies what was recorded, and forgets it. */
static void copy_source(packet_source *source, packet_source_state *state, packet_source_record *record)
{
    size_t recorded = (size_t)source->state.recorded;
    *state = source->state;
    memcpy(record->times, source->record.times, recorded * sizeof record->times[0]);
    memcpy(record->sizes, source->record.sizes, recorded * sizeof record->sizes[0]);
    memcpy(record->sequences, source->record.sequences, recorded * sizeof record->sequences[0]);
    if (source->taps) {
        memcpy(record->positions, source->record.positions, recorded * sizeof record->positions[0]);
        memcpy(record->levels, source->record.levels, recorded * sizeof record->levels[0]);
        memcpy(record->copies, source->record.copies, packet_stream_copied(source));
    }
    source->state.recorded = source->state.breaks = 0;
    source->state.octets = source->state.refused = source->state.unmeasured = 0;
}

PUBLIC void packet_source_sync(packet_transport *transport, packet_source_state *state, packet_source_record *record)
{
    packet_lock(&transport->source_lock);
    copy_source(&transport->source, state, record);
    packet_unlock(&transport->source_lock);
}

PUBLIC void packet_source_end(packet_transport *transport, packet_source_state *state, packet_source_record *record)
{
    packet_source *source = &transport->source;
    packet_lock(&transport->source_lock);
    copy_source(source, state, record);
    memcpy(record->kept_sizes, source->record.kept_sizes, sizeof record->kept_sizes);
    memcpy(record->payloads, source->record.payloads, sizeof record->payloads);
    source->active = 0;
    source->decoder = NULL;
    source->forward = source->push = NULL;
    packet_unlock(&transport->source_lock);
}

PUBLIC double packet_source_last_arrival(packet_transport *transport)
{
    packet_lock(&transport->source_lock);
    const packet_source *source = &transport->source;
    double at = source->active && source->state.recorded ? source->record.times[source->state.recorded - 1] : NAN;
    packet_unlock(&transport->source_lock);
    return at;
}
