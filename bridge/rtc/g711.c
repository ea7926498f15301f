/* G.711 and the conversion between 8 and 16 kHz: bridge.audio.codec.g711 and bridge.audio.codec.halfband.
 *
 * Samples are the same as Python's, to the last bit. The taps have 24 bits and samples 16, so that a double holds every
 * sum of their products exactly: neither the order of additions nor a processor's fused ones can make a difference.
 */

#include <stdint.h>
#include <string.h>

#include "packet_stream.h"

enum {
    PAIRS = 16, /* of equal taps: the filter is symmetric */
    TAPS = 2 * PAIRS,
    WINDOW = TAPS - 1 + G711_OCTETS,
    BIAS = 132, /* of the u-law */
    CLIP = 32635,
    TOGGLED = 0x55, /* bits of the A-law's codes */
};

/* halfband._BETWEEN: the sample between two others, of those on either side, the outermost first. */
static const double between[PAIRS] = {
    -0x1.1971cap-10, 0x1.05207cp-9, -0x1.ae9c06p-9, 0x1.4a3e2ep-8,
    -0x1.e1ff96p-8, 0x1.534b3p-7, -0x1.d11a84p-7, 0x1.38aa76p-6,
    -0x1.9f024p-6, 0x1.11bc88p-5, -0x1.69c92cp-5, 0x1.e46f26p-5,
    -0x1.4e9ba4p-4, 0x1.ee0b04p-4, -0x1.aa6eb6p-3, 0x1.45774cp-1,
};

static const double TO_WHOLE = 0x1.8p52; /* added to a small double and taken away, it rounds as rint() does */

/* Law.samples */
static int16_t expand(int codec, uint8_t code)
{
    int inverted = codec == CODEC_PCMU ? code ^ 0xFF : code ^ TOGGLED;
    int exponent = inverted >> 4 & 7, mantissa = inverted & 15;
    if (codec == CODEC_PCMU) {
        int magnitude = (((mantissa << 3) + BIAS) << exponent) - BIAS;
        return (int16_t)(inverted & 0x80 ? -magnitude : magnitude);
    }
    int magnitude = exponent ? ((mantissa << 4) + 0x108) << (exponent - 1) : (mantissa << 4) + 8;
    return (int16_t)(inverted & 0x80 ? magnitude : -magnitude);
}

/* Law.encode */
static uint8_t compress(int codec, int sample)
{
    if (codec == CODEC_PCMU) {
        int magnitude = sample < 0 ? -sample : sample;
        magnitude = (magnitude < CLIP ? magnitude : CLIP) + BIAS;
        int exponent = 24 - __builtin_clz((unsigned)magnitude);
        return (uint8_t) ~((sample < 0 ? 0x80 : 0) | exponent << 4 | (magnitude >> (exponent + 3) & 15));
    }
    /* A negative sample has the magnitude of its ones' complement: -1 is the smallest one, as 0 is. */
    int height = (sample < 0 ? ~sample : sample) >> 4, coded = height;
    if (height >= 16) {
        int exponent = 27 - __builtin_clz((unsigned)height);
        coded = (exponent + 1) << 4 | (height >> exponent & 15);
    }
    return (uint8_t)((coded | (sample < 0 ? 0 : 0x80)) ^ TOGGLED);
}

/* Makes the sample between samples 15 and 16 of each window of 32. */
static void filter(const double window[WINDOW], double made[G711_OCTETS])
{
    for (int index = 0; index < G711_OCTETS; index++)
        made[index] = 0.0;
    for (int pair = 0; pair < PAIRS; pair++)
        for (int index = 0; index < G711_OCTETS; index++)
            made[index] += (window[index + pair] + window[index + TAPS - 1 - pair]) * between[pair];
}

PUBLIC void g711_decode(int codec, int16_t past[G711_PAST_CODES], const uint8_t *codes, int16_t *pcm)
{
    double window[WINDOW], made[G711_OCTETS];
    for (int index = 0; index < G711_PAST_CODES; index++)
        window[index] = past[index];
    for (int index = 0; index < G711_OCTETS; index++)
        window[G711_PAST_CODES + index] = expand(codec, codes[index]);
    for (int index = 0; index < G711_PAST_CODES; index++)
        past[index] = (int16_t)window[G711_OCTETS + index];
    filter(window, made);
    for (int index = 0; index < G711_OCTETS; index++) {
        double whole = made[index] + TO_WHOLE - TO_WHOLE;
        whole = whole < INT16_MAX ? whole : INT16_MAX;
        whole = whole > INT16_MIN ? whole : INT16_MIN;
        pcm[2 * index] = (int16_t)window[index + PAIRS - 1];
        pcm[2 * index + 1] = (int16_t)whole;
    }
}

PUBLIC void g711_encode(int codec, int16_t past[G711_PAST_SAMPLES], const int16_t *pcm, uint8_t *codes)
{
    int16_t samples[G711_PAST_SAMPLES + PACKET_FRAME];
    memcpy(samples, past, G711_PAST_SAMPLES * sizeof *past);
    memcpy(samples + G711_PAST_SAMPLES, pcm, PACKET_FRAME * sizeof *pcm);
    memcpy(past, samples + PACKET_FRAME, G711_PAST_SAMPLES * sizeof *past);
    double odd[WINDOW], made[G711_OCTETS];
    for (int index = 0; index < WINDOW; index++)
        odd[index] = samples[2 * index + 1];
    filter(odd, made);
    for (int index = 0; index < G711_OCTETS; index++) {
        /* Law.codes: half a step more, and cut off where nothing is negative. */
        double height = (made[index] + samples[2 * index + TAPS]) * 0.5 + (32768.0 + 0.5);
        height = height < 0.0 ? 0.0 : height > 65535.0 ? 65535.0 : height;
        codes[index] = compress(codec, (int)height - 32768);
    }
}
