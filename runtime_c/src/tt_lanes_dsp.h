/* Fills lanes for tt_dot8_dsp.h, and what goes with it on a core with DSP instructions. */
#ifndef TT_LANES_DSP_H
#define TT_LANES_DSP_H

#include <string.h>

#include "tt_dot8_dsp.h"
#include "tt_window.h"

#if defined(__ARM_FEATURE_SIMD32)
#include <arm_acle.h>

/* The four bytes at any address, one load. */
static inline uint32_t tt_word_at(const void *address)
{
    uint32_t word;
    memcpy(&word, address, sizeof word);
    return word;
}

/* -zero in both halves: what SXTAB16 adds to centre two elements. */
static inline int16x2_t tt_negated_pair(int8_t zero)
{
    return (int16x2_t)(((uint32_t)(uint16_t)-zero << 16) | (uint16_t)-zero);
}

/* Elements 0 and 2, and 1 and 3, of a word, with `negated` added: |result| <= 255. The intrinsic
 * knows no rotation, which costs SXTAB16 nothing. */
static inline tt_quad tt_centred_quad(uint32_t word, int16x2_t negated)
{
    int16x2_t odd;
    __asm__("sxtab16 %0, %1, %2, ror #8" : "=r"(odd) : "r"(negated), "r"(word));
    return (tt_quad){__sxtab16(negated, (int8x4_t)word), odd};
}

/* lane[i * stride], i < (count + 3) / 4, from `count` successive elements, centred; terms behind
 * the last are 0. */
static inline void tt_widen(size_t count, const int8_t *x, int8_t zero, tt_quad *lane,
                            size_t stride)
{
    const int16x2_t negated = tt_negated_pair(zero);
    for (const int8_t *end = x + count / 4 * 4; x != end; x += 4, lane += stride) {
        *lane = tt_centred_quad(tt_word_at(x), negated);
    }
    count %= 4;
    if (count > 0) {
        uint32_t word = (uint8_t)zero * UINT32_C(0x01010101);
        memcpy(&word, x, count);
        *lane = tt_centred_quad(word, negated);
    }
}

/* Up to four successive elements; those behind `left` are `other`. */
static inline uint32_t tt_few(const int8_t *x, size_t left, int8_t other)
{
    uint32_t word = (uint8_t)other * UINT32_C(0x01010101);
    if (left >= 4) {
        return tt_word_at(x);
    }
    for (size_t i = 0; i < left; i++) {
        word = (word & ~(UINT32_C(0xff) << (8 * i))) | (uint32_t)(uint8_t)x[i] << (8 * i);
    }
    return word;
}

/* The word of two low halves, and of two high halves. In assembly, as gcc makes two or three
 * instructions of each. */
static inline int32_t tt_lows(int32_t low, int32_t high)
{
    int32_t word;
    __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(word) : "r"(low), "r"(high));
    return word;
}

static inline int32_t tt_highs(int32_t low, int32_t high)
{
    int32_t word;
    __asm__("pkhtb %0, %1, %2, asr #16" : "=r"(word) : "r"(high), "r"(low));
    return word;
}

/* Four rows of four elements, centred and transposed: lanes[column * stride] holds one column. */
static inline void tt_transpose4(uint32_t row0, uint32_t row1, uint32_t row2, uint32_t row3,
                                 int16x2_t negated, tt_quad *lanes, size_t stride)
{
    const tt_quad r0 = tt_centred_quad(row0, negated);
    const tt_quad r1 = tt_centred_quad(row1, negated);
    const tt_quad r2 = tt_centred_quad(row2, negated);
    const tt_quad r3 = tt_centred_quad(row3, negated);
    lanes[0] = (tt_quad){tt_lows(r0.even, r2.even), tt_lows(r1.even, r3.even)};
    lanes[stride] = (tt_quad){tt_lows(r0.odd, r2.odd), tt_lows(r1.odd, r3.odd)};
    lanes[2 * stride] = (tt_quad){tt_highs(r0.even, r2.even), tt_highs(r1.even, r3.even)};
    lanes[3 * stride] = (tt_quad){tt_highs(r0.odd, r2.odd), tt_highs(r1.odd, r3.odd)};
}

/* `size` bytes, mostly few: memcpy would take longer to begin. Not inlined, for its size. */
__attribute__((noinline, unused)) static int8_t *tt_copy_few(int8_t *to, const int8_t *from,
                                                             size_t size)
{
    for (; size >= 4; size -= 4, to += 4, from += 4) {
        const uint32_t word = tt_word_at(from);
        memcpy(to, &word, sizeof word);
    }
    for (; size > 0; size--) {
        *to++ = *from++;
    }
    return to;
}

__attribute__((noinline, unused)) static int8_t *tt_fill_few(int8_t *to, int8_t value, size_t size)
{
    for (; size > 0; size--) {
        *to++ = value;
    }
    return to;
}

/* What the channels of one group and one segment hold under a window:
 * to[kernel_h][kernel_w][count], a tap in the padding being `zero`; x points to the map. */
static inline void tt_gather_window(const tt_window *window, tt_taps rows, tt_taps columns,
                                    size_t first, const tt_segment *segment, const int8_t *x,
                                    int8_t zero, int8_t *to)
{
    const size_t count = segment->count;
    /* Neighbouring taps of a row are neighbours in memory too: one run. */
    const int whole = segment->channels == NULL && count == window->in_c && window->dilation_w == 1;
    for (uint32_t kh = 0; kh < window->kernel_h; kh++) {
        if (kh < rows.begin || kh >= rows.end || columns.begin == columns.end) {
            to = tt_fill_few(to, zero, window->kernel_w * count);
            continue;
        }
        to = tt_fill_few(to, zero, columns.begin * count);
        if (whole) {
            to = tt_copy_few(to, x + tt_tap_offset(window, rows, columns, kh, columns.begin),
                             (columns.end - columns.begin) * count);
        }
        for (uint32_t kw = columns.begin; !whole && kw < columns.end; kw++) {
            const int8_t *element = x + tt_tap_offset(window, rows, columns, kh, kw) + first;
            if (segment->channels == NULL) {
                to = tt_copy_few(to, element, count);
                continue;
            }
            for (size_t j = 0; j < count; j++) {
                *to++ = element[segment->channels[j]];
            }
        }
        to = tt_fill_few(to, zero, (window->kernel_w - columns.end) * count);
    }
}

/* `rows` runs of `size` bytes, `step` apart, one behind the other, in whole words: reads and writes
 * up to three bytes behind each. Returns the end. */
static inline int8_t *tt_copy_runs(int8_t *to, const int8_t *from, size_t rows, size_t size,
                                   size_t step)
{
    for (; rows > 0; rows--, from += step, to += size) {
        for (size_t i = 0; i < size; i += 4) {
            const uint32_t word = tt_word_at(from + i);
            memcpy(to + i, &word, sizeof word);
        }
    }
    return to;
}

#endif
#endif
