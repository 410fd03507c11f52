/* The weaving of tt_strips_mve.h: VST4 takes bytes of four rows by turns. */
#include "tt_strips_mve.h"

#if defined(__ARM_FEATURE_MVE)

#include <arm_mve.h>

/* `count` columns of padding from `to` on; returns the end. VST4 in assembly: gcc 12 gives it steps
 * it cannot make. */
static int8_t *weave_padding(int8_t *to, size_t pitch, uint32_t count, int8_t zero)
{
    if (count > 0) {
        __asm volatile("vdup.8 q0, %[zero]\n"
                       "vmov q1, q0\n"
                       "vmov q2, q0\n"
                       "vmov q3, q0\n"
                       "dls lr, %[count]\n"
                       "1:\n"
                       "vst40.8 {q0, q1, q2, q3}, [%[to]]\n"
                       "vst41.8 {q0, q1, q2, q3}, [%[to]]\n"
                       "vst42.8 {q0, q1, q2, q3}, [%[to]]\n"
                       "vst43.8 {q0, q1, q2, q3}, [%[to]]\n"
                       "add %[to], %[to], %[pitch]\n"
                       "le lr, 1b\n"
                       : [to] "+r"(to)
                       : [pitch] "r"(pitch), [count] "r"(count), [zero] "r"((int32_t)zero)
                       : "q0", "q1", "q2", "q3", "lr", "cc", "memory");
    }
    return to;
}

/* Four rows on their way into a strip; LDM takes it in this order. */
typedef struct {
    const int8_t *from[4];
    size_t step[4]; /* from column to column: 0 where the row lies in the padding */
    size_t pitch;
    uint32_t channels;
    uint32_t count;
} tt_weft;

/* count > 0 columns of four rows from `to` on; returns the end. */
static int8_t *weave_columns(const tt_weft *weft, int8_t *to)
{
    __asm volatile("ldm %[weft], {r0, r1, r2, r3, r4, r5, r6, r8, r9, r10, lr}\n"
                   "vctp.8 r10\n"
                   "dls lr, lr\n"
                   "1:\n"
                   "vpstttt\n"
                   "vldrbt.8 q0, [r0]\n"
                   "vldrbt.8 q1, [r1]\n"
                   "vldrbt.8 q2, [r2]\n"
                   "vldrbt.8 q3, [r3]\n"
                   "add r0, r4\n"
                   "add r1, r5\n"
                   "add r2, r6\n"
                   "add r3, r8\n"
                   "vst40.8 {q0, q1, q2, q3}, [%[to]]\n"
                   "vst41.8 {q0, q1, q2, q3}, [%[to]]\n"
                   "vst42.8 {q0, q1, q2, q3}, [%[to]]\n"
                   "vst43.8 {q0, q1, q2, q3}, [%[to]]\n"
                   "add %[to], r9\n"
                   "le lr, 1b\n"
                   : [to] "+r"(to)
                   : [weft] "r"(weft)
                   : "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r8", "r9", "r10", "lr", "q0", "q1",
                     "q2", "q3", "cc", "memory");
    return to;
}

/* Four rows of up to 16 channels, woven: columns of the map, and before and after them what padding
 * is. */
static void weave_rows(const tt_strips *strips, int32_t row, uint32_t channels, const int8_t *x,
                       int8_t *to)
{
    const tt_window *window = strips->window;
    const size_t pitch = strips->groups * TT_STRIP_GROUP;
    const int8_t padding = strips->zero;
    int8_t zero[16];
    const uint32_t before = window->pad_left < strips->columns ? window->pad_left : strips->columns;
    const uint32_t rest = strips->columns - before;
    const uint32_t count = rest < window->in_w ? rest : window->in_w;
    tt_weft weft = {{NULL, NULL, NULL, NULL}, {0, 0, 0, 0}, pitch, channels, count};
    vstrbq_s8(zero, vdupq_n_s8(padding));
    for (uint32_t r = 0; r < 4; r++, row += window->dilation_h) {
        const int is_inside = row >= 0 && row < window->in_h;
        weft.from[r] = is_inside ? x + (size_t)row * window->in_w * window->in_c : zero;
        weft.step[r] = is_inside ? window->in_c : 0;
    }
    to = weave_padding(to, pitch, before, padding);
    if (count > 0) {
        to = weave_columns(&weft, to);
    }
    (void)weave_padding(to, pitch, rest - count, padding);
}

void tt_weave_strips_mve(const tt_strips *strips, uint32_t first, uint32_t count, uint32_t channels,
                         const int8_t *x)
{
    const tt_window *window = strips->window;
    int8_t *to = strips->bytes;
    for (uint32_t s = first; s < first + count; s++, to += strips->size) {
        const int32_t top = (int32_t)(s * strips->rows * window->stride_h) - window->pad_top;
        for (uint32_t g = 0; g < strips->groups; g++) {
            weave_rows(strips, top + (int32_t)(4 * g * window->dilation_h), channels, x,
                       to + g * TT_STRIP_GROUP);
        }
    }
}

#endif
