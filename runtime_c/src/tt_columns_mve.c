/* The loops of tt_columns_mve.h. */
#include "tt_columns_mve.h"

#if defined(__ARM_FEATURE_MVE)

#include "tt_gradient_mve.h"

/* The sums of six columns at one position, the next r1. In assembly for LDM and STM, and VMLADAVA's
 * even registers. */
/* clang-format off */
#define TT_POSITION(store)                \
    "ldm r1, {r0, r2, r4, r6, r8, r10}\n" \
    "vldrh.16 q6, [%[g]], #16\n"          \
    "vmladava.s16 r0, q6, q0\n"           \
    "vmladava.s16 r2, q6, q1\n"           \
    "vmladava.s16 r4, q6, q2\n"           \
    "vmladava.s16 r6, q6, q3\n"           \
    "vmladava.s16 r8, q6, q4\n"           \
    "vmladava.s16 r10, q6, q5\n" store
#define TT_COLUMNS_LOOP(positions)                                                            \
    __asm volatile("vldrh.16 q7, [%[run], #40]\n"                                             \
                   "2:\n"                                                                     \
                   "ldm %[run], {r0, r2, r4, r6, r8, r10, lr}\n"                              \
                   "add r0, %[w]\n"                                                           \
                   "add r2, %[w]\n"                                                           \
                   "add r4, %[w]\n"                                                           \
                   "add r6, %[w]\n"                                                           \
                   "add r8, %[w]\n"                                                           \
                   "add r10, %[w]\n"                                                          \
                   "vctp.16 %[outputs]\n"                                                     \
                   "vpstttt\n"                                                                \
                   "vldrbt.s16 q0, [r0, q7]\n"                                                \
                   "vldrbt.s16 q1, [r2, q7]\n"                                                \
                   "vldrbt.s16 q2, [r4, q7]\n"                                                \
                   "vldrbt.s16 q3, [r6, q7]\n"                                                \
                   "vpstt\n"                                                                  \
                   "vldrbt.s16 q4, [r8, q7]\n"                                                \
                   "vldrbt.s16 q5, [r10, q7]\n"                                               \
                   "ldr r1, [%[run], #56]\n" positions                                        \
                   "ldrd r0, r2, [%[run], #32]\n"                                             \
                   "add %[g], %[g], r0\n"                                                     \
                   "add %[w], %[w], r2\n"                                                     \
                   "subs %[outputs], %[outputs], #8\n"                                        \
                   "bgt 2b\n"                                                                 \
                   : [w] "+r"(w), [g] "+r"(g), [outputs] "+r"(outputs)                        \
                   : [run] "r"(run)                                                           \
                   : "r0", "r1", "r2", "r3", "r4", "r6", "r8", "r10", "lr", "q0", "q1", "q2", \
                     "q3", "q4", "q5", "q6", "q7", "cc", "memory")
/* clang-format on */

void tt_add_columns_mve(const tt_run *run, int32_t outputs, const int8_t *w, const int16_t *g)
{
    if (run->acc_step == sizeof(int32_t[TT_RUN_COLUMNS])) {
        /* Two positions a turn, after the odd one. */
        /* clang-format off */
        TT_COLUMNS_LOOP("lsrs r3, lr, #1\n"
                        "bcc 3f\n" TT_POSITION("stmia r1!, {r0, r2, r4, r6, r8, r10}\n")
                        "3:\n"
                        "wls lr, r3, 4f\n"
                        "1:\n" TT_POSITION("stmia r1!, {r0, r2, r4, r6, r8, r10}\n")
                        TT_POSITION("stmia r1!, {r0, r2, r4, r6, r8, r10}\n")
                        "le lr, 1b\n"
                        "4:\n");
    } else {
        TT_COLUMNS_LOOP("ldr r3, [%[run], #28]\n"
                        "dls lr, lr\n"
                        "1:\n" TT_POSITION("stm r1, {r0, r2, r4, r6, r8, r10}\nadd r1, r3\n")
                        "le lr, 1b\n");
        /* clang-format on */
    }
}

int32_t tt_round_fours_mve(const tt_target *target, size_t fours, const int32_t *acc, int32_t shift,
                           int32_t peak, size_t step, int8_t *dx)
{
    /* clang-format off */
#define TT_ROUND_PAIR(to)                                                       \
    "vldrw.32 q0, [%[acc]], #16\n"                                              \
    "vldrw.32 q1, [%[acc]], #16\n" TT_RH("q0", "q2", "q3", "%[down]", "%[one]") \
        TT_RH("q1", "q2", "q3", "%[down]", "%[one]")                            \
    "vmaxav.s32 %[peak], q0\n"                                                  \
    "vmaxav.s32 %[peak], q1\n"                                                  \
    "vqmovnb.s32 q0, q0\n"                                                      \
    "vqmovnt.s32 q0, q1\n"                                                      \
    "vqmovnb.s16 q0, q0\n"                                                      \
    "vmax.s8 q0, q0, q4\n"                                                      \
    "vstrb.16 q0, [%[dx], " to "]\n"
    __asm volatile("vldrh.16 q5, [%[target]]\n"
                   "vldrh.16 q6, [%[target], #16]\n"
                   "vldrh.16 q7, [%[target], #32]\n"
                   "vldrw.32 q3, [%[target], #48]\n"
                   "vldrw.32 q4, [%[target], #64]\n"
                   "dls lr, %[fours]\n"
                   "1:\n" TT_ROUND_PAIR("q5") TT_ROUND_PAIR("q6") TT_ROUND_PAIR("q7")
                   "add %[dx], %[dx], %[step]\n"
                   "le lr, 1b\n"
                   : [acc] "+r"(acc), [dx] "+r"(dx), [peak] "+r"(peak)
                   : [target] "r"(target), [fours] "r"(fours), [down] "r"(-shift), [one] "r"(1),
                     [step] "r"(step)
                   : "lr", "q0", "q1", "q2", "q3", "q4", "q5", "q6", "q7", "cc", "memory");
    /* clang-format on */
    return peak;
}

#endif
