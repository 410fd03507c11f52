/* The inner loops of tt_conv2d_mac_mve.h. */
#include "tt_conv2d_mac_mve.h"

#if defined(__ARM_FEATURE_MVE)

#include <arm_mve.h>

/* Up to three chunks of 16 inputs of two positions stay in six vector registers while the weights
 * of all outputs pass by, one load for two multiply-adds of 16 products. Sums lie in memory as
 * acc[output][position] between slices: LDM and STM move four at once. In assembly, because no
 * compiler makes these two, and VMLADAVA wants even registers. */
/* clang-format off */
#define TT_WEIGHTS(at) "vldrb.8 q6, [%[w]" at "\n"
/* Beyond the end of a row the lanes are 0: neither read nor counted. */
#define TT_WEIGHTS_TAIL(at) "vpst\nvldrbt.8 q6, [%[w]" at "\n"
#define TT_PRODUCTS(op, first, second, x0, x1) \
    op ".s8 " first ", q6, " x0 "\n" op ".s8 " second ", q6, " x1 "\n"
/* clang-format on */
#define TT_ADD "vmladava"
#define TT_NEXT_ROW "add %[w], %[w], %[step]\n"

#define TT_INPUTS_1 "vpstt\nvldrbt.8 q0, [%[x0]]\nvldrbt.8 q1, [%[x1]]\n"
#define TT_INPUTS_2                              \
    "vldrb.8 q0, [%[x0]]\nvldrb.8 q1, [%[x1]]\n" \
    "vpstt\nvldrbt.8 q2, [%[x0], #16]\nvldrbt.8 q3, [%[x1], #16]\n"
#define TT_INPUTS_3                                        \
    "vldrb.8 q0, [%[x0]]\nvldrb.8 q1, [%[x1]]\n"           \
    "vldrb.8 q2, [%[x0], #16]\nvldrb.8 q3, [%[x1], #16]\n" \
    "vpstt\nvldrbt.8 q4, [%[x0], #32]\nvldrbt.8 q5, [%[x1], #32]\n"

/* clang-format off */
#define TT_ROW_1(op, first, second) \
    TT_WEIGHTS_TAIL("]") TT_PRODUCTS(op, first, second, "q0", "q1") TT_NEXT_ROW
#define TT_ROW_2(op, load, first, second)      \
    TT_WEIGHTS("]")                            \
    TT_PRODUCTS(op, first, second, "q0", "q1") \
    load(", #16]") TT_PRODUCTS(TT_ADD, first, second, "q2", "q3") TT_NEXT_ROW
#define TT_ROW_3(op, load, first, second)          \
    TT_WEIGHTS("]")                                \
    TT_PRODUCTS(op, first, second, "q0", "q1")     \
    TT_WEIGHTS(", #16]")                           \
    TT_PRODUCTS(TT_ADD, first, second, "q2", "q3") \
    load(", #32]") TT_PRODUCTS(TT_ADD, first, second, "q4", "q5") TT_NEXT_ROW
/* Rows without gaps between them: the last load moves on to the next. */
#define TT_DENSE_ROW_2(first, second)                 \
    TT_WEIGHTS(", #16]")                              \
    TT_PRODUCTS("vmladav", first, second, "q2", "q3") \
    TT_WEIGHTS("], #32") TT_PRODUCTS(TT_ADD, first, second, "q0", "q1")
#define TT_DENSE_ROW_3(first, second)                 \
    TT_WEIGHTS(", #16]")                              \
    TT_PRODUCTS("vmladav", first, second, "q2", "q3") \
    TT_WEIGHTS(", #32]")                              \
    TT_PRODUCTS(TT_ADD, first, second, "q4", "q5")    \
    TT_WEIGHTS("], #48") TT_PRODUCTS(TT_ADD, first, second, "q0", "q1")

#define TT_BOTH(row, ...) row(__VA_ARGS__, "r0", "r2") row(__VA_ARGS__, "r4", "r6")
#define TT_LOAD_SUMS "ldmia %[acc], {r0, r2, r4, r6}\n"
#define TT_MAC_LOOP(inputs, body)                                                                  \
    __asm volatile("vctp.8 %[tail]\n" inputs "dls lr, %[pairs]\n"                                  \
                   "1:\n" body "stmia %[acc]!, {r0, r2, r4, r6}\n"                                 \
                   "le lr, 1b\n"                                                                   \
                   : [w] "+r"(w), [acc] "+r"(acc)                                                  \
                   : [pairs] "r"(slice->pairs), [step] "r"(slice->step), [tail] "r"(slice->tail),  \
                     [x0] "r"(x0), [x1] "r"(x1)                                                    \
                   : "r0", "r2", "r4", "r6", "lr", "q0", "q1", "q2", "q3", "q4", "q5", "q6", "cc", \
                     "memory")
/* clang-format on */

void tt_mac_slice_mve(const tt_mac_slice *slice, const int8_t *x0, const int8_t *x1)
{
    const int8_t *w = slice->w;
    int32_t *acc = slice->acc;
    switch (slice->form) {
    case 3 + TT_MAC_FIRST + TT_MAC_DENSE:
        /* clang-format off */
        TT_MAC_LOOP(TT_INPUTS_3, TT_DENSE_ROW_3("r0", "r2") TT_DENSE_ROW_3("r4", "r6"));
        /* clang-format on */
        break;
    case 3 + TT_MAC_FIRST + TT_MAC_TAIL:
        TT_MAC_LOOP(TT_INPUTS_3, TT_BOTH(TT_ROW_3, "vmladav", TT_WEIGHTS_TAIL));
        break;
    case 3 + TT_MAC_FIRST:
        TT_MAC_LOOP(TT_INPUTS_3, TT_BOTH(TT_ROW_3, "vmladav", TT_WEIGHTS));
        break;
    case 3 + TT_MAC_TAIL:
        TT_MAC_LOOP(TT_INPUTS_3, TT_LOAD_SUMS TT_BOTH(TT_ROW_3, TT_ADD, TT_WEIGHTS_TAIL));
        break;
    case 3:
        TT_MAC_LOOP(TT_INPUTS_3, TT_LOAD_SUMS TT_BOTH(TT_ROW_3, TT_ADD, TT_WEIGHTS));
        break;
    case 2 + TT_MAC_FIRST + TT_MAC_DENSE:
        /* clang-format off */
        TT_MAC_LOOP(TT_INPUTS_2, TT_DENSE_ROW_2("r0", "r2") TT_DENSE_ROW_2("r4", "r6"));
        /* clang-format on */
        break;
    case 2 + TT_MAC_FIRST + TT_MAC_TAIL:
        TT_MAC_LOOP(TT_INPUTS_2, TT_BOTH(TT_ROW_2, "vmladav", TT_WEIGHTS_TAIL));
        break;
    case 2 + TT_MAC_FIRST:
        TT_MAC_LOOP(TT_INPUTS_2, TT_BOTH(TT_ROW_2, "vmladav", TT_WEIGHTS));
        break;
    case 2 + TT_MAC_TAIL:
        TT_MAC_LOOP(TT_INPUTS_2, TT_LOAD_SUMS TT_BOTH(TT_ROW_2, TT_ADD, TT_WEIGHTS_TAIL));
        break;
    case 2:
        TT_MAC_LOOP(TT_INPUTS_2, TT_LOAD_SUMS TT_BOTH(TT_ROW_2, TT_ADD, TT_WEIGHTS));
        break;
    case 1 + TT_MAC_FIRST:
        TT_MAC_LOOP(TT_INPUTS_1, TT_BOTH(TT_ROW_1, "vmladav"));
        break;
    default:
        TT_MAC_LOOP(TT_INPUTS_1, TT_LOAD_SUMS TT_BOTH(TT_ROW_1, TT_ADD));
        break;
    }
}

/* Sum of x[j] * w[j] over j < count. */
static int32_t dot(size_t count, const int8_t *x, const int8_t *w)
{
    int32_t sum = 0;
    for (size_t j = 0; j < count; j += 16) {
        const mve_pred16_t inside = vctp8q((uint32_t)(count - j));
        sum = vmladavaq_s8(sum, vldrbq_z_s8(x + j, inside), vldrbq_z_s8(w + j, inside));
    }
    return sum;
}

void tt_mac_rows_mve(size_t count, const int8_t *x0, const int8_t *x1, const int8_t *w,
                     size_t outputs, int is_first, int32_t *acc)
{
    size_t chunks = (count + 15) / 16;
    if (outputs % 2 != 0) {
        const size_t o = outputs - 1;
        const int32_t sum0 = is_first ? 0 : acc[2 * o];
        const int32_t sum1 = is_first ? 0 : acc[2 * o + 1];
        acc[2 * o] = sum0 + dot(count, x0, w + o * count);
        acc[2 * o + 1] = sum1 + dot(count, x1, w + o * count);
        if (o == 0) {
            return;
        }
    }
    tt_mac_slice slice = {w, acc, outputs / 2, count, 16, is_first ? 3 + TT_MAC_FIRST : 3};
    for (; chunks > 4; chunks -= 3) {
        tt_mac_slice_mve(&slice, x0, x1);
        slice.w += 48;
        slice.form = 3;
        x0 += 48;
        x1 += 48;
    }
    if (chunks == 4) {
        slice.form -= 1;
        tt_mac_slice_mve(&slice, x0, x1);
        slice.w += 32;
        slice.form = 3;
        x0 += 32;
        x1 += 32;
        chunks = 2;
    }
    slice.form += (uint32_t)chunks - 3U;
    tt_end_slice(count, &slice);
    tt_mac_slice_mve(&slice, x0, x1);
}

#endif
