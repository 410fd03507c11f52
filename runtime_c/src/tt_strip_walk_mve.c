/* The loops of tt_strip_walk_mve.h. A window of up to 4x4 is four words: one gather load and one
 * VMLADAV of its 16 products, and the same load serves the output row below. */
#include "tt_strip_walk_mve.h"

#if defined(__ARM_FEATURE_MVE)

#include <arm_mve.h>

/* w is the vectors of weights and then the strips left. */
/* clang-format off */
#define TT_BEGIN(to, weights)                                              \
    "ldr r0, [%[job], #128]\n"                                             \
    "vmsr p0, r0\n"                                                        \
    "ldm %[job], {r1, r3, r8, r9}\n"                                       \
    "vldrw.32 q3, [%[job], " to "]\n" weights "ldr %[w], [%[job], #124]\n" \
    "2:\n"                                                                 \
    "vldrw.32 q0, [%[job], #24]\n"                                         \
    "vadd.i32 q0, q0, %[strip]\n"
/* clang-format on */
#define TT_LOOP                \
    "ldr lr, [%[job], #120]\n" \
    "dls lr, lr\n"             \
    "1:\n"
/* clang-format off */
#define TT_REQUANTIZE(v, multiplier) \
    "vadd.i32 " v ", " v ", r1\n"    \
    "vrmulh.s32 " v ", " v ", " multiplier "\n"
/* clang-format on */
#define TT_CLAMP                    \
    "vldrw.32 q1, [%[job], #88]\n"  \
    "vmax.s8 q2, q2, q1\n"          \
    "vldrw.32 q1, [%[job], #104]\n" \
    "vmin.s8 q2, q2, q1\n"
/* clang-format off */
#define TT_END(type)                   \
    "vpst\n"                           \
    "vstrbt." type " q2, [%[y], q3]\n" \
    "add %[y], %[y], r9\n"             \
    "le lr, 1b\n"                      \
    "ldr r0, [%[job], #16]\n"          \
    "ldr r2, [%[job], #132]\n"         \
    "add %[strip], %[strip], r0\n"     \
    "add %[y], %[y], r2\n"             \
    "subs %[w], %[w], #1\n"            \
    "bne 2b\n"
/* clang-format on */
#define TT_OPERANDS                                                                           \
    [y] "+r"(y), [strip] "+r"(strip),                                                         \
        [w] "+r"(w)                                                                           \
        : [job] "r"(job)                                                                      \
        : "r0", "r1", "r2", "r3", "r4", "r6", "r8", "r9", "lr", "q0", "q1", "q2", "q3", "q4", \
          "q5", "q6", "q7", "cc", "memory"

/* Four positions of two output rows. Lanes of the sums are positions 0, 2, 1, 3: so four
 * registers are enough. The weights of the second row are those of job->w[1]. */
/* clang-format off */
#define TT_2_WEIGHTS "vldrw.32 q4, [%[w]]\nvldrw.32 q5, [%[w], #64]\nvdup.32 q7, r3\n"
#define TT_PAIR_LOOP(advance, clamp)                                   \
    __asm volatile(TT_BEGIN("#56", TT_2_WEIGHTS) TT_LOOP               \
                   "vldrw.u32 q1, [q0, " advance "]!\n"                \
                   "vmladav.s8 r0, q1, q4\n"                           \
                   "vmladav.s8 r2, q1, q5\n"                           \
                   "vldrw.u32 q1, [q0, " advance "]!\n"                \
                   "vmladav.s8 r4, q1, q4\n"                           \
                   "vmladav.s8 r6, q1, q5\n"                           \
                   "vmov q2[2], q2[0], r0, r4\n"                       \
                   "vmov q6[2], q6[0], r2, r6\n"                       \
                   "vldrw.u32 q1, [q0, " advance "]!\n"                \
                   "vmladav.s8 r0, q1, q4\n"                           \
                   "vmladav.s8 r2, q1, q5\n"                           \
                   "vldrw.u32 q1, [q0, " advance "]!\n"                \
                   "vmladav.s8 r4, q1, q4\n"                           \
                   "vmladav.s8 r6, q1, q5\n"                           \
                   "vmov q2[3], q2[1], r0, r4\n"                       \
                   "vmov q6[3], q6[1], r2, r6\n"                       \
                   TT_REQUANTIZE("q2", "q7") TT_REQUANTIZE("q6", "q7") \
                   "vqmovnb.s32 q2, q2\n"                              \
                   "vqmovnt.s32 q2, q6\n"                              \
                   "vqadd.s16 q2, q2, r8\n"                            \
                   "vqmovnb.s16 q2, q2\n" clamp TT_END("16")           \
                   : TT_OPERANDS)

/* Four positions of one output row; position(acc) gives the sum of the next. */
#define TT_ROW_LOOP(position, weights, clamp)                                   \
    __asm volatile(TT_BEGIN("#72", weights##_WEIGHTS) weights##_ADDRESS TT_LOOP \
                   position("r0") position("r2") position("r4") position("r6")  \
                   "vmov q2[2], q2[0], r0, r4\n"                                \
                   "vmov q2[3], q2[1], r2, r6\n" weights##_MULTIPLIER           \
                   "vqmovnb.s32 q2, q2\n"                                       \
                   "vqadd.s16 q2, q2, r8\n"                                     \
                   "vqmovnb.s16 q2, q2\n" clamp TT_END("32")                    \
                   : TT_OPERANDS)
#define TT_WORDS(at) "vldrw.u32 q1, [" at "\n"
#define TT_FIRST(acc) "vmladav.s8 " acc ", q1, q4\n"
#define TT_FURTHER(acc, w) "vmladava.s8 " acc ", q1, " w "\n"
#define TT_1_WEIGHTS "vldrw.32 q4, [%[w]]\nvdup.32 q7, r3\n"
#define TT_1_ADDRESS ""
#define TT_1_MULTIPLIER TT_REQUANTIZE("q2", "q7")
#define TT_POSITION_1(acc) TT_WORDS("q0, #64]!") TT_FIRST(acc)
#define TT_DOUBLE_1(acc) TT_WORDS("q0, #128]!") TT_FIRST(acc)
/* clang-format on */
/* The address vectors stand at the second and the third load of the position before. */
#define TT_3_WEIGHTS "vldrw.32 q4, [%[w]]\nvldrw.32 q5, [%[w], #16]\nvldrw.32 q6, [%[w], #32]\n"
#define TT_3_ADDRESS "vldrw.32 q7, [%[job], #40]\nvadd.i32 q7, q7, %[strip]\n"
/* No register is free for it all the time. */
/* clang-format off */
#define TT_3_MULTIPLIER "vdup.32 q1, r3\n" TT_REQUANTIZE("q2", "q1")
#define TT_POSITION_3(acc) \
    TT_WORDS("q0, #64]")   \
    TT_FIRST(acc)          \
    TT_WORDS("q0, #128]!") \
    TT_FURTHER(acc, "q5")  \
    TT_WORDS("q7, #128]!") \
    TT_FURTHER(acc, "q6")
#define TT_DOUBLE_3(acc)   \
    TT_WORDS("q0, #192]")  \
    TT_FIRST(acc)          \
    TT_WORDS("q0, #256]!") \
    TT_FURTHER(acc, "q5")  \
    TT_WORDS("q7, #256]!") \
    TT_FURTHER(acc, "q6")
/* The address vector stands at the last load of the position before, 576 bytes behind its first. */
#define TT_4_WEIGHTS TT_3_WEIGHTS "vldrw.32 q7, [%[w], #48]\n"
#define TT_4_ADDRESS ""
#define TT_4_MULTIPLIER TT_3_MULTIPLIER
#define TT_POSITION_4(acc) \
    TT_WORDS("q0, #-448]") \
    TT_FIRST(acc)          \
    TT_WORDS("q0, #-384]") \
    TT_FURTHER(acc, "q5")  \
    TT_WORDS("q0, #64]")   \
    TT_FURTHER(acc, "q6")  \
    TT_WORDS("q0, #128]!") \
    TT_FURTHER(acc, "q7")
#define TT_DOUBLE_4(acc)   \
    TT_WORDS("q0, #-320]") \
    TT_FIRST(acc)          \
    TT_WORDS("q0, #-256]") \
    TT_FURTHER(acc, "q5")  \
    TT_WORDS("q0, #192]")  \
    TT_FURTHER(acc, "q6")  \
    TT_WORDS("q0, #256]!") \
    TT_FURTHER(acc, "q7")
/* clang-format on */

/* The forms of a walk with so many vectors a window. */
#define TT_ROW_FORMS(vectors)                                       \
    case vectors:                                                   \
        TT_ROW_LOOP(TT_POSITION_##vectors, TT_##vectors, "");       \
        break;                                                      \
    case vectors + TT_WALK_CLAMPED:                                 \
        TT_ROW_LOOP(TT_POSITION_##vectors, TT_##vectors, TT_CLAMP); \
        break;                                                      \
    case vectors + TT_WALK_DOUBLE:                                  \
        TT_ROW_LOOP(TT_DOUBLE_##vectors, TT_##vectors, "");         \
        break;                                                      \
    case vectors + TT_WALK_DOUBLE + TT_WALK_CLAMPED:                \
        TT_ROW_LOOP(TT_DOUBLE_##vectors, TT_##vectors, TT_CLAMP);   \
        break;

void tt_take_walk_mve(tt_lane_job *job, const tt_walk *walk, const int8_t *strip, int8_t *y)
{
    vstrwq_u32(&job->groups, vldrwq_u32(&walk->groups));
    const int8_t *w = job->w[0][0] + walk->w_offset;
    strip += walk->strip_offset;
    y += walk->y_offset;
    switch (walk->form) {
    case 2:
        TT_PAIR_LOOP("#64", "");
        break;
    case 2 + TT_WALK_CLAMPED:
        TT_PAIR_LOOP("#64", TT_CLAMP);
        break;
    case 2 + TT_WALK_DOUBLE:
        TT_PAIR_LOOP("#128", "");
        break;
    case 2 + TT_WALK_DOUBLE + TT_WALK_CLAMPED:
        TT_PAIR_LOOP("#128", TT_CLAMP);
        break;
        TT_ROW_FORMS(1)
        TT_ROW_FORMS(3)
        TT_ROW_FORMS(4)
    default:
        break;
    }
}

#endif
