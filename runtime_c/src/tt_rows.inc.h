/* Body of tt_rows.c, for one kind of sum: TT_SUFFIX s32 or f32. */

#if TT_VECTORS

void TT_ROWS_FN(tt_add_rows_)(size_t count, const TT_ROW *rows, size_t positions, size_t columns,
                              const int8_t *w, TT_ROWS_SUM *sums)
{
    for (; count > 0; count--, rows++) {
        const int8_t *restrict row = w + rows->offset;
        for (size_t p = 0; p < positions; p++) {
            const TT_ROWS_FACTOR factored = (TT_ROWS_FACTOR)rows->factored[p];
            TT_ROWS_SUM *restrict sum = sums + p * columns;
            for (size_t c = 0; c < columns; c++) {
                sum[c] += factored * (TT_ROWS_FACTOR)row[c];
            }
        }
    }
}

#else

/* The sums of a column for four inputs, or of four columns for one. A structure, because compilers
 * keep its members in registers. */
typedef struct {
    TT_ROWS_SUM p0, p1, p2, p3;
} TT_ROWS_FN(four_);

static inline TT_ROWS_FN(four_) TT_ROWS_FN(load_)(const TT_ROWS_SUM *sums)
{
    return (TT_ROWS_FN(four_)){sums[0], sums[1], sums[2], sums[3]};
}

static inline void TT_ROWS_FN(store_)(TT_ROWS_SUM *sums, TT_ROWS_FN(four_) from)
{
    sums[0] = from.p0;
    sums[1] = from.p1;
    sums[2] = from.p2;
    sums[3] = from.p3;
}

static inline TT_ROWS_FN(four_)
    TT_ROWS_FN(add_products_)(TT_ROWS_FN(four_) to, TT_ROWS_SUM weight, const TT_ROW *row)
{
    return (TT_ROWS_FN(four_)){to.p0 + row->factored[0] * weight, to.p1 + row->factored[1] * weight,
                               to.p2 + row->factored[2] * weight,
                               to.p3 + row->factored[3] * weight};
}

static void TT_ROWS_FN(one_input_)(size_t count, const TT_ROW *rows, size_t columns,
                                   const int8_t *w, TT_ROWS_SUM *sums)
{
    const TT_ROW *end = rows + count;
    for (; columns >= 4; columns -= 4, w += 4, sums += 4) {
        TT_ROWS_FN(four_) acc = TT_ROWS_FN(load_)(sums);
        for (const TT_ROW *row = rows; row < end; row++) {
            const int8_t *weights = w + row->offset;
            const TT_ROWS_SUM factored = row->factored[0];
            acc.p0 += factored * (TT_ROWS_SUM)weights[0];
            acc.p1 += factored * (TT_ROWS_SUM)weights[1];
            acc.p2 += factored * (TT_ROWS_SUM)weights[2];
            acc.p3 += factored * (TT_ROWS_SUM)weights[3];
        }
        TT_ROWS_FN(store_)(sums, acc);
    }
    for (; columns > 0; columns--, w++, sums++) {
        for (const TT_ROW *row = rows; row < end; row++) {
            *sums += row->factored[0] * (TT_ROWS_SUM)w[row->offset];
        }
    }
}

void TT_ROWS_FN(tt_add_rows_)(size_t count, const TT_ROW *rows, size_t positions, size_t columns,
                              const int8_t *w, TT_ROWS_SUM *sums)
{
    const TT_ROW *end = rows + count;
    if (positions == 1) {
        TT_ROWS_FN(one_input_)(count, rows, columns, w, sums);
        return;
    }
#if !TT_SHORT_PRODUCTS
    /* Two columns share the products' other operands, which takes registers that a Cortex-M0 has
     * not. */
    for (; columns >= 2; columns -= 2, w += 2, sums += 2 * TT_POSITIONS) {
        TT_ROWS_FN(four_) left = TT_ROWS_FN(load_)(sums);
        TT_ROWS_FN(four_) right = TT_ROWS_FN(load_)(sums + TT_POSITIONS);
        for (const TT_ROW *row = rows; row < end; row++) {
            const int8_t *weights = w + row->offset;
            const TT_ROWS_SUM w_left = (TT_ROWS_SUM)weights[0];
            const TT_ROWS_SUM w_right = (TT_ROWS_SUM)weights[1];
            left = TT_ROWS_FN(add_products_)(left, w_left, row);
            right = TT_ROWS_FN(add_products_)(right, w_right, row);
        }
        TT_ROWS_FN(store_)(sums, left);
        TT_ROWS_FN(store_)(sums + TT_POSITIONS, right);
    }
#endif
    for (; columns > 0; columns--, w++, sums += TT_POSITIONS) {
        TT_ROWS_FN(four_) acc = TT_ROWS_FN(load_)(sums);
        for (const TT_ROW *row = rows; row < end; row++) {
            acc = TT_ROWS_FN(add_products_)(acc, (TT_ROWS_SUM)w[row->offset], row);
        }
        TT_ROWS_FN(store_)(sums, acc);
    }
}

#endif
