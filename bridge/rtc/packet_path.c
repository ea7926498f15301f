/* The packet path: see packet_path.h for what it is.
 *
 * A datagram is taken only if it is the expected one, by its sender and its header, and if the stream that its
 * audio goes to is continued by it. Whatever needs a decision is left to Python, before anything has changed.
 * So each function below repeats the common case of one method of the Python code, which its comment names;
 * tests/rtp/test_lease_packet_path.py drives both with the same packets.
 */

#define _GNU_SOURCE

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "packet_path.h"

#ifndef PACKET_PATH_SOURCE
#define PACKET_PATH_SOURCE ""
#endif

#define PUBLIC __attribute__((visibility("default")))

enum {
    BATCH = 16, /* datagrams before other work of the event loop has its turn: a millisecond at most */
    HEADER = 12,
    BUS_RATIO = 3, /* positions per sample of the bus */
    POSITIONS = 960, /* of a frame */
    MEASURED_EVERY = 43, /* bridge.rtp.decoder_warmup */
    MEASURE_PACKETS = 3,
    REPORTED_EVERY = 22,
    LEVEL_EVERY = 22, /* bridge.audio.detect.level */
    MAX_DTX = 2, /* bridge.audio.codec.opus_packet */
};

static const double FRAME_SECONDS = 0.02;
static const double MAX_AHEAD_SECONDS = 0.12; /* bridge.rtp.silence_filler */
static const double PLAUSIBLE_SECONDS = 5.0; /* bridge.wire.rtp.reception */
static const double QUIET = -60.0; /* bridge.audio.detect.level */
static const double SILENT = -127.0;
static const double LOUD = -30.0;
static const double FULL_SCALE_POWER = 32768.0 * 32768.0;

struct packet_socket {
    packet_socket *next;
    packet_transport *transport;
    int32_t id;
    int fd;
};

struct packet_poller {
    int epoll_fd;
    int ready; /* sockets of the batch */
    int done; /* of those, the ones that were looked at */
    int interrupted; /* whether Python looks at something before the batch goes on */
    struct epoll_event events[BATCH];
    packet_socket *sockets;
    _Alignas(8) uint8_t protected[PACKET_BUFFER]; /* a packet to send, with room for its tag */
};

static uint32_t read16(const uint8_t *at) { return (uint32_t)at[0] << 8 | at[1]; }

static uint32_t read32(const uint8_t *at) { return read16(at) << 16 | read16(at + 2); }

static void write16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void write32(uint8_t *at, uint32_t value)
{
    write16(at, value >> 16);
    write16(at + 2, value);
}

/* bridge.audio.codec.opus_packet.DURATIONS: at 48 kHz, 0 where the second byte tells. */
static int duration(uint8_t toc)
{
    static const uint8_t frames[4] = {1, 2, 2, 0};
    static const int16_t silk[4] = {480, 960, 1920, 2880}, hybrid[2] = {480, 960}, celt[4] = {120, 240, 480, 960};
    int configuration = toc >> 3;
    int samples = configuration < 12   ? silk[configuration & 3]
                  : configuration < 16 ? hybrid[configuration & 1]
                                       : celt[configuration & 3];
    return frames[toc & 3] * samples;
}

/* LevelMeter.record */
static void record_level(packet_meter *meter, double level, double now)
{
    meter->level_dbov = level;
    meter->levels++;
    if (level >= QUIET) {
        meter->quiet_since = NAN;
        meter->silent_seconds = 0.0;
        return;
    }
    meter->quiet++;
    if (isnan(meter->quiet_since))
        meter->quiet_since = now;
    meter->silent_seconds = now - meter->quiet_since;
}

/* LevelMeter.measure, with bridge.audio.detect.level */
static void measure_level(packet_meter *meter, const int16_t *pcm, int samples, double now)
{
    int64_t power = 0;
    int clips = 0;
    for (int index = 0; index < samples; index++) {
        int32_t sample = pcm[index];
        power += (int64_t)(sample * sample);
        clips |= sample == INT16_MAX || sample == INT16_MIN;
    }
    double level = SILENT;
    if (power > 0) {
        level = 10.0 * log10((double)power / (FULL_SCALE_POWER * samples));
        if (level < SILENT)
            level = SILENT;
    }
    meter->measured++;
    meter->clipped += clips && level >= LOUD;
    record_level(meter, level, now);
}

/* bridge.wire.rtp.audio_level.read_level: 1 and the level if the extension carries one. */
static int read_level(const uint8_t *extension, int size, uint32_t profile, int id, double *level)
{
    if (profile != 0xBEDE)
        return 0;
    for (int at = 0; at + 1 < size;) {
        int head = extension[at];
        if (head >> 4 == id) {
            *level = -(double)(extension[at + 1] & 0x7F);
            return 1;
        }
        if (head >> 4 == 15)
            return 0;
        at += head ? 2 + (head & 15) : 1;
    }
    return 0;
}

/* ReceptionStatistics.count, of the packet after the last one. */
static void count_arrival(packet_source *source, double now)
{
    double advance = (double)(source->timestamp - source->last_timestamp);
    double deviation = fabs((now - source->last_arrival) * source->clock_rate - advance);
    if (deviation < PLAUSIBLE_SECONDS * source->clock_rate) {
        source->jitter += (deviation - source->jitter) / 16;
        if (now >= source->peak_until) {
            source->peak_before = source->peak;
            source->peak = 0.0;
            source->peak_until = now + 1.0;
        }
        if (deviation > source->peak)
            source->peak = deviation;
    }
    source->last_arrival = now;
    source->last_timestamp = source->timestamp;
}

/* Transport.send_rtp: of a packet with room for the tag behind it. */
static void send_packet(packet_transport *transport, uint8_t *packet, int size)
{
    int sendable = transport->fd >= 0 && (!transport->secured || transport->send);
    if (sendable && transport->secured)
        sendable = !transport->libraries->srtp_protect(transport->send, packet, &size);
    if (sendable) {
        const struct sockaddr *address = (const void *)(transport->address_size ? transport->address : NULL);
        ssize_t sent;
        do
            sent = sendto(transport->fd, packet, (size_t)size, MSG_DONTWAIT | MSG_NOSIGNAL, address,
                          (socklen_t)transport->address_size);
        while (sent < 0 && errno == EINTR);
        sendable = sent >= 0;
    }
    transport->unsendable += !sendable;
}

/* OutgoingStream.stamp and stamp_relayed, of what continues the last packet. */
static void stamp(packet_sink *sink, int64_t timestamp, int samples, double now, uint8_t *header)
{
    int64_t sequence = sink->sequence++;
    sink->timestamp = timestamp;
    sink->end = timestamp + samples;
    sink->last_time = now;
    sink->packets++;
    header[0] = 0x80;
    header[1] = (uint8_t)sink->payload_type;
    write16(header + 2, (uint32_t)(sequence & 0xFFFF));
    write32(header + 4, (uint32_t)timestamp);
    write32(header + 8, sink->ssrc);
}

/* SilenceFiller.sent */
static void note_sent(packet_sink *sink, double now)
{
    if (!sink->steady)
        return;
    double begin = sink->covered > now ? sink->covered : now;
    double covered = begin + FRAME_SECONDS, most = now + MAX_AHEAD_SECONDS;
    sink->covered = covered < most ? covered : most;
}

/* Returns the slot of a ring for what is kept next; `kept` does not overflow, however long a lease lasts. */
static int next_slot(int32_t *kept)
{
    int slot = *kept % PACKET_WARMUP;
    *kept = *kept + 1 < 2 * PACKET_WARMUP ? *kept + 1 : PACKET_WARMUP;
    return slot;
}

/* RtpSender.push */
static int push_frame(packet_sink *sink, const int16_t *pcm, int64_t pts, double now, uint8_t *packet)
{
    packet_transport *transport = sink->transport;
    int64_t timestamp = pts * BUS_RATIO + sink->offset;
    if (sink->mode != SINK_FRAMES || timestamp != sink->end)
        return 0;
    int32_t size = transport->libraries->opus_encode(sink->encoder, pcm, PACKET_FRAME, packet + HEADER, PACKET_PAYLOAD);
    if (size < 0)
        return 0;
    stamp(sink, timestamp, POSITIONS, now, packet);
    memcpy(sink->frames[next_slot(&sink->kept)], pcm, sizeof sink->frames[0]);
    sink->octets += size;
    if (sink->packets % LEVEL_EVERY == 1)
        measure_level(&sink->meter, pcm, PACKET_FRAME, now);
    send_packet(transport, packet, HEADER + size);
    note_sent(sink, now);
    return 1;
}

/* Whether `relay_packet` will take the source's next packet, as far as its header tells. */
static int relay_takes(const packet_source *source)
{
    const packet_sink *sink = source->relay;
    return sink->generation == source->relay_generation && sink->mode == SINK_PACKETS
           && sink->recorded < PACKET_RECORDED && source->samples <= sink->max_samples
           && (!sink->steady || source->samples == POSITIONS)
           && source->position + sink->offset == sink->end
           && ((source->sequence + source->renumbering) & 0xFFFF) == ((sink->relayed + 1) & 0xFFFF);
}

/* RtpSender.take: the payload has 12 bytes before it for a header, and room for a tag behind it. */
static void relay_packet(packet_source *source, uint8_t *payload, int size, double level, double now)
{
    packet_sink *sink = source->relay;
    int slot = next_slot(&sink->kept);
    memcpy(sink->payloads[slot], payload, (size_t)size);
    sink->kept_sizes[slot] = (uint16_t)size;
    stamp(sink, source->position + sink->offset, source->samples, now, payload - HEADER);
    sink->relayed = (int32_t)((source->sequence + source->renumbering) & 0xFFFF);
    send_packet(sink->transport, payload - HEADER, HEADER + size);
    note_sent(sink, now);
    sink->octets += size;
    sink->times[sink->recorded] = now;
    sink->sizes[sink->recorded++] = (uint16_t)size;
    if (++sink->relayed_packets % REPORTED_EVERY == 1)
        record_level(&sink->meter, level, now);
}

/* DecoderWarmup.keep */
static void keep_payload(packet_source *source, const uint8_t *payload, int size, int reported, double level,
                         int16_t *pcm, double now)
{
    int slot = next_slot(&source->kept);
    memcpy(source->payloads[slot], payload, (size_t)size);
    source->kept_sizes[slot] = (uint16_t)size;
    int64_t count = ++source->warmup_count;
    if (source->level_id >= 0 && count % REPORTED_EVERY == 0) {
        source->reported = reported;
        if (reported)
            record_level(&source->meter, level, now);
    }
    int64_t phase = count % MEASURED_EVERY;
    if (source->reported || (phase > 0 && phase <= MEASURED_EVERY - MEASURE_PACKETS))
        return;
    int samples = source->transport->libraries->opus_decode(source->decoder, payload, size, pcm, PACKET_SAMPLES, 0);
    if (samples < 0)
        source->unmeasured++;
    else if (phase == 0)
        measure_level(&source->meter, pcm, samples, now);
}

/* FrameOutput.play_packet, of one frame */
static void decode_frame(packet_source *source, const uint8_t *payload, int size, int16_t *pcm, double now)
{
    const packet_libraries *libraries = source->transport->libraries;
    int samples = libraries->opus_decode(source->decoder, payload, size, pcm, PACKET_SAMPLES, 0);
    if (samples < 0) {
        source->refused++;
        source->concealed_samples += PACKET_FRAME;
        samples = libraries->opus_decode(source->decoder, NULL, 0, pcm, PACKET_FRAME, 0);
    }
    if (samples < PACKET_FRAME) {
        int first = samples > 0 ? samples : 0;
        memset(pcm + first, 0, (size_t)(PACKET_FRAME - first) * sizeof *pcm);
    }
    if (++source->frames % LEVEL_EVERY == 1)
        measure_level(&source->meter, pcm, PACKET_FRAME, now);
}

/* MediaSocket.datagram_received and FastPath.receive: whether a datagram is the expected one. */
static int expected(const packet_transport *transport, const packet_event *event, double now)
{
    const packet_source *source = transport->source;
    const uint8_t *data = event->datagram;
    if (!source || event->size <= HEADER || event->size > PACKET_MAX || data[0] < 128 || data[0] > 191)
        return 0;
    if (data[1] > 191 && data[1] < 224) /* RTCP (RFC 5761) */
        return 0;
    if (event->address_size != transport->address_size
        || memcmp(event->address, transport->address, (size_t)event->address_size) != 0)
        return 0;
    if ((read16(data) & 0xFF7F) != source->form || (int32_t)read16(data + 2) != source->sequence
        || read32(data + 4) != source->timestamp || read32(data + 8) != source->ssrc)
        return 0;
    if (source->recorded >= PACKET_RECORDED || (now < transport->second_ends && transport->allowed <= 0))
        return 0;
    if (source->taps && source->octets > PACKET_COPIES - PACKET_MAX)
        return 0;
    if (source->relay && !relay_takes(source))
        return 0;
    const packet_sink *push = source->push;
    return !push
           || (push->generation == source->push_generation && push->mode == SINK_FRAMES
               && source->position + push->offset == push->end);
}

/* Transport._media_received: unprotects into `plain`; 0 if that fails. */
static int unprotect(packet_transport *transport, packet_event *event, double now)
{
    memcpy(event->plain, event->datagram, (size_t)event->size);
    if (transport->secured
        && (!transport->receive
            || transport->libraries->srtp_unprotect(transport->receive, event->plain, &event->size)))
        return 0;
    transport->alive_at = now;
    if (now >= transport->second_ends) {
        transport->second_ends = now + 1.0;
        transport->allowed = transport->limit;
    }
    transport->allowed--;
    return 1;
}

/* Processes a datagram; returns what Python has to look at. */
static int receive(packet_poller *poller, packet_socket *socket, packet_event *event, double now)
{
    packet_transport *transport = socket->transport;
    int received = event->size;
    if (!transport || !expected(transport, event, now))
        return PACKET_DATAGRAM;
    if (!unprotect(transport, event, now)) {
        event->size = received;
        return PACKET_DATAGRAM;
    }
    packet_source *source = transport->source;
    uint8_t *plain = event->plain;
    event->transport = transport->id;
    int start = HEADER, reported = 0;
    double level = 0.0, level_before = source->meter.level_dbov;
    if (plain[0] & 0x10) {
        start = event->size < HEADER + 4 ? event->size : HEADER + 4 + 4 * (int)read16(plain + HEADER + 2);
        if (start < event->size && source->level_id >= 0)
            reported = read_level(plain + HEADER + 4, start - HEADER - 4, read16(plain + HEADER), source->level_id,
                                  &level);
    }
    uint8_t *payload = plain + start;
    int size = event->size - start;
    if (size <= 0 || duration(payload[0]) != source->samples)
        return PACKET_PLAIN;
    if (source->relay
        && (size > PACKET_PAYLOAD || (source->relay->steady && (size <= MAX_DTX || payload[0] & 7))))
        return PACKET_PLAIN;
    if (source->decodes)
        decode_frame(source, payload, size, event->pcm, now);
    else
        keep_payload(source, payload, size, reported, level, event->pcm, now);
    event->position = source->position;
    int result = PACKET_NONE;
    if (source->relay) {
        uint8_t *copy = poller->protected + HEADER;
        memcpy(copy, payload, (size_t)size);
        relay_packet(source, copy, size, level_before, now);
    }
    if (source->push)
        push_frame(source->push, event->pcm, source->position / BUS_RATIO, now, poller->protected);
    else if (source->decodes)
        result = PACKET_FRAMED;
    if (source->taps) {
        source->levels[source->recorded] = level_before;
        memcpy(source->copies + source->octets, payload, (size_t)size);
    }
    count_arrival(source, now);
    source->times[source->recorded] = now;
    source->sizes[source->recorded++] = (uint16_t)size;
    source->octets += size;
    source->sequence = (source->sequence + 1) & 0xFFFF;
    source->timestamp += (uint32_t)source->ticks;
    source->position += source->samples;
    return result;
}

static double monotonic_time(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

PUBLIC const char *packet_path_source(void) { return PACKET_PATH_SOURCE; }

PUBLIC packet_poller *packet_poller_new(void)
{
    packet_poller *poller = calloc(1, sizeof *poller);
    if (!poller)
        return NULL;
    poller->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (poller->epoll_fd < 0) {
        free(poller);
        return NULL;
    }
    return poller;
}

PUBLIC void packet_poller_free(packet_poller *poller)
{
    close(poller->epoll_fd);
    for (packet_socket *socket = poller->sockets, *next; socket; socket = next) {
        next = socket->next;
        free(socket);
    }
    free(poller);
}

PUBLIC int packet_poller_fd(packet_poller *poller) { return poller->epoll_fd; }

PUBLIC packet_socket *packet_socket_add(packet_poller *poller, int fd, int32_t id, packet_transport *transport)
{
    packet_socket *socket = calloc(1, sizeof *socket);
    if (!socket)
        return NULL;
    socket->fd = fd;
    socket->id = id;
    socket->transport = transport;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = socket};
    if (epoll_ctl(poller->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
        free(socket);
        return NULL;
    }
    socket->next = poller->sockets;
    poller->sockets = socket;
    return socket;
}

PUBLIC void packet_socket_remove(packet_poller *poller, packet_socket *socket)
{
    epoll_ctl(poller->epoll_fd, EPOLL_CTL_DEL, socket->fd, NULL);
    for (int index = poller->done; index < poller->ready; index++)
        if (poller->events[index].data.ptr == socket)
            poller->events[index].data.ptr = NULL;
    packet_socket **link = &poller->sockets;
    while (*link != socket)
        link = &(*link)->next;
    *link = socket->next;
    free(socket);
}

PUBLIC int packet_poll(packet_poller *poller, double now, packet_event *event)
{
    if (!poller->interrupted) {
        poller->done = 0;
        poller->ready = epoll_wait(poller->epoll_fd, poller->events, BATCH, 0);
        if (poller->ready < 0)
            poller->ready = 0;
    }
    poller->interrupted = 1;
    while (poller->done < poller->ready) {
        packet_socket *socket = poller->events[poller->done++].data.ptr;
        if (!socket)
            continue;
        socklen_t address_size = sizeof event->address;
        ssize_t size = recvfrom(socket->fd, event->datagram, sizeof event->datagram, MSG_DONTWAIT | MSG_TRUNC,
                                (void *)event->address, &address_size);
        if (size < 0)
            continue;
        event->size = (int32_t)size;
        event->address_size = (int32_t)address_size;
        event->socket = socket->id;
        int found = receive(poller, socket, event, now < 0.0 ? monotonic_time() : now);
        if (found != PACKET_NONE)
            return found;
    }
    poller->interrupted = 0;
    return PACKET_NONE;
}

PUBLIC int packet_push(packet_sink *sink, const int16_t *pcm, int64_t pts, double now)
{
    _Alignas(8) uint8_t packet[PACKET_BUFFER];
    return push_frame(sink, pcm, pts, now, packet);
}
