/* The inner loops of convolutions and dense layers. */
#include "tt_tile.h"

#if TT_VECTORS

void tt_four_positions(size_t count, size_t depth, const tt_operand *x, size_t rows,
                       const int8_t *w, const int32_t *bias, int32_t *sums)
{
    const tt_operand *x1 = x + depth;
    const tt_operand *x2 = x1 + depth;
    const tt_operand *x3 = x2 + depth;
    for (; rows > 0; rows--, w += count, sums += TT_POSITIONS) {
        int32_t sum0 = 0;
        int32_t sum1 = 0;
        int32_t sum2 = 0;
        int32_t sum3 = 0;
        for (size_t j = 0; j < count; j++) {
            const int16_t weight = w[j];
            sum0 += weight * x[j];
            sum1 += weight * x1[j];
            sum2 += weight * x2[j];
            sum3 += weight * x3[j];
        }
        sums[0] = (bias == NULL ? sums[0] : *bias) + sum0;
        sums[1] = (bias == NULL ? sums[1] : *bias) + sum1;
        sums[2] = (bias == NULL ? sums[2] : *bias) + sum2;
        sums[3] = (bias == NULL ? sums[3] : *bias) + sum3;
        bias = bias == NULL ? NULL : bias + 1;
    }
}

void tt_one_position(size_t count, const tt_operand *x, size_t rows, const int8_t *w,
                     const int32_t *bias, int32_t *sums)
{
    for (; rows > 0; rows--, w += count, sums++) {
        int32_t sum = 0;
        for (size_t j = 0; j < count; j++) {
            sum += (int16_t)w[j] * x[j];
        }
        *sums = (bias == NULL ? *sums : *bias) + sum;
        bias = bias == NULL ? NULL : bias + 1;
    }
}

#else

/* The sums of four positions. A structure, because compilers keep its members in registers. */
typedef struct {
    int32_t p0, p1, p2, p3;
} four;

static inline four start(const int32_t *bias, const int32_t *sums)
{
    return bias == NULL ? (four){sums[0], sums[1], sums[2], sums[3]}
                        : (four){*bias, *bias, *bias, *bias};
}

static inline void store(int32_t *sums, four from)
{
    sums[0] = from.p0;
    sums[1] = from.p1;
    sums[2] = from.p2;
    sums[3] = from.p3;
}

/* What one weight adds. */
static inline four add_products(four to, int32_t weight, const tt_operand *x)
{
    return (four){to.p0 + weight * x[0], to.p1 + weight * x[1], to.p2 + weight * x[2],
                  to.p3 + weight * x[3]};
}

/* Two terms a turn: the loop's own instructions would be a fifth of it otherwise. */
static inline four one_row(size_t count, const tt_operand *x, const int8_t *w, four acc)
{
    for (; count >= 2; count -= 2, w += 2, x += 2 * TT_POSITIONS) {
        acc = add_products(acc, w[0], x);
        acc = add_products(acc, w[1], x + TT_POSITIONS);
    }
    return count != 0 ? add_products(acc, w[0], x) : acc;
}

#if !TT_SHORT_PRODUCTS
/* Both rows share the operands that are loaded, which takes registers that a Cortex-M0 has not. */
static inline void two_rows(size_t count, const tt_operand *x, const int8_t *w, four *upper,
                            four *lower)
{
    const size_t step = count;
    for (; count >= 2; count -= 2, w += 2, x += 2 * TT_POSITIONS) {
        *upper = add_products(*upper, w[0], x);
        *lower = add_products(*lower, w[step], x);
        *upper = add_products(*upper, w[1], x + TT_POSITIONS);
        *lower = add_products(*lower, w[step + 1], x + TT_POSITIONS);
    }
    if (count != 0) {
        *upper = add_products(*upper, w[0], x);
        *lower = add_products(*lower, w[step], x);
    }
}
#endif

void tt_four_positions(size_t count, size_t depth, const tt_operand *x, size_t rows,
                       const int8_t *w, const int32_t *bias, int32_t *sums)
{
    (void)depth;
#if !TT_SHORT_PRODUCTS
    for (; rows >= 2; rows -= 2, w += 2 * count, sums += 2 * TT_POSITIONS) {
        four upper = start(bias, sums);
        four lower = start(bias == NULL ? NULL : bias + 1, sums + TT_POSITIONS);
        two_rows(count, x, w, &upper, &lower);
        store(sums, upper);
        store(sums + TT_POSITIONS, lower);
        bias = bias == NULL ? NULL : bias + 2;
    }
#endif
    for (; rows > 0; rows--, w += count, sums += TT_POSITIONS) {
        store(sums, one_row(count, x, w, start(bias, sums)));
        bias = bias == NULL ? NULL : bias + 1;
    }
}

void tt_one_position(size_t count, const tt_operand *x, size_t rows, const int8_t *w,
                     const int32_t *bias, int32_t *sums)
{
    for (; rows >= 4; rows -= 4, w += 4 * count, sums += 4) {
        const int8_t *weights = w;
        const int32_t *from = bias == NULL ? sums : bias;
        four acc = {from[0], from[1], from[2], from[3]};
        for (size_t j = 0; j < count; j++, weights++) {
            const tt_operand operand = x[j];
            acc.p0 += weights[0] * operand;
            acc.p1 += weights[count] * operand;
            acc.p2 += weights[2 * count] * operand;
            acc.p3 += weights[3 * count] * operand;
        }
        store(sums, acc);
        bias = bias == NULL ? NULL : bias + 4;
    }
    for (; rows > 0; rows--, w += count, sums++) {
        int32_t sum = bias == NULL ? *sums : *bias;
        for (size_t j = 0; j < count; j++) {
            sum += w[j] * x[j];
        }
        *sums = sum;
        bias = bias == NULL ? NULL : bias + 1;
    }
}

#endif
