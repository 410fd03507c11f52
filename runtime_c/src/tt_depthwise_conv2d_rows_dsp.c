/* The inner loops of depthwise convolutions. * Assembly, because four sums, the words of a quad,
 * a pair of weights and the pointers are all fourteen registers that there are, and because LDM
 * loads the words of a quad, or the state at the start of one, in one instruction. What changes
 * less often than a quad waits in a frame on the stack. At file scope, so that neither -O0 nor a
 * frame pointer can take a register away. */
#include "tt_depthwise_conv2d_rows_dsp.h"

#include "tt_assembly_dsp.h"

#if defined(__ARM_FEATURE_SIMD32)

/* clang-format off */
/* sum += pair . weights, and with the first (TB: top of x, bottom of w) or last weight (BT)
 * alone. */
#define MAC(sum, x, w) "    smlad " sum ", " x ", " w ", " sum "\n"
#define TB(sum, x, w) "    smlatb " sum ", " x ", " w ", " sum "\n"
#define BT(sum, x, w) "    smlabt " sum ", " x ", " w ", " sum "\n"

/* ---- 3x3: r0-r3 sums, r11 plane, r12 pitch, lr acc. The frame: taps at 0, row_skip 28,
 * quad_bytes 32, end 36, end of the row of quads 40. */
#define ENTER_3X3                      \
    "    push {r4-r11, lr}\n"          \
    "    mov lr, r3\n"                 \
    "    ldm r2, {r3-r9}\n"            \
    "    ldm r0, {r0, r2, r10, r12}\n" \
    "    mov r11, r1\n"                \
    "    add r10, r10, r1\n"           \
    "    push {r0, r2, r10, r11}\n"    \
    "    push {r3-r9}\n"               \
    "    add r10, r11, r2\n"

#define LEAVE_3X3                  \
    "    ldrd r4, r5, [sp, #28]\n" \
    "    ldr r6, [sp, #36]\n"      \
    "    add r11, r11, r4\n"       \
    "    add r10, r11, r5\n"       \
    "    cmp r11, r6\n"            \
    "    bne 2b\n"                 \
    "    add sp, sp, #44\n"        \
    "    pop {r4-r11, pc}\n"

/* r4-r7 hold a quad's words, r8 and r9 (w0, w1) and (w1, w2). */
#define ROW_3X3_STRIDE1                                                                   \
    TB("r0", "r4", "r8") MAC("r1", "r5", "r8") TB("r2", "r5", "r8") MAC("r3", "r6", "r8") \
    MAC("r0", "r5", "r9") BT("r1", "r6", "r9") MAC("r2", "r6", "r9") BT("r3", "r7", "r9")

#define QUAD_3X3_STRIDE1                                                                  \
    "    ldm sp, {r3, r8, r9}\n"                                                          \
    "    ldm r11, {r4-r7}\n"                                                              \
    "    smlatb r0, r4, r8, r3\n"                                                         \
    "    smlad r1, r5, r8, r3\n"                                                          \
    "    smlatb r2, r5, r8, r3\n"                                                         \
    "    smlad r3, r6, r8, r3\n"                                                          \
    MAC("r0", "r5", "r9") BT("r1", "r6", "r9") MAC("r2", "r6", "r9") BT("r3", "r7", "r9") \
    "    add r4, r11, r12\n"                                                              \
    "    ldrd r8, r9, [sp, #12]\n"                                                        \
    "    ldm r4, {r4-r7}\n"                                                               \
    ROW_3X3_STRIDE1                                                                       \
    "    add r4, r11, r12, lsl #1\n"                                                      \
    "    ldrd r8, r9, [sp, #20]\n"                                                        \
    "    ldm r4, {r4-r7}\n"                                                               \
    ROW_3X3_STRIDE1                                                                       \
    "    add r11, r11, #8\n"

/* r4-r8 hold a quad's words, r9 and r10 (w0, w1) and (w2, w3). */
#define ROW_3X3_STRIDE2                                                                     \
    MAC("r0", "r4", "r9") MAC("r1", "r5", "r9") MAC("r2", "r6", "r9") MAC("r3", "r7", "r9") \
    MAC("r0", "r5", "r10") MAC("r1", "r6", "r10") MAC("r2", "r7", "r10") MAC("r3", "r8", "r10")

#define QUAD_3X3_STRIDE2                                                                        \
    "    ldm sp, {r3, r9, r10}\n"                                                               \
    "    ldm r11, {r4-r8}\n"                                                                    \
    "    smlad r0, r4, r9, r3\n"                                                                \
    "    smlad r1, r5, r9, r3\n"                                                                \
    "    smlad r2, r6, r9, r3\n"                                                                \
    "    smlad r3, r7, r9, r3\n"                                                                \
    MAC("r0", "r5", "r10") MAC("r1", "r6", "r10") MAC("r2", "r7", "r10") MAC("r3", "r8", "r10") \
    "    add r4, r11, r12\n"                                                                    \
    "    ldrd r9, r10, [sp, #12]\n"                                                             \
    "    ldm r4, {r4-r8}\n"                                                                     \
    ROW_3X3_STRIDE2                                                                             \
    "    add r4, r11, r12, lsl #1\n"                                                            \
    "    ldrd r9, r10, [sp, #20]\n"                                                             \
    "    ldm r4, {r4-r8}\n"                                                                     \
    ROW_3X3_STRIDE2                                                                             \
    "    add r11, r11, #16\n"

/* ---- any number of rows: r0-r3 sums, r10 weights, r11 plane, r12 step, lr end of the weights.
 * The frame: the sum to begin with, four times, at 0, next quad 16, end of the quads 20, plane
 * 24, weights 28, acc 32. */
#define ENTER_ROWS                 \
    "    push {r4-r11, lr}\n"      \
    "    ldr r4, [r2], #4\n"       \
    "    ldm r0, {r5, r6, r12}\n"  \
    "    sub sp, sp, #36\n"        \
    "    strd r4, r4, [sp]\n"      \
    "    strd r4, r4, [sp, #8]\n"  \
    "    strd r5, r6, [sp, #16]\n" \
    "    strd r1, r2, [sp, #24]\n" \
    "    str r3, [sp, #32]\n"      \
    "2:\n"                         \
    "    ldm sp, {r0-r3, r5-r8}\n" \
    "    ldm r5!, {r4, r9, r10}\n" \
    "    str r5, [sp, #16]\n"      \
    "    add r11, r7, r4\n"        \
    "    add lr, r8, r10\n"        \
    "    add r10, r8, r9\n"        \
    "1:\n"

#define LEAVE_ROWS                 \
    "    cmp r10, lr\n"            \
    "    bne 1b\n"                 \
    "    ldr r6, [sp, #32]\n"      \
    "    ldrd r4, r5, [sp, #16]\n" \
    "    stm r6!, {r0-r3}\n"       \
    "    str r6, [sp, #32]\n"      \
    "    cmp r4, r5\n"             \
    "    bne 2b\n"                 \
    "    add sp, sp, #36\n"        \
    "    pop {r4-r11, pc}\n"

/* r4-r7 hold a quad's words. 12 multiplications in 18 instructions, of 20 weights by elements. */
#define ROW_5_STRIDE1                                                                     \
    "    ldm r11, {r4-r7}\n"                                                              \
    "    ldrd r8, r9, [r10], #8\n"                                                        \
    "    add r11, r11, r12\n"                                                             \
    MAC("r0", "r4", "r8") TB("r1", "r4", "r8") MAC("r2", "r5", "r8") TB("r3", "r5", "r8") \
    MAC("r0", "r5", "r9") MAC("r2", "r6", "r9")                                           \
    "    ldrd r8, r9, [r10], #8\n"                                                        \
    MAC("r1", "r5", "r8") MAC("r3", "r6", "r8")                                           \
    BT("r0", "r6", "r9") MAC("r1", "r6", "r9") BT("r2", "r7", "r9") MAC("r3", "r7", "r9")

/* r4, r5, r6 hold the first three words of a quad, then r4, r5, r7 the last three. */
#define ROW_7_STRIDE1                                                                       \
    "    ldm r11!, {r4-r6}\n"                                                               \
    "    ldrd r8, r9, [r10], #8\n"                                                          \
    TB("r0", "r4", "r8") MAC("r1", "r5", "r8") TB("r2", "r5", "r8") MAC("r3", "r6", "r8")   \
    MAC("r0", "r5", "r9") MAC("r2", "r6", "r9")                                             \
    "    ldm r11, {r4, r5, r7}\n"                                                           \
    "    ldrd r8, r9, [r10], #8\n"                                                          \
    "    add r11, r11, r12\n"                                                               \
    MAC("r1", "r6", "r8") MAC("r3", "r4", "r8") MAC("r0", "r6", "r9") MAC("r2", "r4", "r9") \
    "    ldrd r8, r9, [r10], #8\n"                                                          \
    MAC("r1", "r4", "r8") MAC("r3", "r5", "r8")                                             \
    MAC("r0", "r4", "r9") BT("r1", "r5", "r9") MAC("r2", "r5", "r9") BT("r3", "r7", "r9")

/* r4-r6 hold the weights, r7-r9 three words at a time. */
#define ROW_6_STRIDE2                                                 \
    "    ldm r10!, {r4-r6}\n"                                         \
    "    ldm r11!, {r7-r9}\n"                                         \
    MAC("r0", "r7", "r4") MAC("r0", "r8", "r5") MAC("r1", "r8", "r4") \
    MAC("r0", "r9", "r6") MAC("r1", "r9", "r5") MAC("r2", "r9", "r4") \
    "    ldm r11, {r7-r9}\n"                                          \
    "    add r11, r11, r12\n"                                         \
    MAC("r1", "r7", "r6") MAC("r2", "r7", "r5") MAC("r3", "r7", "r4") \
    MAC("r2", "r8", "r6") MAC("r3", "r8", "r5") MAC("r3", "r9", "r6")

/* r4-r7 hold the weights, r8 and r9 two words at a time. */
#define ROW_8_STRIDE2                                                                       \
    "    ldm r10!, {r4-r7}\n"                                                               \
    "    ldrd r8, r9, [r11]\n"                                                              \
    MAC("r0", "r8", "r4") MAC("r0", "r9", "r5") MAC("r1", "r9", "r4")                       \
    "    ldrd r8, r9, [r11, #8]\n"                                                          \
    MAC("r0", "r8", "r6") MAC("r1", "r8", "r5") MAC("r2", "r8", "r4")                       \
    MAC("r0", "r9", "r7") MAC("r1", "r9", "r6") MAC("r2", "r9", "r5") MAC("r3", "r9", "r4") \
    "    ldrd r8, r9, [r11, #16]\n"                                                         \
    MAC("r1", "r8", "r7") MAC("r2", "r8", "r6") MAC("r3", "r8", "r5")                       \
    MAC("r2", "r9", "r7") MAC("r3", "r9", "r6")                                             \
    "    ldr r8, [r11, #24]\n"                                                              \
    "    add r11, r11, r12\n"                                                               \
    MAC("r3", "r8", "r7")

/* ---- a map of 4x4 that fills its planes: x0, x1 and x2, x3 are a row. Taps in the padding are
 * left out. */

/* A row of x under a row of three weights: r10, r11 hold x. The first of a row of outputs
 * takes the sum to begin with from the stack. */
#define MAP4_3(load, w01, w12)                                                             \
    "    ldrd r10, r11, [r12" load "]\n"                                                   \
    MAC("r0", "r10", w12) MAC("r1", "r10", w01) TB("r2", "r10", w01) MAC("r3", "r11", w01) \
    BT("r1", "r11", w12) MAC("r2", "r11", w12)

#define MAP4_3_FIRST(load, w01, w12)     \
    "    ldr r3, [sp]\n"                 \
    "    ldrd r10, r11, [r12" load "]\n" \
    "    smlad r0, r10, " w12 ", r3\n"   \
    "    smlad r1, r10, " w01 ", r3\n"   \
    "    smlatb r2, r10, " w01 ", r3\n"  \
    "    smlad r3, r11, " w01 ", r3\n"   \
    BT("r1", "r11", w12) MAC("r2", "r11", w12)

/* A row under a row of five: r4, r5 hold x, r6-r9 (w0, w1), (w2, w3), (w1, w2), (w3, w4). */
#define MAP4_5                                                                             \
    "    ldrd r4, r5, [r10], #8\n"                                                         \
    "    ldm r11!, {r6-r9}\n"                                                              \
    MAC("r0", "r4", "r7") MAC("r1", "r4", "r8") MAC("r2", "r4", "r6") TB("r3", "r4", "r6") \
    BT("r0", "r5", "r9") MAC("r1", "r5", "r9") MAC("r2", "r5", "r7") MAC("r3", "r5", "r8")

__asm__("    .syntax unified\n"
        "    .thumb\n"

        TT_BEGIN(tt_rows_3x3_stride1_dsp)
        ENTER_3X3
        "2:\n"
        "1:\n"
        QUAD_3X3_STRIDE1
        "    stm lr!, {r0-r3}\n"
        "    cmp r11, r10\n"
        "    bne 1b\n"
        LEAVE_3X3
        TT_END(tt_rows_3x3_stride1_dsp)

        TT_BEGIN(tt_rows_3x3_stride2_dsp)
        ENTER_3X3
        "2:\n"
        "    str r10, [sp, #40]\n"
        "1:\n"
        QUAD_3X3_STRIDE2
        "    stm lr!, {r0-r3}\n"
        "    ldr r4, [sp, #40]\n"
        "    cmp r11, r4\n"
        "    bne 1b\n"
        LEAVE_3X3
        TT_END(tt_rows_3x3_stride2_dsp)

        TT_BEGIN(tt_rows_5_stride1_dsp)
        ENTER_ROWS
        ROW_5_STRIDE1
        LEAVE_ROWS
        TT_END(tt_rows_5_stride1_dsp)

        TT_BEGIN(tt_rows_7_stride1_dsp)
        ENTER_ROWS
        ROW_7_STRIDE1
        LEAVE_ROWS
        TT_END(tt_rows_7_stride1_dsp)

        TT_BEGIN(tt_rows_6_stride2_dsp)
        ENTER_ROWS
        ROW_6_STRIDE2
        LEAVE_ROWS
        TT_END(tt_rows_6_stride2_dsp)

        TT_BEGIN(tt_rows_8_stride2_dsp)
        ENTER_ROWS
        ROW_8_STRIDE2
        LEAVE_ROWS
        TT_END(tt_rows_8_stride2_dsp)

        /* r12 plane, lr acc, r4-r9 the weights. */
        TT_BEGIN(tt_map4_3x3_dsp)
        "    push {r4-r11, lr}\n"
        "    mov r12, r0\n"
        "    mov lr, r2\n"
        "    ldm r1, {r3-r9}\n"
        "    push {r3}\n"
        MAP4_3_FIRST("", "r6", "r7") MAP4_3(", #8", "r8", "r9")
        "    stm lr!, {r0-r3}\n"
        MAP4_3_FIRST("", "r4", "r5") MAP4_3(", #8", "r6", "r7") MAP4_3(", #16", "r8", "r9")
        "    stm lr!, {r0-r3}\n"
        MAP4_3_FIRST(", #8", "r4", "r5") MAP4_3(", #16", "r6", "r7") MAP4_3(", #24", "r8", "r9")
        "    stm lr!, {r0-r3}\n"
        MAP4_3_FIRST(", #16", "r4", "r5") MAP4_3(", #24", "r6", "r7")
        "    stm lr!, {r0-r3}\n"
        "    add sp, sp, #4\n"
        "    pop {r4-r11, pc}\n"
        TT_END(tt_map4_3x3_dsp)

        /* r10 plane, r11 weights, r12 acc. Rows of outputs call 4 or 3, for four or three rows of
         * weights. */
        TT_BEGIN(tt_map4_5x5_dsp)
        "    push {r4-r11, lr}\n"
        "    ldr r4, [r1]\n"
        "    mov r10, r0\n"
        "    add r11, r1, #4 + 2 * 16\n"
        "    mov r12, r2\n"
        "    sub sp, sp, #16\n"
        "    strd r4, r4, [sp]\n"
        "    strd r4, r4, [sp, #8]\n"
        "    ldm sp, {r0-r3}\n"
        "    bl 3f\n"
        "    sub r10, r10, #3 * 8\n"
        "    sub r11, r11, #4 * 16\n"
        "    bl 4f\n"
        "    sub r10, r10, #4 * 8\n"
        "    sub r11, r11, #5 * 16\n"
        "    bl 4f\n"
        "    sub r10, r10, #3 * 8\n"
        "    sub r11, r11, #4 * 16\n"
        "    bl 3f\n"
        "    add sp, sp, #16\n"
        "    pop {r4-r11, pc}\n"
        "4:\n"
        MAP4_5
        "3:\n"
        MAP4_5
        MAP4_5
        MAP4_5
        "    stm r12!, {r0-r3}\n"
        "    ldm sp, {r0-r3}\n"
        "    bx lr\n"
        TT_END(tt_map4_5x5_dsp)

        "    .text\n");
/* clang-format on */

#endif
