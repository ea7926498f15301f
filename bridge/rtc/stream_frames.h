/* The audio of media sockets and streams: between the bus and what a vendor's WebSocket carries.
 *
 * As packet_path.h, cffi reads this file: it has declarations only. Samples are mono; those of the bus are signed
 * 16-bit at 16 kHz, and machines are little-endian. Nothing here allocates, and no structure is used by two threads
 * at once.
 */

#define FRAMES_PHASES 8  /* rows of a filter, at most */
#define FRAMES_TAPS 520  /* of a row, at most; a multiple of 8 */
#define FRAMES_PIECE 512 /* samples filtered at once */

#define FRAMES_TEXT 1024 /* bytes of a message beside what changes, at most */
#define FRAMES_PARTS 8   /* places in a message, at most */
#define FRAMES_FIELD 24  /* bytes of a number or a time, at most */
#define FRAMES_HEADER 14 /* bytes of a frame's header with its mask, at most */

/* bridge.wire.stream.media_template.Place */
#define FRAMES_PAYLOAD 0
#define FRAMES_TIME 1
#define FRAMES_SEQUENCE 2
#define FRAMES_CHUNK 3
#define FRAMES_TIMESTAMP 4

/* bridge.wire.stream.media_format.Encoding */
#define FRAMES_S16LE 0
#define FRAMES_F32LE 1
#define FRAMES_MULAW 2

/* bridge.audio.codec.resample */
typedef struct {
    int32_t up;   /* output samples for `down` of input; as many rows */
    int32_t down;
    int32_t taps; /* of a row; a multiple of 8 */
    float rows[FRAMES_PHASES][FRAMES_TAPS]; /* for the oldest sample first */
} frames_filter;

/* One direction of one stream, from samples of one encoding and rate to those of another. */
typedef struct {
    const frames_filter *filter; /* NULL: the rate stays */
    int32_t source;              /* FRAMES_* */
    int32_t target;
    int32_t next; /* position of the next output sample, in units of 1 / up input samples */
    float history[FRAMES_TAPS]; /* the last taps - 1 input samples */
} frames_converter;

/* bridge.audio.codec.sample_encoding: measures audio of `size` bytes, a multiple of 4, read as s16le, s16be, mulaw and
   f32le. */
void frames_roughness(const uint8_t *data, int32_t size, double *found);

/* What the messages of audio of one track look like: bridge.wire.stream.media_template. */
typedef struct {
    int32_t places;
    int32_t size;                /* of the text */
    int32_t kinds[FRAMES_PARTS]; /* FRAMES_PAYLOAD ... */
    int32_t ends[FRAMES_PARTS];  /* of the text before each place */
    uint8_t text[FRAMES_TEXT];
} frames_template;

/* Converts the whole samples of `size` bytes; returns the bytes written, at most `room`, beyond which samples are
   left out. There are at most (samples * up) / down + 1. */
int32_t frames_convert(frames_converter *converter, const uint8_t *data, int32_t size, char *output, int32_t room);

/* Writes the WebSocket frame of a message to a server; `unix_ms` is when it is sent, `mask` has 4 bytes. Returns the
   bytes written, or -1, with none, where `room` might not do. */
int32_t frames_write(const frames_template *layout, const uint8_t *audio, int32_t size, const uint8_t *mask, int64_t unix_ms,
                     int64_t sequence, int64_t chunk, int64_t timestamp, char *output, int32_t room);
