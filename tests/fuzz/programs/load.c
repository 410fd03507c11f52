/* Saved files that somebody made: damaged, cut, foreign, with a right CRC around anything, and on
 * memory that answers otherwise the second time. A file that is refused changes nothing; with one
 * that is taken the model goes on. */
#include "calls.h"

enum { CRC = 4 };

static m_state learned;
static file sound, factory, given[2];
static size_t highest; /* offset so far; a lower one is another pass */
static int pass;

static void apart(file *to, input *in, uint8_t how)
{
    if (how & 1U) { /* of bytes that the input has */
        to->size = take_u16(in) % sizeof to->bytes;
        take_many(in, to->bytes, to->size);
    } else { /* a sound one with a few changes */
        *to = sound;
        for (uint8_t changes = take_u8(in) % 8U; changes > 0; changes--) {
            const size_t at = take_u16(in) % sound.size;
            const uint32_t value = take_u32(in);
            const size_t size = sound.size - at < 4 ? sound.size - at : 4;
            memcpy(to->bytes + at, &value, size);
        }
        to->size = how & 8U ? take_u16(in) % (sound.size + 1U) : sound.size;
    }
    if (how & 16U) { /* of the format before */
        to->bytes[4] = 1;
    }
    if (how & 2U && to->size >= CRC) {
        const uint32_t crc = tt_crc32(0, to->bytes, to->size - CRC);
        memcpy(to->bytes + to->size - CRC, &crc, sizeof crc);
    }
}

static int read_given(void *context, size_t offset, void *data, size_t size)
{
    (void)context;
    pass += offset < highest;
    highest = offset;
    return read_file(&given[pass > 0], offset, data, size);
}

static void learn(void)
{
    static const uint8_t steps[64] = {0};
    input in = {steps, sizeof steps};
    m_init(&state);
    save(&state, &factory);
    for (int i = 0; i < 3; i++) {
        give_sample(&in);
#ifdef HAS_train_step
        const target wanted = take_target(&in);
        m_train_step(&state, wanted, NULL);
#endif
    }
    learned = state;
    save(&state, &sound);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static file probe;
    input in = {data, size};
    if (sound.size == 0) {
        learn();
    }
    memcpy(&state, &learned, sizeof state);
    forget_inputs();
    const uint8_t how = take_u8(&in);
    apart(&given[0], &in, how);
    given[1] = given[0];
    if (how & 4U) {
        apart(&given[1], &in, take_u8(&in));
    }
    highest = 0;
    pass = 0;
    const tt_status status =
        how & 16U ? m_load_old(&state, read_given, NULL) : m_load(&state, read_given, NULL);
    if (status == TT_ERROR_RESET) {
        save(&state, &probe);
        HOLDS(probe.size == factory.size && memcmp(probe.bytes, factory.bytes, probe.size) == 0);
    } else if (status != TT_OK) {
        HOLDS(memcmp(&state, &learned, sizeof state) == 0);
    }
    make_calls(&in);
    return 0;
}
