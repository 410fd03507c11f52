/* The device's end of a wire on which anything comes: bytes, frames with any body whose checksum is
 * right, in any order. What it answers are frames, and the model can go on. Where the link is
 * locked nothing that was learned has changed, unless a signed file was taken. The tag is a CRC
 * under a secret beginning: nothing to sign with, and enough to be hit by no accident. */
#include "calls.h"
#include "m_link.h"

enum { HEADER = sizeof(tt_link_header), FRAME = HEADER + TT_LINK_BODY + 4, WIRE = FRAME + 8 };

static m_link wire;
static uint8_t coming[WIRE], answer[WIRE];
static size_t come, taken, answered;
static uint32_t sequence;

static uint32_t tag_crc;
static uint8_t tag[4];

static int begin(void *context)
{
    (void)context;
    tag_crc = 0x5ec2e7U;
    return 0;
}

static int update(void *context, const void *data, size_t count)
{
    (void)context;
    tag_crc = tt_crc32(tag_crc, data, count);
    return 0;
}

static int verify(void *context, const uint8_t *found)
{
    (void)context;
    return memcmp(found, &tag_crc, sizeof tag_crc);
}

static int read_byte(void *context)
{
    (void)context;
    return taken < come ? coming[taken++] : -1;
}

/* Decodes what COBS made of an answer, and looks at its checksum. */
static void check_answer(void)
{
    uint8_t plain[WIRE];
    size_t size = 0;
    for (size_t at = 0; at < answered;) {
        const size_t code = answer[at++];
        HOLDS(code > 0 && code - 1U <= answered - at);
        memcpy(plain + size, answer + at, code - 1U);
        size += code - 1U;
        at += code - 1U;
        if (code < 255 && at < answered) {
            plain[size++] = 0;
        }
    }
    HOLDS(size >= HEADER + 4 && size <= FRAME);
    tt_link_header header;
    memcpy(&header, plain, sizeof header);
    HOLDS(header.size == size - HEADER - 4 && header.type & TT_LINK_ANSWER);
    const uint32_t crc = tt_crc32(0, plain, size - 4);
    HOLDS(memcmp(plain + size - 4, &crc, 4) == 0);
}

static void write_bytes(void *context, const void *data, size_t size)
{
    (void)context;
    const uint8_t *bytes = data;
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != 0) {
            HOLDS(answered < sizeof answer);
            answer[answered++] = bytes[i];
            continue;
        }
        if (answered > 0) {
            check_answer();
        }
        answered = 0;
    }
}

static void put_frame(const uint8_t *plain, size_t size)
{
    size_t code_at = come++;
    coming[code_at] = 1;
    for (size_t i = 0; i < size; i++) {
        if (plain[i] != 0) {
            coming[come++] = plain[i];
            coming[code_at]++;
        }
        if (plain[i] == 0 || coming[code_at] == 255) {
            code_at = come++;
            coming[code_at] = 1;
        }
    }
    coming[come++] = 0;
}

/* A question with a right checksum; its offset is small, or anything. */
static void ask(input *in, uint8_t type)
{
    uint8_t plain[FRAME] = {0};
    const uint8_t how = take_u8(in);
    const size_t size = how & 8U ? take_u8(in) : how & 1U ? 4U + take_u8(in) % 128U : 4U;
    sequence += how & 2U ? 0U : 1U;
    const tt_link_header header = {sequence, type, how & 4U ? take_u8(in) : 0, (uint16_t)size};
    memcpy(plain, &header, sizeof header);
    if (how & 1U) {
        take_many(in, plain + HEADER, size);
    }
    if (how & 16U) {
        const uint32_t offset = take_u16(in);
        memcpy(plain + HEADER, &offset, sizeof offset);
    }
    const uint32_t crc = tt_crc32(0, plain, HEADER + size);
    memcpy(plain + HEADER + size, &crc, sizeof crc);
    put_frame(plain, HEADER + size + 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const tt_link_port port = {read_byte, write_bytes, NULL, 0, NULL, NULL};
    static const tt_signer signer = {begin, update, NULL, verify, NULL, tag, sizeof tag};
    static file held, left;
    static tt_link_lock lock;
    input in = {data, size};
    m_init(&state);
    m_link_init(&wire, &state, &port);
    lock.signer = &signer;
    lock.least = 7;
    save(&state, &held);
    const int is_locked = size > 0 && (data[size - 1] & 1U);
    if (is_locked) {
        HOLDS(m_link_set_lock(&wire, &lock) == TT_OK && !m_link_receives(&wire));
    }
    sequence = 0;
    answered = 0;
    for (int i = 0; i < 48 && in.left > 0; i++) {
        const uint8_t type = take_u8(&in);
        come = 0;
        taken = 0;
        if (i == 0 && type & 1U) {
            input greeting = {NULL, 0};
            ask(&greeting, TT_LINK_HELLO);
        } else if (type == 255) {
            come = take_u8(&in) % WIRE;
            take(&in, coming, come);
        } else {
            ask(&in, type % 26U);
        }
        while (taken < come) {
            m_link_poll(&wire);
        }
        if (type == 254) {
            const tt_result result = {take_float(&in), (int32_t)take_u32(&in)};
            m_link_saw(&wire, &result, (int32_t)take_u32(&in), take_u32(&in));
        }
    }
    save(&state, &left);
    HOLDS(!is_locked || lock.least > 7 || memcmp(&held, &left, sizeof held) == 0);
    make_calls(&in);
    return 0;
}
