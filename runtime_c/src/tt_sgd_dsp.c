/* Updates of a row of weights on a core with DSP instructions. * Weights with four fractional
 * bits go four at a time, as two pairs of halves that hold 16 * Wq, in assembly: what SEL takes
 * from which operand depends on flags that no intrinsic can hold over a loop, and the loop needs
 * all registers. */
#include "tt_sgd_dsp.h"

#include "tt_assembly_dsp.h"

#if defined(__ARM_FEATURE_SIMD32)

/* What tt_update_quads_dsp works on; all but the constants moves on. */
typedef struct {
    uint32_t random, a, c; /* the next number is random * a + c */
    int32_t mantissa;
    uint32_t rest;   /* 64 - h, and above bit 8 the bytes from four sums to the next */
    uint32_t places; /* h - 36, and above bit 8 how many times four weights, less one */
    const int32_t *sums;
    int8_t *w;
    uint8_t *fraction;
} quads;

void tt_update_quads_dsp(quads *all);

_Static_assert(offsetof(quads, random) == 0 && offsetof(quads, fraction) == 32,
               "one LDM loads all");

/* clang-format off */
/* sum becomes 16 * D, with four bits of what D cuts off below. */
#define SHIFTED_DELTA(sum)                  \
    "    mla r4, r4, r5, r6\n"              \
    "    lsr lr, r4, r8\n"                  \
    "    smmlar " sum ", " sum ", r7, lr\n" \
    "    asr " sum ", " sum ", r9\n"

/* 43 instructions for four weights. SEL takes bytes 1 and 3 from its first operand, the flags GE
 * being 1010: a weight into the upper byte of a half and its nibble, with 8 added, into the upper
 * half of the lower byte. Below lies anything: 16 * D has nothing there to borrow for, and
 * saturation is that of 12 bits above. */
__asm__("    .syntax unified\n"
        "    .thumb\n"

        TT_BEGIN(tt_update_quads_dsp)
        "    push {r4-r11, lr}\n"
        "    mov r1, #0x000a0000\n"
        "    msr APSR_g, r1\n"
        "    push {r0}\n"
        /* random, a, c, mantissa, rest, places, sums, w, fraction */
        "    ldm r0, {r4-r12}\n"
        "1:\n"
        "    ldm r10, {r0-r3}\n"
        "    add r10, r10, r8, lsr #8\n"
        SHIFTED_DELTA("r0") SHIFTED_DELTA("r1") SHIFTED_DELTA("r2") SHIFTED_DELTA("r3")
        "    pkhbt r0, r0, r2, lsl #16\n"
        "    pkhbt r1, r1, r3, lsl #16\n"
        "    bic r0, r0, #0x000f000f\n"
        "    bic r1, r1, #0x000f000f\n"
        "    ldr r2, [r11]\n"
        "    ldrh r3, [r12]\n"
        "    eor r3, r3, #0x88888888\n"
        "    pkhbt r3, r3, r3, lsl #8\n"  /* bytes of fractions in bytes 0 and 2 */
        "    sel lr, r2, r3\n"
        "    qsub16 r1, lr, r1\n"         /* weights 1 and 3 */
        "    lsl r2, r2, #8\n"
        "    lsl r3, r3, #4\n"
        "    sel lr, r2, r3\n"
        "    qsub16 r0, lr, r0\n"         /* weights 0 and 2 */
        "    lsr lr, r0, #8\n"
        "    sel lr, r1, lr\n"
        "    str lr, [r11], #4\n"
        "    and r0, r0, #0x00f000f0\n"
        "    and r1, r1, #0x00f000f0\n"
        "    orr r1, r1, r0, lsr #4\n"
        "    orr r1, r1, r1, lsr #8\n"
        "    eor r1, r1, #0x88888888\n"
        "    strh r1, [r12], #2\n"
        "    subs r9, r9, #256\n"        /* a shift reads the lowest byte alone */
        "    bpl 1b\n"
        "    pop {r0}\n"
        "    str r4, [r0]\n"
        "    pop {r4-r11, pc}\n"
        TT_END(tt_update_quads_dsp)

        "    .text\n");
/* clang-format on */

/* Cold, as what few weights and biases need it may be slow: it shall be small. */
__attribute__((noinline, cold)) int64_t tt_any_delta_dsp(tt_sgd *sgd, int32_t sum)
{
    return tt_delta_s8(sgd, sum);
}

/* Whether 16 * D of every sum within +-(most + 1) is an s16, h being in 36..62: with R >= |dW * m
 * + 2^31 >> 32| it is within (R >> (h - 36)) + 16 of 0. */
static int fits_s16(const tt_sgd *sgd, int32_t most)
{
    const int32_t rounded = (int32_t)((int64_t)most * sgd->mantissa >> 32) + 2;
    return (rounded >> (sgd->shift - 36)) < INT16_MAX - 16;
}

/* A number that no magnitude of a sum exceeds by more than 1: all bits that any of them has. */
static int32_t peak_of(const int32_t *at, size_t step, size_t fours)
{
    int32_t bits = 0;
    for (; fours > 0; fours--, at += step) {
        bits |= (at[0] ^ at[0] >> 31) | (at[1] ^ at[1] >> 31) | (at[2] ^ at[2] >> 31) |
                (at[3] ^ at[3] >> 31);
    }
    return bits;
}

/* Any weights from `first` of the row on, one by one. */
__attribute__((noinline, cold)) static void update_each(const tt_trained *trained, size_t index,
                                                        size_t first, size_t end, tt_sgd *sgd,
                                                        const tt_sums_dsp *sums)
{
    for (size_t i = first; i < end; i++) {
        const int32_t sum = sums->at[i / 4 * sums->step + i % 4];
        const int64_t d = tt_any_delta_dsp(sgd, sum);
        tt_count(sgd, sum != 0, d);
        tt_apply(trained, index + i, d);
    }
}

void tt_update_sums_dsp(const tt_trained *trained, size_t index, size_t size, tt_sgd *sgd,
                        const tt_sums_dsp *sums)
{
    const size_t lead = index % 2;
    const size_t fours = size > lead ? (size - lead) / 4 : 0;
    const size_t end = lead + 4 * fours;
    if (fours == 0 || sgd->health != NULL || sgd->shift <= 35 || sgd->shift > 62 ||
        trained->fraction_bits != 4 ||
        (!fits_s16(sgd, sums->most) &&
         !fits_s16(sgd, peak_of(sums->at + lead, sums->step, fours)))) {
        update_each(trained, index, 0, size, sgd, sums);
        return;
    }
    if (lead > 0) {
        update_each(trained, index, 0, lead, sgd, sums);
    }
    quads all = {sgd->random,
                 TT_RANDOM_FACTOR,
                 TT_RANDOM_STEP,
                 sgd->mantissa,
                 (uint32_t)(64 - sgd->shift) | sums->step << 10,
                 (uint32_t)(sgd->shift - 36) | (uint32_t)(fours - 1) << 8,
                 sums->at + lead,
                 trained->weights + index + lead,
                 trained->fraction + (index + lead) / 2};
    if (!sgd->is_random) {
        all.random = 0x80000000U;
        all.a = 1;
        all.c = 0;
    }
    tt_update_quads_dsp(&all);
    sgd->random = all.random;
    if (size > end) {
        update_each(trained, index, end, size, sgd, sums);
    }
}

#endif
