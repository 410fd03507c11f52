/* The inner loops in which most of a training step goes by. * Assembly, because eight sums, two
 * pointers and four temporaries are all fourteen registers that there are; from intrinsics gcc
 * spills some of them in every turn and takes a third more instructions (docs/speed.md). Ends of
 * loops wait on the stack. At file scope, so that neither -O0 nor a frame pointer can take a
 * register away. */
#include "tt_dot8_dsp.h"

#include "tt_assembly_dsp.h"

#if defined(__ARM_FEATURE_SIMD32)

/* clang-format off */
#define ENTER                     \
    "    push {r0, r4-r11, lr}\n" \
    "    ldm r0, {r4-r11}\n"

#define LEAVE                \
    "    ldr r0, [sp, #8]\n" \
    "    stm r0, {r4-r11}\n" \
    "    add sp, sp, #12\n"  \
    "    pop {r4-r11, pc}\n"

/* 3 + 8 * 3 instructions for 32 multiply-adds: r3 and r0 hold the weights, r12 and lr a lane. */
#define LANE_OF_QUAD(sum, load)             \
    "    ldrd r12, lr, " load "\n"          \
    "    smlad " sum ", r3, r12, " sum "\n" \
    "    smlad " sum ", r0, lr, " sum "\n"

#define WEIGHTS              \
    "    ldr r0, [r2], #4\n" \
    "    sxtb16 r3, r0\n"    \
    "    sxtb16 r0, r0, ror #8\n"

#define QUAD                                                          \
    WEIGHTS                                                           \
    LANE_OF_QUAD("r4", "[r1], #64") LANE_OF_QUAD("r5", "[r1, #-56]")  \
    LANE_OF_QUAD("r6", "[r1, #-48]") LANE_OF_QUAD("r7", "[r1, #-40]") \
    LANE_OF_QUAD("r8", "[r1, #-32]") LANE_OF_QUAD("r9", "[r1, #-24]") \
    LANE_OF_QUAD("r10", "[r1, #-16]") LANE_OF_QUAD("r11", "[r1, #-8]")

/* The first quad of a row: the bias waits in r11, the last of the sums. */
#define LANE_ON_BIAS(sum, load)         \
    "    ldrd r12, lr, " load "\n"      \
    "    smlad " sum ", r3, r12, r11\n" \
    "    smlad " sum ", r0, lr, " sum "\n"

/* 1 + 8 * 3 instructions for 32 multiply-adds, where the weights are widened too. */
#define FIRST_LANE(sum, load)      \
    "    ldrd r12, lr, " load "\n" \
    "    smuad " sum ", r3, r12\n" \
    "    smlad " sum ", r0, lr, " sum "\n"

#define NEXT_LANE(sum, load) LANE_OF_QUAD(sum, load)

#define WIDE_QUAD(LANE)                                                        \
    "    ldrd r3, r0, [r2], #8\n"                                              \
    LANE("r4", "[r1], #64") LANE("r5", "[r1, #-56]") LANE("r6", "[r1, #-48]")  \
    LANE("r7", "[r1, #-40]") LANE("r8", "[r1, #-32]") LANE("r9", "[r1, #-24]") \
    LANE("r10", "[r1, #-16]") LANE("r11", "[r1, #-8]")

/* r12: where to go on behind the first of `quads` quads. 3 where that was all; else so far into
 * four quads that the last turn ends with them. Bit 0 stands for Thumb. */
#define ENTRY(quads)              \
    "    adr r12, 3f\n"           \
    "    cmp " quads ", #1\n"     \
    "    beq 9f\n"                \
    "    sub lr, " quads ", #1\n" \
    "    and lr, lr, #3\n"        \
    "    adr r12, 2f\n"           \
    "    cmp lr, #2\n"            \
    "    it eq\n"                 \
    "    adreq r12, 6f\n"         \
    "    it hi\n"                 \
    "    adrhi r12, 5f\n"         \
    "    cmp lr, #1\n"            \
    "    it eq\n"                 \
    "    adreq r12, 7f\n"         \
    "9:\n"                        \
    "    orr r12, r12, #1\n"

/* tt_high_requantize_dsp of two lanes: r0 is m, r1 the zero point, lr where they go, r12 the
 * step. */
#define LANE_OUT(sum, place)                \
    "    smmlar " sum ", " sum ", r0, r1\n" \
    "    ssat " sum ", #8, " sum "\n"       \
    "    strb " sum ", " place "\n"

#define TWO_LANES_OUT(first, second)                      \
    LANE_OUT(first, "[lr]") LANE_OUT(second, "[lr, r12]") \
    "    add lr, lr, r12, lsl #1\n"

/* One channel's sum over 16 positions: r4-r11 hold the gradients. */
#define SIXTEEN(place)                 \
    "    ldm r0!, {r1, r2, r3, r12}\n" \
    "    smuad lr, r4, r1\n"           \
    "    smlad lr, r5, r2, lr\n"       \
    "    smlad lr, r6, r3, lr\n"       \
    "    smlad lr, r7, r12, lr\n"      \
    "    ldm r0!, {r1, r2, r3, r12}\n" \
    "    smlad lr, r8, r1, lr\n"       \
    "    smlad lr, r9, r2, lr\n"       \
    "    smlad lr, r10, r3, lr\n"      \
    "    smlad lr, r11, r12, lr\n"     \
    "    str lr, " place "\n"

_Static_assert(sizeof(tt_four16) == 144, "the offsets below");
_Static_assert(offsetof(tt_rows8, row) == 8 && offsetof(tt_rows8, rows) == 28 &&
                   offsetof(tt_rows8, w) == 36,
               "the offsets below");

__asm__("    .syntax unified\n"
        "    .thumb\n"

        TT_BEGIN(tt_dot8_quads_dsp)
        ENTER
        "    add r12, r1, r3, lsl #6\n"
        "    push {r3, r12}\n"
        "    lsls r3, r3, #31\n"
        "    beq 2f\n"
        QUAD
        "    ldr r12, [sp, #4]\n"
        "    cmp r1, r12\n"
        "    beq 3f\n"
        "2:\n"
        QUAD
        QUAD
        "    ldr r12, [sp, #4]\n"
        "    cmp r1, r12\n"
        "    bne 2b\n"
        "3:\n"
        LEAVE
        TT_END(tt_dot8_quads_dsp)

        TT_BEGIN(tt_rows8_dsp)
        "    push {r4-r11, lr}\n"
        ENTRY("r1")
        "    ldr r2, [r0, #4]\n"
        "    add r3, r2, r1, lsl #6\n"    /* the end of the tile */
        "    ldr r2, [r0, #36]\n"         /* w */
        "    push {r0, r3, r12}\n"
        "    mov r12, r0\n"
        "1:\n"
        "    ldm r12, {r0, r1, r3}\n"     /* bias, tile, row */
        "    ldr r11, [r0, r3, lsl #2]\n"
        WEIGHTS
        LANE_ON_BIAS("r4", "[r1], #64") LANE_ON_BIAS("r5", "[r1, #-56]")
        LANE_ON_BIAS("r6", "[r1, #-48]") LANE_ON_BIAS("r7", "[r1, #-40]")
        LANE_ON_BIAS("r8", "[r1, #-32]") LANE_ON_BIAS("r9", "[r1, #-24]")
        LANE_ON_BIAS("r10", "[r1, #-16]") LANE_ON_BIAS("r11", "[r1, #-8]")
        "    ldr pc, [sp, #8]\n"
        "2:\n"
        QUAD
        "5:\n"
        QUAD
        "6:\n"
        QUAD
        "7:\n"
        QUAD
        "    ldr r12, [sp, #4]\n"
        "    cmp r1, r12\n"
        "    bne 2b\n"
        "3:\n"
        "    ldr r12, [sp]\n"
        "    ldr r3, [r12, #8]\n"
        "    add r12, r12, #12\n"
        "    ldm r12, {r0, r1, r12, lr}\n" /* multiplier, zero, step, y */
        "    ldr r0, [r0, r3, lsl #2]\n"
        "    add lr, lr, r3\n"
        TWO_LANES_OUT("r4", "r5") TWO_LANES_OUT("r6", "r7")
        TWO_LANES_OUT("r8", "r9") TWO_LANES_OUT("r10", "r11")
        "    ldr r12, [sp]\n"
        "    add r3, r3, #1\n"
        "    ldrd r0, r1, [r12, #28]\n"   /* rows, surplus */
        "    str r3, [r12, #8]\n"
        "    sub r2, r2, r1\n"
        "    cmp r3, r0\n"
        "    bne 1b\n"
        "    str r2, [r12, #36]\n"
        "    add sp, sp, #12\n"
        "    pop {r4-r11, pc}\n"
        TT_END(tt_rows8_dsp)

        TT_BEGIN(tt_sums8_dsp)
        "    push {r4-r11, lr}\n"
        ENTRY("r3")
        "    add r3, r2, r3, lsl #3\n"    /* the end of the row */
        "    ldr lr, [sp, #36]\n"         /* tiles */
        "    push {r0, r2, r3, r12, lr}\n"
        "1:\n"
        WIDE_QUAD(FIRST_LANE)
        "    ldr pc, [sp, #12]\n"
        "2:\n"
        WIDE_QUAD(NEXT_LANE)
        "5:\n"
        WIDE_QUAD(NEXT_LANE)
        "6:\n"
        WIDE_QUAD(NEXT_LANE)
        "7:\n"
        WIDE_QUAD(NEXT_LANE)
        "    ldr r12, [sp, #8]\n"
        "    cmp r2, r12\n"
        "    bne 2b\n"
        "3:\n"
        "    ldrd r0, r2, [sp]\n"         /* sums, row */
        "    stm r0!, {r4-r11}\n"
        "    ldr r12, [sp, #16]\n"
        "    str r0, [sp]\n"
        "    subs r12, r12, #1\n"
        "    str r12, [sp, #16]\n"
        "    bne 1b\n"
        "    add sp, sp, #20\n"
        "    pop {r4-r11, pc}\n"
        TT_END(tt_sums8_dsp)

        TT_BEGIN(tt_sums16_dsp)
        "    push {r4-r11, lr}\n"
        "    ldm r1, {r4-r11}\n"
        "    add r2, r2, r2, lsl #3\n"
        "    add r2, r0, r2, lsl #4\n"   /* the end, 144 bytes for each four */
        "    push {r2}\n"
        "1:\n"
        SIXTEEN("[r0, #96]") SIXTEEN("[r0, #68]") SIXTEEN("[r0, #40]") SIXTEEN("[r0, #12]")
        "    add r0, r0, #16\n"
        "    ldr lr, [sp]\n"
        "    cmp r0, lr\n"
        "    bne 1b\n"
        "    add sp, sp, #4\n"
        "    pop {r4-r11, pc}\n"
        TT_END(tt_sums16_dsp)

        "    .text\n");
/* clang-format on */

#endif
