/* What runs a fuzz target: libFuzzer, or without it a `main` that draws inputs at random. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
