/* From NHWC to planes of s16. */
#include "tt_depthwise_conv2d_planes_dsp.h"

#if defined(__ARM_FEATURE_SIMD32)
#include <arm_acle.h>

#include "tt_assembly_dsp.h"
#include "tt_lanes_dsp.h"

/* Each pair of elements of x becomes a word in each of four planes: less zero, `negated` being
 * -zero twice; or pre(G, m), `even` holding m of channels 0 and 2, `odd` that of 1 and 3. */
void tt_planes_centre_dsp(const tt_planes_pairs *pairs, const int8_t *x, uint32_t *to,
                          int16x2_t negated);
void tt_planes_scale_dsp(const tt_planes_pairs *pairs, const int8_t *x, uint32_t *to,
                         int16x2_t even, int16x2_t odd);

/* Assembly, because what a pair takes fills all registers; at file scope, so that neither -O0 nor a
 * frame pointer can take one away. r0 x, r1 step, r2-r5 words of the planes, r6 negated or even, r7
 * end of the row in the first plane; r8 and r9, too, are free while a row changes in
 * tt_planes_centre_dsp, and hold odd and 2^6 in tt_planes_scale_dsp. The frame: back 0, row_bytes
 * 4, skip 8, rows 12. */
/* clang-format off */
#define ENTER                        \
    "    push {r4-r11, lr}\n"        \
    "    ldm r0, {r4, r5, r8-r11}\n" \
    "    push {r8-r11}\n"            \
    "    mov r6, r3\n"               \
    "    mov r0, r1\n"               \
    "    mov r1, r5\n"               \
    "    mov r8, r4\n"               \
    "    add r7, r2, r9\n"           \
    "    add r3, r2, r4\n"           \
    "    add r4, r3, r8\n"           \
    "    add r5, r4, r8\n"

#define LEAVE                     \
    "    cmp r2, r7\n"            \
    "    bne 1b\n"                \
    "    ldm sp, {r10-r12, lr}\n" \
    "    subs lr, lr, #1\n"       \
    "    add r0, r0, r10\n"       \
    "    add r2, r2, r12\n"       \
    "    add r3, r3, r12\n"       \
    "    add r4, r4, r12\n"       \
    "    add r5, r5, r12\n"       \
    "    add r7, r2, r11\n"       \
    "    str lr, [sp, #12]\n"     \
    "    bne 1b\n"                \
    "    add sp, sp, #16\n"       \
    "    pop {r4-r11, pc}\n"

/* low and high: pre() of one channel of both elements, before the shift by 7. */
#define SCALED(half, m, to)                  \
    "    smla" half " r12, r11, " m ", r9\n" \
    "    smla" half " lr, r10, " m ", r9\n"  \
    "    lsl r12, r12, #9\n"                 \
    "    pkhtb r12, r12, lr, asr #7\n"       \
    "    str r12, [" to "], #4\n"

__asm__("    .syntax unified\n"
        "    .thumb\n"

        TT_BEGIN(tt_planes_centre_dsp)
        ENTER
        "1:\n"
        "    ldr r8, [r0]\n"
        "    ldr r9, [r0, r1]\n"
        "    add r0, r0, r1, lsl #1\n"
        "    sxtab16 r10, r6, r8\n"
        "    sxtab16 r11, r6, r8, ror #8\n"
        "    sxtab16 r12, r6, r9\n"
        "    sxtab16 lr, r6, r9, ror #8\n"
        "    pkhbt r8, r10, r12, lsl #16\n"
        "    pkhtb r9, r12, r10, asr #16\n"
        "    pkhbt r10, r11, lr, lsl #16\n"
        "    pkhtb r11, lr, r11, asr #16\n"
        "    str r8, [r2], #4\n"
        "    str r10, [r3], #4\n"
        "    str r9, [r4], #4\n"
        "    str r11, [r5], #4\n"
        LEAVE
        TT_END(tt_planes_centre_dsp)

        TT_BEGIN(tt_planes_scale_dsp)
        ENTER
        "    ldr r8, [sp, #52]\n"
        "    mov r9, #64\n"
        "1:\n"
        "    ldr r10, [r0]\n"
        "    ldr r11, [r0, r1]\n"
        "    sxtb16 r10, r10\n"
        "    sxtb16 r11, r11\n"
        SCALED("bb", "r6", "r2")
        SCALED("tt", "r6", "r4")
        "    ldr r10, [r0]\n"
        "    ldr r11, [r0, r1]\n"
        "    sxtb16 r10, r10, ror #8\n"
        "    sxtb16 r11, r11, ror #8\n"
        "    add r0, r0, r1, lsl #1\n"
        SCALED("bb", "r8", "r3")
        SCALED("tt", "r8", "r5")
        LEAVE
        TT_END(tt_planes_scale_dsp)

        "    .text\n");
/* clang-format on */

/* Rows of one channel, from x to a plane, `columns` elements each; the first goes to the high half
 * of a word where `odd` is 1. */
static void fill_rows1(const tt_planes_values *values, size_t k, const tt_planes_rows *rows,
                       size_t columns, size_t odd, const int8_t *x, uint32_t *to)
{
    for (size_t r = 0; r < rows->rows; r++, x += rows->row_step, to += rows->pitch) {
        const int8_t *element = x;
        int16_t *half = (int16_t *)to + odd;
        for (const int16_t *end = half + columns; half != end; element += rows->step) {
            *half++ = (int16_t)(values->factors == NULL
                                    ? *element - values->zero
                                    : (*element * values->factors[k] + (1 << 6)) >> 7);
        }
    }
}

/* The column of four channels that has no other for a pair; its words' other halves are 0. */
static void fill_column(const tt_planes_values *values, const tt_planes_rows *rows, size_t column,
                        const int8_t *x, uint32_t *to)
{
    const size_t at = column + rows->odd;
    x += column * rows->step;
    for (size_t k = 0; k < TT_PLANES; k++, x++, to += rows->plane) {
        fill_rows1(values, k, rows, 1, at % 2, x, to + at / 2);
    }
}

typedef struct {
    uint32_t word[4];
} four_words;

/* Kept from becoming calls of memset and memmove, which in small libraries go byte by byte. */
static void clear(uint32_t *to, size_t words)
{
    for (; words >= 4; words -= 4, to += 4) {
        *(four_words *)to = (four_words){{0}};
        __asm__("" : "+r"(to));
    }
    for (; words > 0; words--) {
        *to++ = 0;
        __asm__("" : "+r"(to));
    }
}

static void move_up(uint32_t *to, const uint32_t *from, size_t words)
{
    for (; words >= 4; words -= 4, to += 4, from += 4) {
        *(four_words *)to = *(const four_words *)from;
        __asm__("" : "+r"(to));
    }
    for (; words > 0; words--) {
        *to++ = *from++;
        __asm__("" : "+r"(to));
    }
}

void tt_planes_clear_dsp(const tt_planes *planes)
{
    clear(planes->planes, (size_t)TT_PLANES * planes->rows * planes->pitch);
}

/* Elements of a row of the map that rows of planes hold. */
static size_t columns_of(const tt_planes *planes)
{
    const uint32_t elements = 2 * planes->pitch;
    const uint32_t columns = elements > planes->left ? elements - planes->left : 0;
    return columns < planes->width ? columns : planes->width;
}

static uint32_t within(uint32_t value, uint32_t low, uint32_t high)
{
    return value < low ? low : value > high ? high : value;
}

tt_planes_rows tt_planes_rows_dsp(const tt_planes *planes, uint32_t from)
{
    /* Rows [begin, end) of the workspace are rows of the map. */
    const uint32_t bottom = planes->strip + planes->rows;
    const uint32_t begin = within(planes->top, planes->strip + from, bottom) - planes->strip;
    const uint32_t end =
        within(planes->top + planes->height, begin + planes->strip, bottom) - planes->strip;
    /* Of no use, and maybe negative, where no row is filled. */
    const ptrdiff_t first = (ptrdiff_t)(planes->strip + begin) - (ptrdiff_t)planes->top;
    const size_t row_step = planes->row_step;
    tt_planes_rows rows = {.from = from,
                           .begin = begin,
                           .end = end,
                           .rows = end - begin,
                           .columns = columns_of(planes),
                           .odd = planes->left % 2,
                           .step = planes->step,
                           .row_step = row_step,
                           .pitch = planes->pitch,
                           .plane = (size_t)planes->rows * planes->pitch,
                           .x = first * (ptrdiff_t)row_step,
                           .to = (size_t)begin * planes->pitch + planes->left / 2};
    const size_t single = rows.odd != 0 && rows.columns > 0;
    const size_t words = (rows.columns - single) / 2;
    rows.single = single != 0 || rows.columns % 2 != 0;
    rows.pairs = (tt_planes_pairs){(uint32_t)(4 * rows.plane),
                                   (uint32_t)rows.step,
                                   (uint32_t)(row_step - 2 * words * rows.step),
                                   (uint32_t)(4 * words),
                                   (uint32_t)(4 * (rows.pitch - words)),
                                   words > 0 ? (uint32_t)rows.rows : 0};
    if (rows.pairs.back == 0 && rows.pairs.skip == 0 && rows.rows > 0) {
        rows.pairs.row_bytes *= rows.pairs.rows;
        rows.pairs.rows = 1;
    }
    return rows;
}

static void clear_rows(const tt_planes *planes, size_t count, uint32_t begin, uint32_t end)
{
    for (size_t k = 0; k < count && begin < end; k++) {
        clear(planes->planes + (k * planes->rows + begin) * planes->pitch,
              (size_t)(end - begin) * planes->pitch);
    }
}

void tt_planes_outside_dsp(const tt_planes *planes, const tt_planes_rows *rows, size_t count)
{
    clear_rows(planes, count, rows->from, rows->begin);
    clear_rows(planes, count, rows->end, planes->rows);
}

void tt_planes_fill_dsp(const tt_planes *planes, const tt_planes_rows *rows,
                        const uint16_t *channel, size_t count, const tt_planes_values *values)
{
    if (rows->rows == 0) {
        return;
    }
    uint32_t *to = planes->planes + rows->to;
    const int8_t *x = planes->map + rows->x + channel[0];
    if (count < TT_PLANES || channel[TT_PLANES - 1] - channel[0] != TT_PLANES - 1) {
        for (size_t k = 0; k < count; k++, to += rows->plane) {
            fill_rows1(values, k, rows, rows->columns, rows->odd, x + channel[k] - channel[0], to);
        }
        return;
    }
    const int16_t *m = values->factors;
    size_t first = 0;
    if (rows->single) {
        first = rows->odd;
        if (first != 0) {
            fill_column(values, rows, 0, x, to);
        }
        if ((rows->columns - first) % 2 != 0) {
            fill_column(values, rows, rows->columns - 1, x, to);
        }
    }
    if (rows->pairs.rows == 0) {
        return;
    }
    if (m == NULL) {
        tt_planes_centre_dsp(&rows->pairs, x + first * rows->step, to + first,
                             tt_negated_pair(values->zero));
    } else {
        tt_planes_scale_dsp(&rows->pairs, x + first * rows->step, to + first, tt_lows(m[0], m[2]),
                            tt_lows(m[1], m[3]));
    }
}

uint32_t tt_planes_advance_dsp(tt_planes *planes, size_t count, uint32_t ahead)
{
    planes->strip += ahead;
    if (ahead >= planes->rows) {
        return 0;
    }
    const size_t plane = (size_t)planes->rows * planes->pitch;
    const uint32_t kept = planes->rows - ahead;
    for (size_t k = 0; k < count; k++) {
        uint32_t *to = planes->planes + k * plane;
        move_up(to, to + (size_t)ahead * planes->pitch, (size_t)kept * planes->pitch);
    }
    return kept;
}

#endif
