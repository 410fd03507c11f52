/* Convolutions of few inputs: weights of some outputs stay in registers while the positions pass
 * by. */
#ifndef TT_CONV2D_NARROW_MVE_H
#define TT_CONV2D_NARROW_MVE_H

#if defined(__ARM_FEATURE_MVE)

#include <arm_mve.h>
#include <stddef.h>

#include "tt_conv2d_pack_mve.h"

/* Four outputs of a pointwise layer: weights as 8 elements of s16 or 16 of s8, and what makes s8 of
 * sums. */
typedef struct {
    int8_t w[4][16];       /* 0 */
    int32_t multiplier[4]; /* 64 */
    uint16_t to[8];        /* 80: where lanes of two positions go, taking turns */
    const int32_t *bias;
    int32_t zero;
    size_t step; /* bytes of y from two positions to the next */
} tt_narrow_rows;

_Static_assert(offsetof(tt_narrow_rows, multiplier) == 64 && offsetof(tt_narrow_rows, to) == 80,
               "the assembly knows these offsets");

/* inputs is 8 or 16; requires out_c + 3 < 2^16. */
static inline void tt_set_narrow_rows(size_t inputs, const int8_t *w, const int32_t *bias,
                                      const int32_t *multiplier, int32_t zero, size_t out_c,
                                      tt_narrow_rows *rows)
{
    for (size_t o = 0; o < 4; o++, w += inputs) {
        const int8x16_t row = inputs == 8 ? vreinterpretq_s8_s16(vldrbq_s16(w)) : vldrbq_s8(w);
        vstrbq_s8(rows->w[o], row);
        rows->to[2 * o] = (uint16_t)o;
        rows->to[2 * o + 1] = (uint16_t)(o + out_c);
    }
    vstrwq_s32(rows->multiplier, vldrwq_s32(multiplier));
    rows->bias = bias;
    rows->zero = zero;
    rows->step = 2 * out_c;
}

/* The four outputs at 2 * pairs > 0 positions, whose inputs lie one after another; the weights stay
 * in registers. Clamps to s8. In assembly for LDM, the moves of register pairs and VMLADAVA's even
 * registers. */
__attribute__((noinline)) /* it takes every vector register */
static void
tt_narrow_positions(const tt_narrow_rows *rows, size_t inputs, size_t pairs, const int8_t *x,
                    int8_t *y)
{
    /* clang-format off */
#define TT_NARROW_POSITION(load, type, vector)    \
    load "ldm %[bias], {r0, r2, r4, r6}\n"        \
    "vmladava." type " r0, " vector ", q0\n"      \
    "vmladava." type " r2, " vector ", q1\n"      \
    "vmladava." type " r4, " vector ", q2\n"      \
    "vmladava." type " r6, " vector ", q3\n"      \
    "vmov " vector "[2], " vector "[0], r0, r4\n" \
    "vmov " vector "[3], " vector "[1], r2, r6\n"
#define TT_NARROW_LOOP(type, load_a, load_b)                                                       \
    __asm volatile("vldrw.32 q0, [%[rows]]\n"                                                      \
                   "vldrw.32 q1, [%[rows], #16]\n"                                                 \
                   "vldrw.32 q2, [%[rows], #32]\n"                                                 \
                   "vldrw.32 q3, [%[rows], #48]\n"                                                 \
                   "vldrw.32 q4, [%[rows], #64]\n"                                                 \
                   "vldrw.32 q5, [%[rows], #80]\n"                                                 \
                   "dls lr, %[pairs]\n"                                                            \
                   "1:\n" TT_NARROW_POSITION(load_a, type, "q6")                                   \
                   TT_NARROW_POSITION(load_b, type, "q7")                                          \
                   "vrmulh.s32 q6, q6, q4\n"                                                       \
                   "vrmulh.s32 q7, q7, q4\n"                                                       \
                   "vqmovnb.s32 q6, q6\n"                                                          \
                   "vqmovnt.s32 q6, q7\n"                                                          \
                   "vqadd.s16 q6, q6, %[zero]\n"                                                   \
                   "vqmovnb.s16 q6, q6\n"                                                          \
                   "vstrb.16 q6, [%[y], q5]\n"                                                     \
                   "add %[y], %[y], %[step]\n"                                                     \
                   "le lr, 1b\n"                                                                   \
                   : [x] "+l"(x), [y] "+r"(y)                                                      \
                   : [rows] "r"(rows), [bias] "r"(rows->bias), [zero] "r"(rows->zero),             \
                     [step] "r"(rows->step), [pairs] "r"(pairs)                                    \
                   : "r0", "r2", "r4", "r6", "lr", "q0", "q1", "q2", "q3", "q4", "q5", "q6", "q7", \
                     "cc", "memory")
    /* clang-format on */
    if (inputs == 8) {
        TT_NARROW_LOOP("s16", "vldrb.s16 q6, [%[x]], #8\n", "vldrb.s16 q7, [%[x]], #8\n");
    } else {
        TT_NARROW_LOOP("s8", "vldrb.8 q6, [%[x]], #16\n", "vldrb.8 q7, [%[x]], #16\n");
    }
}

/* Two outputs: their weights with zeros up to TT_SHORT_WINDOW, and for the lanes output 0 and 1 of
 * one window, then of the next, what makes s8 of sums and where it goes. */
typedef struct {
    int8_t w[2][TT_SHORT_WINDOW]; /* 0 */
    int32_t multiplier[4];        /* 64 */
    uint32_t to[4];               /* 80 */
    int32_t bias[4];
    int32_t zero;
    size_t step; /* bytes of y from a pair of windows to the next */
} tt_short_rows;

_Static_assert(offsetof(tt_short_rows, multiplier) == 64 && offsetof(tt_short_rows, to) == 80,
               "the assembly knows these offsets");

static inline void tt_set_short_rows(size_t count, const int8_t *w, const int32_t *bias,
                                     const int32_t *multiplier, uint32_t out_c, tt_short_rows *rows)
{
    for (uint32_t i = 0; i < 4; i++) {
        rows->multiplier[i] = multiplier[i % 2];
        rows->bias[i] = bias[i % 2];
        rows->to[i] = i % 2 + i / 2 * out_c;
    }
    for (size_t o = 0; o < 2; o++, w += count) {
        const size_t tail = count > 16 ? count - 16 : 0;
        vstrbq_s8(rows->w[o], vldrbq_z_s8(w, vctp8q((uint32_t)count)));
        vstrbq_s8(rows->w[o] + 16, vldrbq_z_s8(w + count - tail, vctp8q((uint32_t)tail)));
    }
    rows->step = 2 * out_c;
}

/* Both outputs of 2 * pairs windows, panel[windows][TT_SHORT_WINDOW], whose bytes beyond the
 * weights may hold anything. Clamps to s8. */
__attribute__((noinline)) /* it takes every vector register */
static void
tt_short_windows(const tt_short_rows *rows, size_t pairs, const int8_t *panel, int8_t *y)
{
    __asm volatile("vldrw.32 q0, [%[rows]]\n"
                   "vldrw.32 q1, [%[rows], #16]\n"
                   "vldrw.32 q2, [%[rows], #32]\n"
                   "vldrw.32 q3, [%[rows], #48]\n"
                   "vldrw.32 q4, [%[rows], #64]\n"
                   "vldrw.32 q5, [%[rows], #80]\n"
                   "dls lr, %[pairs]\n"
                   "1:\n"
                   "ldm %[bias], {r0, r2, r4, r6}\n"
                   "vldrb.8 q7, [%[panel], #16]\n"
                   "vmladava.s8 r0, q7, q1\n"
                   "vmladava.s8 r2, q7, q3\n"
                   "vldrb.8 q7, [%[panel], #32]\n"
                   "vmladava.s8 r4, q7, q0\n"
                   "vmladava.s8 r6, q7, q2\n"
                   "vldrb.8 q7, [%[panel], #48]\n"
                   "vmladava.s8 r4, q7, q1\n"
                   "vmladava.s8 r6, q7, q3\n"
                   "vldrb.8 q7, [%[panel]], #64\n"
                   "vmladava.s8 r0, q7, q0\n"
                   "vmladava.s8 r2, q7, q2\n"
                   "vmov q7[2], q7[0], r0, r4\n"
                   "vmov q7[3], q7[1], r2, r6\n"
                   "vrmulh.s32 q7, q7, q4\n"
                   "vqmovnb.s32 q7, q7\n"
                   "vqadd.s16 q7, q7, %[zero]\n"
                   "vqmovnb.s16 q7, q7\n"
                   "vstrb.32 q7, [%[y], q5]\n"
                   "add %[y], %[y], %[step]\n"
                   "le lr, 1b\n"
                   : [panel] "+r"(panel), [y] "+r"(y)
                   : [rows] "r"(rows), [bias] "r"(rows->bias), [zero] "r"(rows->zero),
                     [step] "r"(rows->step), [pairs] "r"(pairs)
                   : "r0", "r2", "r4", "r6", "lr", "q0", "q1", "q2", "q3", "q4", "q5", "q7", "cc",
                     "memory");
}

#endif
#endif
