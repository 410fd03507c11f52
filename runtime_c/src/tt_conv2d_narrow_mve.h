/* Convolutions of few inputs: weights of some outputs stay in registers while the positions pass by. */
#ifndef TT_CONV2D_NARROW_MVE_H
#define TT_CONV2D_NARROW_MVE_H

#if defined(__ARM_FEATURE_MVE)

#include <arm_mve.h>
#include <stddef.h>

/* Pointwise layers of 8 or 16 inputs: the weights of four outputs stay in registers while all positions pass by.
 * Requires the lanes of a multiplier for the four, a dense map, and positions >= 2, even. */
__attribute__((noinline)) /* it takes every register but the frame's */
static void tt_narrow_layer(size_t inputs, size_t positions, size_t out_c, const int8_t *w, const int32_t *bias,
                         int32x4_t multiplier, int32_t zero, const int8_t *x, int8_t *y)
{
    int32x4_t a;
    int32x4_t b;
/* One position: its inputs, and the sums of four outputs on top of their biases. In assembly for LDM, the moves of
 * register pairs and VMLADAVA's even registers. */
#define TT_NARROW_POSITION(load, type, vector)                                                                        \
    load "ldm %[bias], {r0, r2, r4, r6}\n"                                                                            \
    "vmladava." type " r0, %q[" vector "], %q[w0]\n"                                                                  \
    "vmladava." type " r2, %q[" vector "], %q[w1]\n"                                                                  \
    "vmladava." type " r4, %q[" vector "], %q[w2]\n"                                                                  \
    "vmladava." type " r6, %q[" vector "], %q[w3]\n"                                                                  \
    "vmov %q[" vector "][2], %q[" vector "][0], r0, r4\n"                                                             \
    "vmov %q[" vector "][3], %q[" vector "][1], r2, r6\n"
#define TT_NARROW_LOOP(type, load_a, load_b)                                                                          \
    __asm volatile("dls lr, %[pairs]\n"                                                                               \
                   "1:\n" TT_NARROW_POSITION(load_a, type, "a") TT_NARROW_POSITION(load_b, type, "b")                 \
                   "vrmulh.s32 %q[a], %q[a], %q[m]\n"                                                                 \
                   "vrmulh.s32 %q[b], %q[b], %q[m]\n"                                                                 \
                   "vqmovnb.s32 %q[a], %q[a]\n"                                                                       \
                   "vqmovnt.s32 %q[a], %q[b]\n"                                                                       \
                   "vqadd.s16 %q[a], %q[a], %[zero]\n"                                                                \
                   "vqmovnb.s16 %q[a], %q[a]\n"                                                                       \
                   "vstrb.32 %q[a], [%[y]]\n"                                                                         \
                   "add %[y], %[y], %[step]\n"                                                                        \
                   "vshr.u32 %q[a], %q[a], #16\n"                                                                     \
                   "vstrb.32 %q[a], [%[y]]\n"                                                                         \
                   "add %[y], %[y], %[step]\n"                                                                        \
                   "le lr, 1b\n"                                                                                      \
                   : [x] "+l"(x), [y] "+l"(y), [a] "=&w"(a), [b] "=&w"(b)                                             \
                   : [w0] "w"(w0), [w1] "w"(w1), [w2] "w"(w2), [w3] "w"(w3), [m] "w"(multiplier),                     \
                     [bias] "r"(bias), [zero] "r"(zero), [step] "r"(out_c), [pairs] "r"(positions / 2)                \
                   : "r0", "r2", "r4", "r6", "lr", "cc", "memory")
    if (inputs == 8) {
        const int16x8_t w0 = vldrbq_s16(w);
        const int16x8_t w1 = vldrbq_s16(w + 8);
        const int16x8_t w2 = vldrbq_s16(w + 16);
        const int16x8_t w3 = vldrbq_s16(w + 24);
        TT_NARROW_LOOP("s16", "vldrb.s16 %q[a], [%[x]], #8\n", "vldrb.s16 %q[b], [%[x]], #8\n");
    } else {
        const int8x16_t w0 = vldrbq_s8(w);
        const int8x16_t w1 = vldrbq_s8(w + 16);
        const int8x16_t w2 = vldrbq_s8(w + 32);
        const int8x16_t w3 = vldrbq_s8(w + 48);
        TT_NARROW_LOOP("s8", "vldrb.8 %q[a], [%[x]], #16\n", "vldrb.8 %q[b], [%[x]], #16\n");
    }
}

/* Bytes of a window in the panel of tt_short_windows. */
#define TT_SHORT_WINDOW 32U

/* Two outputs: their weights with zeros up to TT_SHORT_WINDOW, and for the lanes output 0 and 1 of one window, then of
 * the next, what makes s8 of sums and where it goes. */
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

static inline void tt_set_short_rows(size_t count, const int8_t *w, const int32_t *bias, const int32_t *multiplier,
                                     uint32_t out_c, tt_short_rows *rows)
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

/* Both outputs of 2 * pairs windows, panel[windows][TT_SHORT_WINDOW], whose bytes beyond the weights may hold anything.
 * Clamps to s8. */
__attribute__((noinline)) /* it takes every vector register */
static void tt_short_windows(const tt_short_rows *rows, size_t pairs, const int8_t *panel, int8_t *y)
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
                   : [rows] "r"(rows), [bias] "r"(rows->bias), [zero] "r"(rows->zero), [step] "r"(rows->step),
                     [pairs] "r"(pairs)
                   : "r0", "r2", "r4", "r6", "lr", "q0", "q1", "q2", "q3", "q4", "q5", "q7", "cc", "memory");
}

#endif
#endif
