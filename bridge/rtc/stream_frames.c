/* Converts the audio of media sockets and streams, and writes its messages: see stream_frames.h.
 *
 * Without this library Python does the same, with the methods that comments name. It adds up in another order, so
 * a sample may differ by one step.
 */

#define _GNU_SOURCE

#include <math.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include "stream_frames.h" /* which has no guard, because cffi reads it */

#define PUBLIC __attribute__((visibility("default")))

enum {
    LANES = 8, /* sums side by side, which compilers keep in vectors */
    MULAW_BIAS = 132, /* bridge.audio.codec.g711 */
    MULAW_CLIP = 32635,
};

static const int32_t SAMPLE_BYTES[3] = {2, 4, 1};
static const float FLOAT_SCALE = 32768.0f; /* bridge.wire.stream.media_format: in, samples are multiplied by 32767 */
static const float ROUNDS = 12582912.0f; /* 1.5 * 2^23: added to a smaller number, no bits are left for a fraction */

static const double MIN_POWER = 100.0 * 100.0; /* bridge.audio.codec.sample_encoding */
static const float MAX_FLOAT = 4.0f;

/* To the nearest integer, to even at the half, without a call to libm. */
static float rounded(float value) { return value + ROUNDS - ROUNDS; }

static float clamped(float value, float least, float most)
{
    value = value < least ? least : value;
    return value > most ? most : value;
}

static float from_mulaw(uint8_t code)
{
    int32_t bits = ~code & 0xff;
    int32_t magnitude = (((bits & 0x0f) << 3) + MULAW_BIAS) << (bits >> 4 & 7);
    return (float)(bits & 0x80 ? MULAW_BIAS - magnitude : magnitude - MULAW_BIAS);
}

static uint8_t to_mulaw(int32_t sample)
{
    int32_t magnitude = sample < 0 ? -sample : sample;
    magnitude = (magnitude < MULAW_CLIP ? magnitude : MULAW_CLIP) + MULAW_BIAS;
    int32_t exponent = 24 - __builtin_clz((uint32_t)magnitude);
    return (uint8_t)~((sample < 0 ? 0x80 : 0) | exponent << 4 | (magnitude >> (exponent + 3) & 0x0f));
}

/* `decode_samples`: into the range of 16 bits; no number becomes silence. */
static void read_samples(int32_t encoding, const uint8_t *data, int32_t count, float *samples)
{
    if (encoding == FRAMES_MULAW) {
        for (int32_t i = 0; i < count; i++) samples[i] = from_mulaw(data[i]);
    } else if (encoding == FRAMES_F32LE) {
        memcpy(samples, data, (size_t)count * sizeof *samples);
        for (int32_t i = 0; i < count; i++) {
            float value = isfinite(samples[i]) ? samples[i] : 0.0f;
            samples[i] = rounded(clamped(value, -1.0f, 1.0f) * (FLOAT_SCALE - 1.0f));
        }
    } else {
        int16_t pcm[FRAMES_PIECE];
        memcpy(pcm, data, (size_t)count * sizeof *pcm);
        for (int32_t i = 0; i < count; i++) samples[i] = pcm[i];
    }
}

/* `encode_samples`; overwrites `samples`. */
static void write_samples(int32_t encoding, float *samples, int32_t count, char *output)
{
    for (int32_t i = 0; i < count; i++)
        samples[i] = rounded(clamped(samples[i], -FLOAT_SCALE, FLOAT_SCALE - 1.0f));
    if (encoding == FRAMES_MULAW) {
        for (int32_t i = 0; i < count; i++) output[i] = (char)to_mulaw((int32_t)samples[i]);
    } else if (encoding == FRAMES_F32LE) {
        for (int32_t i = 0; i < count; i++) samples[i] /= FLOAT_SCALE;
        memcpy(output, samples, (size_t)count * sizeof *samples);
    } else {
        for (int32_t i = 0; i < count; i++) {
            int16_t sample = (int16_t)samples[i];
            memcpy(output + 2 * i, &sample, sizeof sample);
        }
    }
}

static float filtered(const float *window, const float *row, int32_t taps)
{
    float sums[LANES] = {0};
    for (int32_t tap = 0; tap < taps; tap += LANES)
        for (int lane = 0; lane < LANES; lane++) sums[lane] += window[tap + lane] * row[tap + lane];
    return ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]));
}

/* Filters a piece, whose samples follow the history in `samples`; returns how many samples it made. */
static int32_t resample(frames_converter *converter, float *samples, int32_t count, float *made)
{
    const frames_filter *filter = converter->filter;
    int32_t up = filter->up, step = filter->down / up, phases = filter->down % up, end = count * up, next = converter->next;
    const float *window = samples + next / up;
    int32_t phase = next % up, number = 0;
    for (; next < end; next += filter->down) {
        made[number++] = filtered(window, filter->rows[phase], filter->taps);
        window += step;
        phase += phases;
        if (phase >= up) {
            phase -= up;
            window++;
        }
    }
    converter->next = next - end;
    memcpy(converter->history, samples + count, (size_t)(filter->taps - 1) * sizeof *samples);
    return number;
}

PUBLIC int32_t frames_convert(frames_converter *converter, const uint8_t *data, int32_t size, char *output, int32_t room)
{
    float samples[FRAMES_TAPS + FRAMES_PIECE], made[FRAMES_PIECE * FRAMES_PHASES];
    const frames_filter *filter = converter->filter;
    int32_t bytes = SAMPLE_BYTES[converter->source], target_bytes = SAMPLE_BYTES[converter->target], written = 0;
    int32_t past = filter == NULL ? 0 : filter->taps - 1;
    for (int32_t left = size / bytes; left > 0;) {
        int32_t count = left < FRAMES_PIECE ? left : FRAMES_PIECE;
        memcpy(samples, converter->history, (size_t)past * sizeof *samples);
        read_samples(converter->source, data, count, samples + past);
        int32_t number = filter == NULL ? count : resample(converter, samples, count, made);
        int32_t most = (room - written) / target_bytes;
        number = number < most ? number : most;
        write_samples(converter->target, filter == NULL ? samples : made, number, output + written);
        written += number * target_bytes;
        data += count * bytes;
        left -= count;
    }
    return written;
}

/* bridge.audio.codec.sample_encoding: one reading of audio, sample by sample */
typedef struct {
    double sum, squares, differences, last;
    int32_t count;
} reading;

static void read_next(reading *one, double sample)
{
    double difference = one->count == 0 ? 0.0 : sample - one->last;
    one->sum += sample;
    one->squares += sample * sample;
    one->differences += difference * difference;
    one->last = sample;
    one->count++;
}

static double roughness(const reading *one)
{
    double mean = one->sum / one->count, power = one->squares / one->count - mean * mean;
    if (power < MIN_POWER) return 1.0;
    return one->differences / (one->count - 1) / (2.0 * power);
}

PUBLIC void frames_roughness(const uint8_t *data, int32_t size, double *found)
{
    reading little = {0}, big = {0}, mulaw = {0}, floats = {0};
    int sane = 1;
    for (int32_t i = 0; i < size; i += 2) {
        read_next(&little, (int16_t)(data[i] | data[i + 1] << 8));
        read_next(&big, (int16_t)(data[i] << 8 | data[i + 1]));
        read_next(&mulaw, from_mulaw(data[i]));
        read_next(&mulaw, from_mulaw(data[i + 1]));
    }
    for (int32_t i = 0; i < size && sane; i += 4) {
        float value;
        memcpy(&value, data + i, sizeof value);
        sane = isfinite(value) && fabsf(value) <= MAX_FLOAT;
        read_next(&floats, sane ? (double)value * 32767.0 : 0.0);
    }
    found[0] = roughness(&little);
    found[1] = roughness(&big);
    found[2] = roughness(&mulaw);
    found[3] = sane ? roughness(&floats) : 1.0;
}

/* RFC 4648 section 4 */
static char *write_base64(char *at, const uint8_t *data, int32_t size)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    int32_t whole = size - size % 3;
    for (int32_t i = 0; i < whole; i += 3) {
        uint32_t bits = (uint32_t)data[i] << 16 | (uint32_t)data[i + 1] << 8 | data[i + 2];
        *at++ = letters[bits >> 18];
        *at++ = letters[bits >> 12 & 63];
        *at++ = letters[bits >> 6 & 63];
        *at++ = letters[bits & 63];
    }
    if (whole < size) {
        int two = whole + 2 == size;
        uint32_t bits = (uint32_t)data[whole] << 16 | (two ? (uint32_t)data[whole + 1] << 8 : 0);
        *at++ = letters[bits >> 18];
        *at++ = letters[bits >> 12 & 63];
        *at++ = two ? letters[bits >> 6 & 63] : '=';
        *at++ = '=';
    }
    return at;
}

static char *write_number(char *at, uint64_t value, int digits)
{
    char reversed[FRAMES_FIELD];
    int count = 0;
    do {
        reversed[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0 || count < digits);
    while (count > 0) *at++ = reversed[--count];
    return at;
}

/* bridge.wire.iso8601 */
static char *write_time(char *at, int64_t unix_ms)
{
    time_t seconds = (time_t)(unix_ms / 1000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    const int fields[6] = {utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec};
    static const char behind[6] = {'-', '-', 'T', ':', ':', '.'};
    for (int i = 0; i < 6; i++) {
        at = write_number(at, (uint64_t)fields[i], i == 0 ? 4 : 2);
        *at++ = behind[i];
    }
    at = write_number(at, (uint64_t)(unix_ms % 1000), 3);
    *at++ = 'Z';
    return at;
}

/* RFC 6455 section 5.2: a whole text message, masked */
static char *write_header(char *at, int32_t size, const uint8_t *mask)
{
    int bytes = size < 126 ? 0 : size < 1 << 16 ? 2 : 8;
    *at++ = (char)0x81;
    *at++ = (char)(0x80 | (bytes == 0 ? size : bytes == 2 ? 126 : 127));
    for (int i = bytes; i > 0; i--) *at++ = (char)((uint64_t)size >> 8 * (i - 1) & 0xff);
    memcpy(at, mask, 4);
    return at + 4;
}

static void apply_mask(char *payload, int32_t size, const uint8_t *mask)
{
    uint64_t key, eight;
    memcpy(&key, mask, 4);
    memcpy((char *)&key + 4, mask, 4);
    int32_t whole = size - size % 8;
    for (int32_t i = 0; i < whole; i += 8) {
        memcpy(&eight, payload + i, sizeof eight);
        eight ^= key;
        memcpy(payload + i, &eight, sizeof eight);
    }
    for (int32_t i = whole; i < size; i++) payload[i] = (char)(payload[i] ^ mask[i & 3]);
}

static int64_t room_for(const frames_template *layout, int32_t size)
{
    int64_t needed = FRAMES_HEADER + layout->size;
    for (int32_t i = 0; i < layout->places; i++)
        needed += layout->kinds[i] == FRAMES_PAYLOAD ? ((int64_t)size + 2) / 3 * 4 : FRAMES_FIELD;
    return needed;
}

PUBLIC int32_t frames_write(const frames_template *layout, const uint8_t *audio, int32_t size, const uint8_t *mask,
                            int64_t unix_ms, int64_t sequence, int64_t chunk, int64_t timestamp, char *output,
                            int32_t room)
{
    if (room_for(layout, size) > room) return -1;
    char *message = output + FRAMES_HEADER, *at = message;
    int32_t begin = 0;
    for (int32_t i = 0; i <= layout->places; i++) {
        int32_t end = i < layout->places ? layout->ends[i] : layout->size;
        memcpy(at, layout->text + begin, (size_t)(end - begin));
        at += end - begin;
        begin = end;
        if (i == layout->places) break;
        switch (layout->kinds[i]) {
        case FRAMES_PAYLOAD: at = write_base64(at, audio, size); break;
        case FRAMES_TIME: at = write_time(at, unix_ms); break;
        case FRAMES_SEQUENCE: at = write_number(at, (uint64_t)sequence, 1); break;
        case FRAMES_CHUNK: at = write_number(at, (uint64_t)chunk, 1); break;
        default: at = write_number(at, (uint64_t)timestamp, 1); break;
        }
    }
    int32_t length = (int32_t)(at - message);
    char *payload = write_header(output, length, mask);
    memmove(payload, message, (size_t)length);
    apply_mask(payload, length, mask);
    return (int32_t)(payload - output) + length;
}
