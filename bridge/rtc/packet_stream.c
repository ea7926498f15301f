/* What the packet path does with one packet of a stream: see packet_stream.h for the structures.
 *
 * A datagram is taken only if it is the expected one, by its sender and its header, and if the stream that its
 * audio goes to is continued by it. Where Python takes no frames, a packet is also taken after a gap, late or repeated:
 * it is forwarded as it is; or what a sink that takes frames lacks before it is concealed by libopus, and a late one is
 * only counted. Whatever needs a decision is left to Python, before anything has changed.
 * So each function below repeats the common case of one method of the Python code, which its comment names;
 * tests/rtp/test_offload_packet_path.py drives both with the same packets.
 */

#define _GNU_SOURCE

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "packet_stream.h"

enum {
    HEADER = 12,
    BUS_RATIO = 3, /* positions per sample of the bus */
    POSITIONS = 960, /* of a frame */
    MEASURED_EVERY = 43, /* bridge.rtp.decoder_warmup */
    MEASURE_PACKETS = 3,
    REPORTED_EVERY = 22,
    LEVEL_EVERY = 22, /* bridge.audio.detect.level */
    MAX_DTX = 2, /* bridge.audio.codec.opus_packet */
    POSITION_RATE = 48000,
    MAX_DROPOUT = 3000, /* bridge.audio.buffer.reorder, bridge.wire.rtp.reception */
    MAX_MISORDER = 100,
    MAX_LOSS = 100, /* bridge.wire.rtp.stream */
    SENT_WINDOW = 64,
    HOLDABLE_LOSS = 3, /* bridge.audio.buffer.reorder */
    MAX_CONCEALED = 4800,
    CONCEALED_STEP = 120,
    FIRST_CELT = 16, /* bridge.audio.codec.opus_packet */
};

static const double FRAME_SECONDS = 0.02;
static const double MAX_AHEAD_SECONDS = 0.12; /* bridge.rtp.silence_filler */
static const double MAX_LEAP_SECONDS = 2.0; /* bridge.audio.buffer.reorder */
static const double REORDERING_SECONDS = 10.0;
static const int64_t HALF_RANGE = (int64_t)1 << 31; /* bridge.wire.rtp.stream */
static const double PLAUSIBLE_SECONDS = 5.0; /* bridge.wire.rtp.reception */
static const double QUIET = -60.0; /* bridge.audio.detect.level */
static const double SILENT = -127.0;
static const double LOUD = -30.0;
static const double FULL_SCALE_POWER = 32768.0 * 32768.0;

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
static int opus_duration(uint8_t toc)
{
    static const uint8_t frames[4] = {1, 2, 2, 0};
    static const int16_t silk[4] = {480, 960, 1920, 2880}, hybrid[2] = {480, 960}, celt[4] = {120, 240, 480, 960};
    int configuration = toc >> 3;
    int samples = configuration < 12   ? silk[configuration & 3]
                  : configuration < 16 ? hybrid[configuration & 1]
                                       : celt[configuration & 3];
    return frames[toc & 3] * samples;
}

/* Codec.durations; of G.711, packets of 20 ms alone have one. */
static int duration(int codec, const uint8_t *payload, int size)
{
    if (codec == CODEC_OPUS)
        return opus_duration(payload[0]);
    return size == G711_OCTETS ? POSITIONS : 0;
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

/* How far a packet is ahead of the next one of its sequence: below 0 if it is late. */
static int ahead_of(int32_t sequence, int32_t next) { return (int16_t)(uint16_t)(sequence - next); }

/* ReorderBuffer.place, not rounded */
static int64_t place(const packet_source *source, uint32_t timestamp)
{
    int32_t ahead = (int32_t)(timestamp - source->state.timestamp);
    return source->state.position + (int64_t)ahead * (source->state.samples / source->state.ticks);
}

/* Rounds a position down to one of the bus. */
static int64_t bus_position(int64_t position) { return position - (position % BUS_RATIO + BUS_RATIO) % BUS_RATIO; }

/* ReorderBuffer.receive and ReceptionStatistics.count: whether a packet that is not the next one is neither that of
   another media epoch nor perhaps the first after a restart. */
static int within_epoch(const packet_source *source, int32_t sequence, uint32_t timestamp, double now)
{
    int ahead = ahead_of(sequence, source->state.sequence);
    if (ahead < 0)
        return ahead >= -MAX_MISORDER;
    int64_t gap = place(source, timestamp) - source->state.position;
    return ahead < MAX_DROPOUT - 1 && gap >= 0
           && (double)gap <= (now - source->state.accepted_at + MAX_LEAP_SECONDS) * POSITION_RATE;
}

/* ReorderBuffer._sort and _concealable: how many frames are to be concealed before a packet of this epoch; below 0 if
   Python has to decide on it. */
static int lost_frames(const packet_source *source, int32_t sequence, uint32_t timestamp, double now)
{
    int ahead = ahead_of(sequence, source->state.sequence);
    int64_t gap = place(source, timestamp) - source->state.position;
    if (ahead > 0 && ahead <= HOLDABLE_LOSS && now < source->state.reordering_until)
        return -1;
    if (ahead <= 0 || gap <= 0 || gap > (int64_t)ahead * POSITIONS || gap > MAX_CONCEALED || gap % CONCEALED_STEP)
        return 0;
    return source->state.codec == CODEC_OPUS && gap % POSITIONS == 0 ? (int)(gap / POSITIONS) : -1;
}

/* ReceptionStatistics.count, of a packet that is not late. */
static void count_arrival(packet_source *source, uint32_t timestamp, double now)
{
    int32_t advance = (int32_t)(timestamp - source->state.last_timestamp);
    double deviation = fabs((now - source->state.last_arrival) * source->state.clock_rate - advance);
    if (deviation < PLAUSIBLE_SECONDS * source->state.clock_rate) {
        source->state.jitter += (deviation - source->state.jitter) / 16;
        if (now >= source->state.peak_until) {
            source->state.peak_before = source->state.peak;
            source->state.peak = 0.0;
            source->state.peak_until = now + 1.0;
        }
        if (deviation > source->state.peak)
            source->state.peak = deviation;
    }
    source->state.last_arrival = now;
    source->state.last_timestamp = timestamp;
}

/* ReorderBuffer.follow and _accept */
static void accept_packet(packet_source *source, int32_t sequence, uint32_t timestamp, double now)
{
    count_arrival(source, timestamp, now);
    source->state.position = place(source, timestamp) + source->state.samples;
    source->state.sequence = (sequence + 1) & 0xFFFF;
    source->state.timestamp = timestamp + (uint32_t)source->state.ticks;
    source->state.accepted_at = now;
}

/* Transport.send_rtp: of a packet with room for the tag behind it. */
static void send_packet(packet_transport *transport, uint8_t *packet, int size)
{
    int sendable = transport->fd >= 0 && (!transport->encrypts || transport->send);
    if (sendable && transport->encrypts)
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

/* UsedNumbers.reserve_packets, before a number is used. */
static void reserve(packet_sink *sink, int64_t sequence)
{
    volatile int64_t *used = (volatile int64_t *)sink->state.used;
    if (!used || sequence < (used[0] > used[2] ? used[0] : used[2]))
        return;
    volatile int64_t *lower = used[0] > used[2] ? used + 2 : used;
    lower[0] = sequence + PACKET_RESERVED;
    lower[1] = ~(sequence + PACKET_RESERVED);
}

static void write_header(packet_sink *sink, int64_t sequence, int64_t timestamp, int marker, uint8_t *header)
{
    reserve(sink, sequence);
    sink->state.packets++;
    header[0] = 0x80;
    header[1] = (uint8_t)(sink->state.payload_type | marker << 7);
    write16(header + 2, (uint32_t)(sequence & 0xFFFF));
    write32(header + 4, (uint32_t)(sink->state.codec == CODEC_OPUS ? timestamp : timestamp / G711_TICK));
    write32(header + 8, sink->state.ssrc);
}

/* OutgoingStream.stamp, of what follows the last packet within a media epoch. */
static void stamp(packet_sink *sink, int64_t timestamp, int samples, int marker, double now, uint8_t *header)
{
    sink->state.timestamp = timestamp;
    sink->state.end = timestamp + samples;
    sink->state.last_time = now;
    write_header(sink, sink->state.sequence++, timestamp, marker, header);
}

/* OutgoingStream.stamp_forwarded, within a media epoch: 0 if the packet's number or time was already sent. */
static int stamp_forwarded(packet_sink *sink, int32_t number, int64_t timestamp, int samples, double now,
                           uint8_t *header)
{
    packet_sink_state *state = &sink->state;
    int ahead = ahead_of(number, state->forwarded);
    if (ahead <= 0 && timestamp < state->timestamp) {
        if (-ahead >= SENT_WINDOW || state->sent >> -ahead & 1 || state->timestamp - timestamp >= HALF_RANGE) {
            state->dropped++;
            return 0;
        }
        state->sent |= (uint64_t)1 << -ahead;
        write_header(sink, state->sequence - 1 + ahead, timestamp, 0, header);
        return 1;
    }
    if (timestamp < state->end) {
        state->dropped++;
        return 0;
    }
    if (ahead <= 0 || ahead > MAX_LOSS)
        ahead = 1;
    state->sent = ahead < SENT_WINDOW ? state->sent << ahead | 1 : 1;
    state->sequence += ahead - 1; /* the far end sees the loss */
    state->forwarded = number;
    stamp(sink, timestamp, samples, ahead == 1 && timestamp != state->end, now, header);
    return 1;
}

/* SilenceFiller.sent */
static void note_sent(packet_sink *sink, double now)
{
    if (!sink->state.continuous)
        return;
    double begin = sink->state.covered > now ? sink->state.covered : now;
    double covered = begin + FRAME_SECONDS, most = now + MAX_AHEAD_SECONDS;
    sink->state.covered = covered < most ? covered : most;
}

/* Returns the slot of a ring for what is kept next; `kept` does not overflow, however long an offload lasts. */
static int next_slot(int32_t *kept)
{
    int slot = *kept % PACKET_WARMUP;
    *kept = *kept + 1 < 2 * PACKET_WARMUP ? *kept + 1 : PACKET_WARMUP;
    return slot;
}

/* AudioEncoder.encode: returns the size of the payload, or an error below 0. */
static int encode(packet_sink *sink, const int16_t *pcm, uint8_t *payload)
{
    if (sink->state.codec == CODEC_OPUS)
        return sink->transport->libraries->opus_encode(sink->encoder, pcm, PACKET_FRAME, payload, PACKET_PAYLOAD);
    g711_encode(sink->state.codec, sink->state.past, pcm, payload);
    return G711_OCTETS;
}

static int push_takes(const packet_sink *sink, int64_t timestamp)
{
    return sink->mode == SINK_FRAMES && timestamp >= sink->state.end && timestamp - sink->state.timestamp < HALF_RANGE;
}

/* RtpSender.push, under the sink's lock */
int packet_stream_push(packet_sink *sink, const int16_t *pcm, int64_t pts, double now, uint8_t *packet)
{
    packet_transport *transport = sink->transport;
    int64_t timestamp = pts * BUS_RATIO + sink->state.offset;
    if (!push_takes(sink, timestamp))
        return 0;
    int size = encode(sink, pcm, packet + HEADER);
    if (size < 0)
        return 0;
    stamp(sink, timestamp, POSITIONS, timestamp != sink->state.end, now, packet);
    memcpy(sink->record.frames[next_slot(&sink->state.kept)], pcm, sizeof sink->record.frames[0]);
    sink->state.octets += size;
    if (sink->state.packets % LEVEL_EVERY == 1)
        measure_level(&sink->state.meter, pcm, PACKET_FRAME, now);
    send_packet(transport, packet, HEADER + size);
    note_sent(sink, now);
    return 1;
}

/* Whether `forward_packet` will take a packet at this position, as far as its header tells. */
static int forward_takes(const packet_source *source, int64_t position)
{
    const packet_sink *sink = source->forward;
    return sink->generation == source->generation && sink->mode == SINK_PACKETS
           && sink->state.recorded < PACKET_RECORDED && source->state.samples <= sink->state.max_samples
           && (!sink->state.continuous || source->state.samples == POSITIONS)
           && position + sink->state.offset - sink->state.timestamp < HALF_RANGE;
}

/* RtpSender.take: the payload has 12 bytes before it for a header, and room for a tag behind it. */
static void forward_packet(packet_sink *sink, int32_t number, int64_t position, int samples, uint8_t *payload, int size,
                           double level, double now)
{
    if (!stamp_forwarded(sink, number, position + sink->state.offset, samples, now, payload - HEADER))
        return;
    int slot = next_slot(&sink->state.kept);
    memcpy(sink->record.payloads[slot], payload, (size_t)size);
    sink->record.kept_sizes[slot] = (uint16_t)size;
    send_packet(sink->transport, payload - HEADER, HEADER + size);
    note_sent(sink, now);
    sink->state.octets += size;
    sink->record.times[sink->state.recorded] = now;
    sink->record.sizes[sink->state.recorded++] = (uint16_t)size;
    if (++sink->state.forwarded_packets % REPORTED_EVERY == 1)
        record_level(&sink->state.meter, level, now);
}

/* AudioDecoder.decode, of a payload that has a duration, or recover: returns its samples, or an error below 0. */
static int decode(packet_source *source, const packet_libraries *libraries, const uint8_t *payload, int size,
                  int recovers, int16_t *pcm)
{
    if (source->state.codec == CODEC_OPUS)
        return libraries->opus_decode(source->decoder, payload, size, pcm, recovers ? PACKET_FRAME : PACKET_SAMPLES,
                                      recovers);
    g711_decode(source->state.codec, source->state.past, payload, pcm);
    return PACKET_FRAME;
}

static void keep(packet_source *source, const uint8_t *payload, int size)
{
    int slot = next_slot(&source->state.kept);
    memcpy(source->record.payloads[slot], payload, (size_t)size);
    source->record.kept_sizes[slot] = (uint16_t)size;
}

/* DecoderWarmup.keep */
static void keep_payload(packet_source *source, const packet_libraries *libraries, const uint8_t *payload, int size,
                         int reported, double level, int16_t *pcm, double now)
{
    keep(source, payload, size);
    int64_t count = ++source->state.warmup_count;
    if (source->state.level_id >= 0 && count % REPORTED_EVERY == 0) {
        source->state.reported = reported;
        if (reported)
            record_level(&source->state.meter, level, now);
    }
    int64_t phase = count % MEASURED_EVERY;
    if (source->state.reported || (phase > 0 && phase <= MEASURED_EVERY - MEASURE_PACKETS))
        return;
    int samples = decode(source, libraries, payload, size, 0, pcm);
    if (samples < 0)
        source->state.unmeasured++;
    else if (phase == 0)
        measure_level(&source->state.meter, pcm, samples, now);
}

/* opus_packet.has_fec, of a packet of one frame of 20 ms: what libopus can recover of the frame before it. */
static int has_fec(const uint8_t *payload, int size)
{
    int shift = payload[0] & 4 ? 4 : 6; /* of the flag of the last channel */
    return size > 1 && payload[0] >> 3 < FIRST_CELT && (payload[1] >> 6 | payload[1] >> shift) & 1;
}

/* FrameOutput._produce and _deliver_frame, of one frame: of a payload, of what it has of the frame before it, or
   concealed without one. */
static void decode_frame(packet_source *source, const packet_libraries *libraries, const uint8_t *payload, int size,
                         int recovers, int16_t *pcm, double now)
{
    int samples = payload ? decode(source, libraries, payload, size, recovers, pcm) : -1;
    if (source->state.codec != CODEC_OPUS)
        keep(source, payload, size); /* G711Decoder.decoded */
    if (samples < 0) {
        source->state.refused += payload != NULL;
        source->state.concealed_samples += PACKET_FRAME;
        samples = libraries->opus_decode(source->decoder, NULL, 0, pcm, PACKET_FRAME, 0);
    } else if (recovers) {
        source->state.fec_samples += PACKET_FRAME;
    }
    if (samples < PACKET_FRAME) {
        int first = samples > 0 ? samples : 0;
        memset(pcm + first, 0, (size_t)(PACKET_FRAME - first) * sizeof *pcm);
    }
    if (++source->state.frames % LEVEL_EVERY == 1)
        measure_level(&source->state.meter, pcm, PACKET_FRAME, now);
}

size_t packet_stream_copied(const packet_source *source)
{
    size_t frames = (size_t)source->state.recorded;
    return source->taps == TAP_FRAMES ? frames * PACKET_FRAME * sizeof(int16_t) : (size_t)source->state.octets;
}

/* MediaSocket.datagram_received and FastPath.receive, but for what it feeds: why a datagram is not the expected one,
   or below 0 if it is. */
static int unexpected(const packet_transport *transport, const packet_work *work, double now)
{
    const packet_source *source = &transport->source;
    const uint8_t *data = work->datagram;
    if (work->size <= HEADER || work->size > PACKET_MAX || data[0] < 128 || data[0] > 191)
        return REASON_SIGNALLING;
    if (data[1] > 191 && data[1] < 224) /* RTCP (RFC 5761) */
        return REASON_SIGNALLING;
    if (!source->active)
        return REASON_IDLE;
    if (work->address_size != transport->peer_size
        || memcmp(work->address, transport->peer, (size_t)work->address_size) != 0)
        return REASON_ADDRESS;
    int32_t sequence = (int32_t)read16(data + 2);
    uint32_t timestamp = read32(data + 4);
    if ((read16(data) & 0xFF7F) != source->state.header_pattern || read32(data + 8) != source->state.ssrc)
        return REASON_HEADER;
    if ((sequence != source->state.sequence || timestamp != source->state.timestamp)
        && ((source->decodes && (!source->push || source->taps == TAP_FRAMES)) || work->only_next
            || !within_epoch(source, sequence, timestamp, now)
            || (source->push && lost_frames(source, sequence, timestamp, now) < 0)))
        return REASON_HEADER;
    if (source->state.recorded >= PACKET_RECORDED || (now < transport->second_ends && transport->allowed <= 0))
        return REASON_FULL;
    if (source->taps && packet_stream_copied(source) > PACKET_COPIES - PACKET_MAX)
        return REASON_FULL;
    return -1;
}

/* Whether the sink that the source feeds takes a packet, or frames from this position on; under that sink's lock. */
static int sink_takes(const packet_source *source, int64_t position, int late)
{
    if (source->forward && !forward_takes(source, position))
        return 0;
    const packet_sink *push = source->push;
    return !push || late
           || (push->generation == source->generation && push_takes(push, position + push->state.offset));
}

/* Conceals the frames before a packet, of which the last one may be recovered from it. */
static void conceal_frames(packet_source *source, const packet_libraries *libraries, packet_work *work,
                           const uint8_t *payload, int size, int frames, double now)
{
    int64_t pts = bus_position(source->state.position) / BUS_RATIO;
    for (int fec = has_fec(payload, size); frames > 0; frames--, pts += PACKET_FRAME) {
        int recovers = frames == 1 && fec;
        decode_frame(source, libraries, recovers ? payload : NULL, size, recovers, work->pcm, now);
        packet_stream_push(source->push, work->pcm, pts, now, work->sent);
    }
}

/* Transport._media_received: unprotects into `plain`; 0 if that fails. */
static int unprotect(packet_transport *transport, packet_work *work, double now)
{
    int size = work->size;
    memcpy(work->plain, work->datagram, (size_t)size);
    if (transport->decrypts
        && (!transport->receive || transport->libraries->srtp_unprotect(transport->receive, work->plain, &size)))
        return 0;
    work->size = size;
    packet_stream_admit(transport, now);
    return 1;
}

/* Arrivals.admit */
int packet_stream_admit(packet_transport *transport, double now)
{
    transport->alive_at = now;
    if (now >= transport->second_ends) {
        transport->second_ends = now + 1.0;
        transport->allowed = transport->limit;
    }
    return --transport->allowed >= 0;
}

/* Processes the expected datagram, under the locks of the source and of the sink that it feeds. */
static int process(packet_transport *transport, packet_work *work, double now)
{
    packet_source *source = &transport->source;
    int32_t sequence = (int32_t)read16(work->datagram + 2);
    uint32_t timestamp = read32(work->datagram + 4);
    int64_t position = bus_position(place(source, timestamp));
    int late = ahead_of(sequence, source->state.sequence) < 0;
    int lost = source->push ? lost_frames(source, sequence, timestamp, now) : 0;
    work->reason = REASON_SINK;
    if (!sink_takes(source, position - lost * POSITIONS, late))
        return PACKET_DATAGRAM;
    work->reason = REASON_SRTP;
    if (!unprotect(transport, work, now))
        return PACKET_DATAGRAM;
    uint8_t *plain = work->plain;
    int start = HEADER, reported = 0;
    double level = 0.0, level_before = source->state.meter.level_dbov;
    if (plain[0] & 0x10) {
        start = work->size < HEADER + 4 ? work->size : HEADER + 4 + 4 * (int)read16(plain + HEADER + 2);
        if (start < work->size && source->state.level_id >= 0)
            reported = read_level(plain + HEADER + 4, start - HEADER - 4, read16(plain + HEADER),
                                  source->state.level_id, &level);
    }
    uint8_t *payload = plain + start;
    int size = work->size - start;
    work->reason = REASON_PAYLOAD;
    if (size <= 0 || duration(source->state.codec, payload, size) != source->state.samples)
        return PACKET_PLAIN;
    if (source->forward
        && (size > PACKET_PAYLOAD
            || (source->forward->state.continuous && source->state.codec == CODEC_OPUS
                && (size <= MAX_DTX || payload[0] & 7))))
        return PACKET_PLAIN;
    if (lost > 0) {
        if (payload[0] >> 3 < FIRST_CELT && payload[0] & 3)
            return PACKET_PLAIN; /* half of a lost frame might be recovered from it */
        conceal_frames(source, transport->libraries, work, payload, size, lost, now);
    }
    if (source->push && late)
        source->state.reordering_until = now + REORDERING_SECONDS; /* unless it is a repeated one, which Python will know */
    else if (source->decodes)
        decode_frame(source, transport->libraries, payload, size, 0, work->pcm, now);
    else
        keep_payload(source, transport->libraries, payload, size, reported, level, work->pcm, now);
    work->position = position;
    int result = PACKET_NONE;
    if (source->forward) {
        uint8_t *copy = work->sent + HEADER;
        memcpy(copy, payload, (size_t)size);
        forward_packet(source->forward, (int32_t)((sequence + source->state.renumbering) & 0xFFFF), position,
                       source->state.samples, copy, size, level_before, now);
    }
    if (source->push && !late)
        packet_stream_push(source->push, work->pcm, position / BUS_RATIO, now, work->sent);
    else if (source->decodes == FRAMES_AT_ONCE) {
        work->reason = REASON_FRAME;
        result = PACKET_FRAMED;
    }
    if (source->taps) {
        source->record.positions[source->state.recorded] = position;
        source->record.levels[source->state.recorded] = level_before;
        const void *copied = source->taps == TAP_FRAMES ? (const void *)work->pcm : payload;
        memcpy(source->record.copies + packet_stream_copied(source), copied,
               source->taps == TAP_FRAMES ? PACKET_FRAME * sizeof(int16_t) : (size_t)size);
    }
    source->record.times[source->state.recorded] = now;
    source->record.sequences[source->state.recorded] = (uint16_t)sequence;
    source->record.sizes[source->state.recorded++] = (uint16_t)size;
    source->state.octets += size;
    source->state.breaks += sequence != source->state.sequence || timestamp != source->state.timestamp;
    if (!late)
        accept_packet(source, sequence, timestamp, now);
    return result;
}

int packet_stream_receive(packet_transport *transport, packet_work *work, double now)
{
    work->reason = unexpected(transport, work, now);
    if (work->reason >= 0)
        return PACKET_DATAGRAM;
    packet_source *source = &transport->source;
    packet_sink *sink = source->forward ? source->forward : source->push;
    if (!sink)
        return process(transport, work, now);
    packet_lock(&sink->transport->sink_lock);
    int found = process(transport, work, now);
    packet_unlock(&sink->transport->sink_lock);
    return found;
}
