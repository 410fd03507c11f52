/* The two inner loops in which most of a training step goes by.
 *
 * Assembly, because eight sums, two pointers and four temporaries are all fourteen registers that there are; from
 * intrinsics gcc spills some of them in every turn and takes a third more instructions (docs/speed.md). The end of
 * the tile waits on the stack. At file scope, so that neither -O0 nor a frame pointer can take a register away.
 */
#include "tt_dot8_dsp.h"

#if defined(__ARM_FEATURE_SIMD32)

/* clang-format off */
#define ENTER                                                                                                         \
    "    push {r0, r4-r11, lr}\n"                                                                                     \
    "    ldm r0, {r4-r11}\n"

#define LEAVE                                                                                                         \
    "    ldr r0, [sp, #8]\n"                                                                                          \
    "    stm r0, {r4-r11}\n"                                                                                          \
    "    add sp, sp, #12\n"                                                                                           \
    "    pop {r4-r11, pc}\n"

#define BEGIN(name)                                                                                                   \
    "    .section .text." #name ", \"ax\", %progbits\n"                                                               \
    "    .balign 4\n"                                                                                                 \
    "    .global " #name "\n"                                                                                         \
    "    .type " #name ", %function\n"                                                                                \
    "    .thumb_func\n"                                                                                               \
    #name ":\n"

#define END(name) "    .size " #name ", . - " #name "\n"

/* 3 + 8 * 3 instructions for 32 multiply-adds: r3 and r0 hold the weights, r12 and lr a lane. */
#define LANE_OF_QUAD(sum, load)                                                                                       \
    "    ldrd r12, lr, " load "\n"                                                                                    \
    "    smlad " sum ", r3, r12, " sum "\n"                                                                           \
    "    smlad " sum ", r0, lr, " sum "\n"

#define QUAD                                                                                                          \
    "    ldr r0, [r2], #4\n"                                                                                          \
    "    sxtb16 r3, r0\n"                                                                                             \
    "    sxtb16 r0, r0, ror #8\n"                                                                                     \
    LANE_OF_QUAD("r4", "[r1], #64") LANE_OF_QUAD("r5", "[r1, #-56]") LANE_OF_QUAD("r6", "[r1, #-48]")                 \
    LANE_OF_QUAD("r7", "[r1, #-40]") LANE_OF_QUAD("r8", "[r1, #-32]") LANE_OF_QUAD("r9", "[r1, #-24]")                \
    LANE_OF_QUAD("r10", "[r1, #-16]") LANE_OF_QUAD("r11", "[r1, #-8]")

/* 1 + 8 * 3 instructions for 32 multiply-adds, where the weights are widened too. */
#define FIRST_LANE(sum, load)                                                                                         \
    "    ldrd r12, lr, " load "\n"                                                                                    \
    "    smuad " sum ", r3, r12\n"                                                                                    \
    "    smlad " sum ", r0, lr, " sum "\n"

#define NEXT_LANE(sum, load) LANE_OF_QUAD(sum, load)

#define WIDE_QUAD(LANE)                                                                                               \
    "    ldrd r3, r0, [r2], #8\n"                                                                                     \
    LANE("r4", "[r1], #64") LANE("r5", "[r1, #-56]") LANE("r6", "[r1, #-48]") LANE("r7", "[r1, #-40]")                \
    LANE("r8", "[r1, #-32]") LANE("r9", "[r1, #-24]") LANE("r10", "[r1, #-16]") LANE("r11", "[r1, #-8]")

/* 4 + 4 * 3 instructions for 16 multiply-adds: r0 holds the weights, r12 and lr two lanes. */
#define LANES_OF_PAIR(first, second, load)                                                                            \
    "    ldrd r12, lr, " load "\n"                                                                                    \
    "    smlad " first ", r0, r12, " first "\n"                                                                       \
    "    smlad " second ", r0, lr, " second "\n"

#define PAIR                                                                                                          \
    "    ldrsb r0, [r2]\n"                                                                                            \
    "    ldrsb r12, [r2, r3]\n"                                                                                       \
    "    add r2, r2, r3, lsl #1\n"                                                                                    \
    "    pkhbt r0, r0, r12, lsl #16\n"                                                                                \
    LANES_OF_PAIR("r4", "r5", "[r1], #32") LANES_OF_PAIR("r6", "r7", "[r1, #-24]")                                    \
    LANES_OF_PAIR("r8", "r9", "[r1, #-16]") LANES_OF_PAIR("r10", "r11", "[r1, #-8]")

/* tt_short_requantize_dsp of two lanes: r0 is m, r1 the count, r3 the offset, lr where they go, r12 the step. */
#define LANE_OUT(sum, place)                                                                                          \
    "    smmla " sum ", " sum ", r0, r3\n"                                                                            \
    "    asr " sum ", " sum ", r1\n"                                                                                  \
    "    ssat " sum ", #8, " sum "\n"                                                                                 \
    "    strb " sum ", " place "\n"

#define TWO_LANES_OUT(first, second)                                                                                  \
    LANE_OUT(first, "[lr]") LANE_OUT(second, "[lr, r12]")                                                             \
    "    add lr, lr, r12, lsl #1\n"

_Static_assert(offsetof(tt_rows8, shift) == 16 && offsetof(tt_rows8, rows) == 40, "the offsets below");

__asm__("    .syntax unified\n"
        "    .thumb\n"

        BEGIN(tt_dot8_quads_dsp)
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
        END(tt_dot8_quads_dsp)

        BEGIN(tt_rows8_dsp)
        "    push {r0, r4-r11, lr}\n"
        "    ldr r2, [r0, #32]\n"         /* w */
        "1:\n"
        "    ldr r12, [sp]\n"
        "    ldm r12, {r1, r3, lr}\n"     /* tile, tile_end, bias */
        "    ldr r4, [lr], #4\n"
        "    str lr, [r12, #8]\n"
        "    mov r5, r4\n"
        "    mov r6, r4\n"
        "    mov r7, r4\n"
        "    mov r8, r4\n"
        "    mov r9, r4\n"
        "    mov r10, r4\n"
        "    mov r11, r4\n"
        "    sub r3, r3, r1\n"
        "    lsls r3, r3, #25\n"          /* the parity of the quads, 64 bytes each */
        "    beq 2f\n"
        QUAD
        "    ldr r12, [sp]\n"
        "    ldr r12, [r12, #4]\n"
        "    cmp r1, r12\n"
        "    beq 3f\n"
        "2:\n"
        QUAD
        QUAD
        "    ldr r12, [sp]\n"
        "    ldr r12, [r12, #4]\n"
        "    cmp r1, r12\n"
        "    bne 2b\n"
        "3:\n"
        "    ldr r12, [sp]\n"
        "    ldrd r0, r1, [r12, #12]\n"   /* multiplier, shift */
        "    add r3, r0, #4\n"
        "    add lr, r1, #1\n"
        "    strd r3, lr, [r12, #12]\n"
        "    ldr r0, [r0]\n"
        "    ldrsb r1, [r1]\n"
        "    ldrd r3, lr, [r12, #20]\n"   /* twice_zero, y */
        "    mvn r1, r1\n"                /* -1 - shift */
        "    lsl r3, r3, r1\n"
        "    asr r3, r3, #1\n"
        "    ldr r12, [r12, #28]\n"       /* step */
        TWO_LANES_OUT("r4", "r5") TWO_LANES_OUT("r6", "r7") TWO_LANES_OUT("r8", "r9") TWO_LANES_OUT("r10", "r11")
        "    sub lr, lr, r12, lsl #3\n"
        "    add lr, lr, #1\n"
        "    ldr r12, [sp]\n"
        "    ldrd r0, r1, [r12, #36]\n"   /* surplus, rows */
        "    str lr, [r12, #24]\n"
        "    sub r2, r2, r0\n"
        "    subs r1, r1, #1\n"
        "    str r1, [r12, #40]\n"
        "    bne 1b\n"
        "    str r2, [r12, #32]\n"
        "    pop {r0, r4-r11, pc}\n"
        END(tt_rows8_dsp)

        BEGIN(tt_sums8_dsp)
        "    push {r4-r11, lr}\n"
        "    ldr r12, [sp, #36]\n"        /* tiles */
        "    push {r0, r2, r3, r12}\n"
        "1:\n"
        "    ldrd r2, r12, [sp, #4]\n"    /* row, quads */
        "    add r12, r2, r12, lsl #3\n"
        "    push {r12}\n"
        WIDE_QUAD(FIRST_LANE)
        "    ldr r12, [sp]\n"
        "    cmp r2, r12\n"
        "    beq 3f\n"
        "2:\n"
        WIDE_QUAD(NEXT_LANE)
        "    ldr r12, [sp]\n"
        "    cmp r2, r12\n"
        "    bne 2b\n"
        "3:\n"
        "    ldrd r12, r0, [sp], #4\n"    /* sums */
        "    stm r0!, {r4-r11}\n"
        "    ldr r12, [sp, #12]\n"
        "    str r0, [sp]\n"
        "    subs r12, r12, #1\n"
        "    str r12, [sp, #12]\n"
        "    bne 1b\n"
        "    add sp, sp, #16\n"
        "    pop {r4-r11, pc}\n"
        END(tt_sums8_dsp)

        BEGIN(tt_dot8_pairs_dsp)
        ENTER
        "    add r12, r1, r3, lsl #5\n"
        "    push {r3, r12}\n"
        "    lsls r0, r3, #31\n"
        "    ldr r3, [sp, #48]\n"
        "    beq 2f\n"
        PAIR
        "    ldr r12, [sp, #4]\n"
        "    cmp r1, r12\n"
        "    beq 3f\n"
        "2:\n"
        PAIR
        PAIR
        "    ldr r12, [sp, #4]\n"
        "    cmp r1, r12\n"
        "    bne 2b\n"
        "3:\n"
        LEAVE
        END(tt_dot8_pairs_dsp)

        "    .text\n");
/* clang-format on */

#endif
