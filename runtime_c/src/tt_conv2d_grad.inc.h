/* Gradients of tt_conv2d.c, for one dtype. */

/* Types of this dtype. */
#define backward_call TT_FN(backward_call_, )
#define weight_pair TT_FN(pair_, )

/* One call of an input gradient, and the tile of inputs that it is at: `positions` inputs of row
 * ih, columns iw, iw + stride_w and so on, which the same taps of neighbouring outputs read. */
typedef struct {
    const tt_window *window;
    const tt_segment *segments;
    size_t segment_count;
    const tt_factors *factors;
    const TT_GRAD *g;
    TT_GRAD *dx;
    int32_t *slices; /* sums to which slices of the outputs add; NULL where dx is written */
    TT_LOOP(tt_row_) *rows;
    size_t most; /* rows that may be listed at a time */
    /* Of all columns, where a window has several taps or rows are not listed at once. */
    TT_ACC *sums;
    size_t group, positions;
    uint32_t ih, iw;
} backward_call;

/* Lists the rows of weights that tap (kh, kw) brings to the tile, of up to call->most outputs from
 * `first` of the group on: those with a product that is not 0. */
static size_t TT_FN(list_rows_, )(const backward_call *call, uint32_t kh, uint32_t kw, size_t first)
{
    const tt_window *window = call->window;
    const size_t outputs = window->out_c / window->groups;
    const size_t taps = taps_of(window);
    const int32_t oh = tt_output_row(window, call->ih, kh);
    const int32_t reached =
        (int32_t)(call->iw + window->pad_left) - (int32_t)(kw * window->dilation_w);
    const int32_t stride = window->stride_w;
    if (oh < 0 || (stride != 1 && reached % stride != 0)) {
        return 0;
    }
    /* Of the outputs ow, ow + 1, ... some may lie outside. */
    const int32_t ow = stride == 1 ? reached : reached / stride;
    const int32_t begin = ow < 0 ? -ow : 0;
    const int32_t left = (int32_t)window->out_w - ow;
    const int32_t end = left < (int32_t)call->positions ? left : (int32_t)call->positions;
    const size_t last = outputs - first < call->most ? outputs : first + call->most;
    size_t count = 0;
    for (size_t o = call->group * outputs + first; begin < end && o < call->group * outputs + last;
         o++) {
        const TT_GRAD *g =
            call->g + ((size_t)oh * window->out_w + (size_t)(ow + begin)) * window->out_c + o;
        TT_LOOP(tt_row_) *row = &call->rows[count];
        size_t found = 0;
        for (size_t p = 0; p < TT_POSITIONS; p++) {
            row->factored[p] = 0;
        }
        for (int32_t p = begin; p < end; p++, g += window->out_c) {
            const TT_FACTORED factored = TT_FN(tt_factored_, )(*g, call->factors, o);
            row->factored[p] = factored;
            found |= factored != 0;
        }
        row->row = (uint32_t)(o * taps + (size_t)kh * window->kernel_w + kw);
        count += found;
    }
    return count;
}

/* Where the rows lie in the weights of a segment. */
static void TT_FN(locate_rows_, )(size_t count, TT_LOOP(tt_row_) *rows, size_t row_size)
{
    for (; count > 0; count--, rows++) {
        rows->offset = (uint32_t)(rows->row * row_size);
    }
}

/* dx of `columns` channels of a segment, from column j on, at the tile; `at` is the place of the
 * group's first channel in the first input. */
static void TT_FN(round_sums_, )(const backward_call *call, const tt_segment *segment, size_t j,
                                 size_t columns, const TT_ACC *sums, tt_rounding *rounding,
                                 size_t at)
{
    const size_t step = (size_t)call->window->stride_w * call->window->in_c;
    const size_t column_step = tt_column_step(call->positions);
    const size_t sums_step = tt_sums_step(columns);
    tt_rounding local = *rounding;
    for (size_t c = 0; c < columns; c++, sums += column_step) {
        const size_t place = at + (segment->channels == NULL ? j + c : segment->channels[j + c]);
        if (call->slices != NULL) {
            for (size_t p = 0; p < call->positions; p++) {
                call->slices[place + p * step] += (int32_t)sums[p * sums_step];
            }
            continue;
        }
        TT_GRAD *to = call->dx + place;
        for (size_t p = 0; p < call->positions; p++, to += step) {
            *to = TT_FN(tt_rounded_, )(sums[p * sums_step], &local);
        }
    }
    *rounding = local;
}

/* Windows of one tap, all rows at once: the sums of some columns at a time. */
static void TT_FN(serve_tap_, )(const backward_call *call, tt_rounding *rounding, size_t at)
{
    const size_t count = TT_FN(list_rows_, )(call, 0, 0, 0);
    for (size_t s = 0; s < call->segment_count; s++) {
        const tt_segment *segment = &call->segments[s];
        TT_FN(locate_rows_, )(count, call->rows, tt_row_step(segment));
        for (size_t j = 0; j < segment->count; j += TT_COLUMNS) {
            const size_t columns =
                segment->count - j < TT_COLUMNS ? segment->count - j : TT_COLUMNS;
            TT_ACC sums[TT_COLUMNS * TT_POSITIONS] = {0};
            TT_LOOP(tt_add_rows_)(count, call->rows, call->positions, columns, segment->weights + j,
                                  sums);
            TT_FN(round_sums_, )(call, segment, j, columns, sums, rounding, at);
        }
    }
}

/* Others: all columns, tap by tap, some rows at a time. f32 sums run over kh, kw, o. */
static void TT_FN(serve_taps_, )(const backward_call *call, tt_rounding *rounding, size_t at)
{
    const tt_window *window = call->window;
    const size_t all = call->positions * (window->in_c / window->groups);
    const size_t outputs = window->out_c / window->groups;
    TT_ACC *sums = call->sums;
    for (size_t i = 0; i < all; i++) {
        sums[i] = 0;
    }
    for (uint32_t kh = 0; kh < window->kernel_h; kh++) {
        for (uint32_t kw = 0; kw < window->kernel_w; kw++) {
            for (size_t first = 0; first < outputs; first += call->most) {
                const size_t count = TT_FN(list_rows_, )(call, kh, kw, first);
                sums = call->sums;
                for (size_t s = 0; s < call->segment_count; s++) {
                    const size_t columns = call->segments[s].count;
                    TT_FN(locate_rows_, )(count, call->rows, tt_row_step(&call->segments[s]));
                    TT_LOOP(tt_add_rows_)(count, call->rows, call->positions, columns,
                                          call->segments[s].weights, sums);
                    sums += columns * call->positions;
                }
            }
        }
    }
    sums = call->sums;
    for (size_t s = 0; s < call->segment_count; s++) {
        TT_FN(round_sums_, )(call, &call->segments[s], 0, call->segments[s].count, sums, rounding,
                             at);
        sums += call->segments[s].count * call->positions;
    }
}

/* |sums| <= 2^30 by the choice of the factors. */
void TT_FN(tt_conv2d_, _grad_input)(const tt_window *window, const tt_segment *segments,
                                    size_t segment_count, const tt_factors *factors,
                                    const tt_rescale *rescale, const TT_GRAD *g, TT_GRAD *dx,
                                    void *workspace, size_t workspace_bytes)
{
    const tt_window flat = flattened(window);
    const size_t channels = window->in_c / window->groups;
    const size_t outputs = window->out_c / window->groups;
    const size_t sums = TT_POSITIONS * channels * sizeof(TT_ACC);
    TT_LOOP(tt_row_) *rows = workspace;
    const int is_large =
        workspace_bytes >= outputs * sizeof *rows + (taps_of(window) > 1 ? sums : 0);
    size_t most = outputs;
    size_t inputs = TT_POSITIONS;
    if (!is_large) {
        const size_t least = (outputs < TT_FEW_ROWS ? outputs : TT_FEW_ROWS) * sizeof *rows;
        inputs = workspace_bytes >= sums + least ? TT_POSITIONS : 1;
        most = (workspace_bytes - inputs * channels * sizeof(TT_ACC)) / sizeof *rows;
    }
    backward_call call = {.window = &flat,
                          .segments = segments,
                          .segment_count = segment_count,
                          .factors = factors,
                          .g = g,
                          .dx = dx,
                          .slices = TT_FN(tt_sums_of_, )(rescale),
                          .rows = rows,
                          .most = most,
                          .sums = (TT_ACC *)(rows + most),
                          .group = 0,
                          .positions = 0,
                          .ih = 0,
                          .iw = 0};
    tt_rounding rounding = TT_FN(tt_rounding_begin_, )(rescale);
    for (call.group = 0; call.group < window->groups; call.group++) {
        for (call.ih = 0; call.ih < flat.in_h; call.ih++) {
            const size_t row = (size_t)call.ih * flat.in_w * flat.in_c + call.group * channels;
            for (uint32_t phase = 0; phase < flat.stride_w; phase++) {
                for (call.iw = phase; call.iw < flat.in_w;
                     call.iw += (uint32_t)call.positions * flat.stride_w) {
                    const int whole = call.iw + (TT_POSITIONS - 1) * flat.stride_w < flat.in_w;
                    call.positions = whole ? inputs : 1;
                    if (is_large && taps_of(window) == 1) {
                        TT_FN(serve_tap_, )(&call, &rounding, row + (size_t)call.iw * flat.in_c);
                    } else {
                        TT_FN(serve_taps_, )(&call, &rounding, row + (size_t)call.iw * flat.in_c);
                    }
                }
            }
        }
    }
    TT_FN(tt_rounding_end_, )(rescale, rounding);
}

/* An output with a gradient other than 0, and the input that a tap of its window reads. */
typedef struct {
    uint32_t offset; /* of the input's first channel */
    TT_ACC gradient;
} weight_pair;

/* sums[j] += sum over the pairs of (x[offset + j] - zero) * gradient, j < count. */
static void TT_FN(add_pairs_, )(size_t count, size_t pairs, const weight_pair *first,
                                const int8_t *x, int32_t zero, TT_SUM *sums)
{
    const weight_pair *end = first + pairs;
#if TT_VECTORS
    for (const weight_pair *pair = first; pair < end; pair++) {
        const int8_t *restrict element = x + pair->offset;
        TT_SUM *restrict sum = sums;
        for (size_t j = 0; j < count; j++) {
            sum[j] += (TT_SUM)((TT_ACC)(element[j] - zero) * pair->gradient);
        }
    }
#else
    for (; count >= 4; count -= 4, x += 4, sums += 4) {
        TT_SUM sum0 = sums[0];
        TT_SUM sum1 = sums[1];
        TT_SUM sum2 = sums[2];
        TT_SUM sum3 = sums[3];
        for (const weight_pair *pair = first; pair < end; pair++) {
            const int8_t *element = x + pair->offset;
            const TT_ACC gradient = pair->gradient;
            sum0 += (TT_ACC)(element[0] - zero) * gradient;
            sum1 += (TT_ACC)(element[1] - zero) * gradient;
            sum2 += (TT_ACC)(element[2] - zero) * gradient;
            sum3 += (TT_ACC)(element[3] - zero) * gradient;
        }
        sums[0] = sum0;
        sums[1] = sum1;
        sums[2] = sum2;
        sums[3] = sum3;
    }
    for (; count > 0; count--, x++, sums++) {
        for (const weight_pair *pair = first; pair < end; pair++) {
            *sums += (TT_ACC)(x[pair->offset] - zero) * pair->gradient;
        }
    }
#endif
}

/* sums[j] = sum over positions of (x - zero) * G for output channel o at tap (kh, kw); x points to
 * the first channel of the group. s8: at most 66,311 products of 255 * 127, below 2^31; s16 sums in
 * 64 bits. f32 sums run over rows, then columns; a G of 0 adds nothing. */
static void TT_FN(weight_sums_, )(const tt_window *window, size_t o, uint32_t kh, uint32_t kw,
                                  int32_t zero, const int8_t *x, const TT_GRAD *g, TT_SUM *sums,
                                  weight_pair *pairs)
{
    const size_t count = window->in_c / window->groups;
    size_t found = 0;
    for (size_t j = 0; j < count; j++) {
        sums[j] = 0;
    }
    for (uint32_t oh = 0; oh < window->out_h; oh++) {
        const int32_t ih = tt_input_row(window, oh, kh);
        if (ih < 0) {
            continue;
        }
        const TT_GRAD *element = g + (size_t)oh * window->out_w * window->out_c + o;
        for (uint32_t ow = 0; ow < window->out_w; ow++, element += window->out_c) {
            const TT_GRAD gradient = *element;
            const int32_t iw = tt_input_column(window, ow, kw);
            if (gradient == 0 || iw < 0) {
                continue;
            }
            pairs[found].offset = ((uint32_t)ih * window->in_w + (uint32_t)iw) * window->in_c;
            pairs[found].gradient = gradient;
            found++;
            if (found == PAIRS) {
                TT_FN(add_pairs_, )(count, found, pairs, x, zero, sums);
                found = 0;
            }
        }
    }
    TT_FN(add_pairs_, )(count, found, pairs, x, zero, sums);
}

void TT_FN(tt_conv2d_, _grad_weight)(const tt_window *window, const tt_update *update,
                                     const tt_step *step, int8_t x_zero, const int8_t *x,
                                     const TT_GRAD *g, tt_trained *trained, void *workspace)
{
    const tt_window flat = flattened(window);
    const size_t count = window->in_c / window->groups;
    TT_SUM *sums = workspace;
    weight_pair *pairs = (weight_pair *)(void *)(sums + count);
    tt_sgd sgd = tt_sgd_begin(update, step);
    size_t index = 0;
    for (size_t o = 0; o < window->out_c; o++) {
        const size_t group = o / (window->out_c / window->groups);
        TT_FN(tt_sgd_channel_, )(&sgd, update, step, o);
        for (uint32_t kh = 0; kh < window->kernel_h; kh++) {
            for (uint32_t kw = 0; kw < window->kernel_w; kw++, index += count) {
                TT_FN(weight_sums_, )(&flat, o, kh, kw, x_zero, x + group * count, g, sums, pairs);
                TT_FN(tt_apply_sums_, )(&sgd, trained, index, count, sums);
            }
        }
    }
}
