/* What a machine can do at the moment: packets through libopus, SRTP and a socket, and back, without Python. */

#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>

/* Functions of libsrtp and libopus, with their contexts. */
typedef struct {
    int (*srtp_protect)(void *session, void *packet, int *size);
    int (*srtp_unprotect)(void *session, void *packet, int *size);
    int (*opus_decode)(void *decoder, const uint8_t *packet, int32_t size, int16_t *pcm, int samples, int fec);
    int32_t (*opus_encode)(void *encoder, const int16_t *pcm, int samples, uint8_t *packet, int32_t size);
    void *send;
    void *receive;
    void *encoder;
    void *decoder;
} reference_libraries;

enum { HEADER = 12, SAMPLES = 320, ROOM = 1500 };

/* Carry `packets` frames of a sound of `frames` from one connected socket to another, and return how many came whole. */
int reference_carry(const reference_libraries *use, int out, int in, const int16_t *sound, int frames, int64_t first,
                    int packets) {
    uint8_t packet[ROOM];
    int16_t heard[SAMPLES];
    int whole = 0;
    for (int64_t number = first; number < first + packets; number++) {
        const uint32_t timestamp = (uint32_t)number * 960;
        const uint8_t header[HEADER] = {0x80, 111, (uint8_t)(number >> 8), (uint8_t)number,
                                        (uint8_t)(timestamp >> 24), (uint8_t)(timestamp >> 16),
                                        (uint8_t)(timestamp >> 8), (uint8_t)timestamp, 0, 0, 0, 1};
        memcpy(packet, header, HEADER);
        const int32_t coded = use->opus_encode(use->encoder, sound + number % frames * SAMPLES, SAMPLES,
                                               packet + HEADER, ROOM / 2);
        int size = HEADER + coded;
        if (coded <= 0 || use->srtp_protect(use->send, packet, &size) || send(out, packet, (size_t)size, 0) != size)
            continue;
        size = (int)recv(in, packet, ROOM, 0);
        if (size < HEADER || use->srtp_unprotect(use->receive, packet, &size))
            continue;
        whole += use->opus_decode(use->decoder, packet + HEADER, size - HEADER, heard, SAMPLES, 0) == SAMPLES;
    }
    return whole;
}
