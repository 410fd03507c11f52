/* From sums to s8. Assembly for the reasons of tt_depthwise_conv2d_rows_dsp.c. */
#include "tt_depthwise_conv2d_store_dsp.h"

#include "tt_assembly_dsp.h"

#if defined(__ARM_FEATURE_SIMD32)

/* clang-format off */
/* r0 acc, r1 quads left, r2 output, r3 step, r4-r7 a quad, lr three steps. The frame: quads 0,
 * rows 4, acc_skip 8, skip 12. r12 is the job. */
#define ENTER_STORE           \
    "    push {r4-r11, lr}\n" \
    "    mov r12, r0\n"       \
    "    mov r0, r1\n"        \
    "    ldr r8, [r12], #4\n" \
    "    mov r9, r3\n"        \
    "    ldm r12, {r4-r7}\n"  \
    "    push {r4-r7}\n"      \
    "    mov r3, r8\n"        \
    "    mov r1, r4\n"        \
    "    add lr, r3, r3, lsl #1\n"

#define STORE_QUAD                    \
    "    subs r1, r1, #1\n"           \
    "    strb r4, [r2]\n"             \
    "    strb r5, [r2, r3]\n"         \
    "    strb r6, [r2, r3, lsl #1]\n" \
    "    strb r7, [r2, lr]\n"         \
    "    add r2, r2, r3, lsl #2\n"    \
    "    bne 1b\n"

#define NEXT_STORE              \
    "    ldm sp, {r1, r4-r6}\n" \
    "    subs r4, r4, #1\n"     \
    "    add r0, r0, r5\n"      \
    "    add r2, r2, r6\n"      \
    "    str r4, [sp, #4]\n"    \
    "    bne 1b\n"

/* r8 is the shift, r9 what moves its lowest bit that stays to the top. The half was added to the
 * sum: only a tie has no lower bits, and only a tie changes by taking that bit away, which makes
 * it even. */
#define ROUND(sum)                             \
    "    lsl r12, " sum ", r9\n"               \
    "    sub " sum ", " sum ", r12, lsr #31\n" \
    "    asr " sum ", " sum ", r8\n"

/* Leaves at 3 with a value beyond +-r10, r11 being twice r10. */
#define CHECK(value)                \
    "    add r12, " value ", r10\n" \
    "    cmp r12, r11\n"            \
    "    bhi 3f\n"

/* r9 is the peak. */
#define SATURATE(value)                            \
    "    eor r12, " value ", " value ", asr #31\n" \
    "    sub r12, r12, " value ", asr #31\n"       \
    "    cmp r12, r9\n"                            \
    "    it gt\n"                                  \
    "    movgt r9, r12\n"                          \
    "    cmp " value ", #127\n"                    \
    "    it gt\n"                                  \
    "    movgt " value ", #127\n"                  \
    "    cmn " value ", #127\n"                    \
    "    it lt\n"                                  \
    "    mvnlt " value ", #126\n"

/* A value up to the peak and 127 needs nothing: r10 is the lesser. */
#define LIMITS(peak)            \
    "    cmp " peak ", #127\n"  \
    "    ite lt\n"              \
    "    movlt r10, " peak "\n" \
    "    movge r10, #127\n"     \
    "    lsl r11, r10, #1\n"

__asm__("    .syntax unified\n"
        "    .thumb\n"

        /* r8 zero, r9 multiplier. */
        TT_BEGIN(tt_rows_requantize_dsp)
        ENTER_STORE
        "    ldr r8, [sp, #52]\n"
        "1:\n"
        "    ldm r0!, {r4-r7}\n"
        "    smmlar r4, r4, r9, r8\n"
        "    smmlar r5, r5, r9, r8\n"
        "    smmlar r6, r6, r9, r8\n"
        "    smmlar r7, r7, r9, r8\n"
        "    ssat r4, #8, r4\n"
        "    ssat r5, #8, r5\n"
        "    ssat r6, #8, r6\n"
        "    ssat r7, #8, r7\n"
        STORE_QUAD
        NEXT_STORE
        "    add sp, sp, #16\n"
        "    pop {r4-r11, pc}\n"
        TT_END(tt_rows_requantize_dsp)

        /* The address of the rounding lies behind the saved registers. */
        TT_BEGIN(tt_rows_round_dsp)
        "    push {r3}\n"
        ENTER_STORE
        "    ldrd r8, r12, [r9]\n"
        "    rsb r9, r8, #31\n"
        LIMITS("r12")
        "1:\n"
        "    ldm r0!, {r4-r7}\n"
        ROUND("r4") ROUND("r5") ROUND("r6") ROUND("r7")
        CHECK("r4") CHECK("r5") CHECK("r6") CHECK("r7")
        "2:\n"
        STORE_QUAD
        NEXT_STORE
        "    add sp, sp, #16\n"
        "    pop {r4-r11, lr}\n"
        "    add sp, sp, #4\n"
        "    bx lr\n"
        "3:\n"
        "    ldr r10, [sp, #52]\n"
        "    ldr r9, [r10, #4]\n"
        SATURATE("r4") SATURATE("r5") SATURATE("r6") SATURATE("r7")
        "    str r9, [r10, #4]\n"
        LIMITS("r9")
        "    rsb r9, r8, #31\n"
        "    b 2b\n"
        TT_END(tt_rows_round_dsp)

        "    .text\n");
/* clang-format on */

#endif
