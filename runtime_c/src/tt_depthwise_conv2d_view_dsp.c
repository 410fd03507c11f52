/* Windows over planes: weights in the order in which the inner loops read them, rows without those
 * in the padding. */
#include "tt_depthwise_conv2d_view_dsp.h"

#if defined(__ARM_FEATURE_SIMD32)
#include <arm_acle.h>

/* What the loops of a kind expect and do. */
typedef struct {
    uint8_t columns; /* of weights, at most; 0: any number */
    uint8_t odd;     /* whether a window begins at the second element of a word */
    uint8_t words;   /* of weights a row; 0: as many as tt_view_order_dsp writes */
    uint8_t quad;    /* words of the plane from one quad to the next */
    uint8_t moved;   /* words of the plane that a row of weights leaves behind */
    uint8_t table;   /* whether it reads a table of quads */
} kind_of;

static const kind_of kinds[] = {
    [TT_ROWS_3X3_STRIDE1] = {3, 1, 2, 2, 0, 0}, [TT_ROWS_5_STRIDE1] = {5, 0, 4, 2, 0, 1},
    [TT_ROWS_7_STRIDE1] = {7, 1, 6, 2, 3, 1},   [TT_ROWS_ANY_STRIDE1] = {0, 0, 0, 2, 0, 1},
    [TT_ROWS_3X3_STRIDE2] = {4, 0, 2, 4, 0, 0}, [TT_ROWS_6_STRIDE2] = {6, 0, 3, 4, 3, 1},
    [TT_ROWS_8_STRIDE2] = {8, 0, 4, 4, 0, 1},   [TT_ROWS_ANY_STRIDE2] = {0, 0, 0, 4, 0, 1},
    [TT_MAP4_3X3] = {3, 0, 2, 0, 0, 0},         [TT_MAP4_5X5] = {5, 0, 4, 0, 0, 0},
};

void tt_view_choose_dsp(tt_view *view, uint32_t stride_w, uint32_t column)
{
    tt_rows_kind kind = stride_w == 1 ? TT_ROWS_3X3_STRIDE1 : TT_ROWS_3X3_STRIDE2;
    const int three = view->taps_h == 3;
    for (kind += !three;; kind++) {
        const kind_of *k = &kinds[kind];
        view->lead = (column - k->odd) % 2;
        if (k->columns == 0 || view->taps_w + view->lead <= k->columns) {
            view->word = (column - k->odd - view->lead) / 2;
            view->kind = kind;
            return;
        }
    }
}

/* Words of one of the two streams of a kind for any width: (t0, t1), (t2, t3), ... and, for stride
 * 1, (0, t0), (t1, t2), ... in turn. */
static uint32_t stream_of(const tt_view *view)
{
    const uint32_t columns = view->lead + view->taps_w;
    return view->kind == TT_ROWS_ANY_STRIDE1 ? columns / 2 + 1
           : columns > 0                     ? (columns + 1) / 2
                                             : 1;
}

static uint32_t words_of(const tt_view *view)
{
    const uint32_t words = kinds[view->kind].words;
    return words != 0                          ? words
           : view->kind == TT_ROWS_ANY_STRIDE1 ? 2 * stream_of(view)
                                               : stream_of(view);
}

static uint32_t taps_rows_of(const tt_view *view)
{
    return view->taps_h > 0 ? view->taps_h : 1;
}

/* Each row is laid out as s16, with zeros around, and pairs are read from there. */
void tt_view_order_dsp(const tt_view *view, const int8_t *w, int32_t sum, int32_t *taps)
{
    static const uint8_t firsts[][6] = {
        [TT_ROWS_3X3_STRIDE1] = {0, 1},           [TT_ROWS_5_STRIDE1] = {0, 2, 1, 3},
        [TT_ROWS_7_STRIDE1] = {0, 1, 2, 3, 4, 5}, [TT_ROWS_3X3_STRIDE2] = {0, 2},
        [TT_ROWS_6_STRIDE2] = {0, 2, 4},          [TT_ROWS_8_STRIDE2] = {0, 2, 4, 6},
    };
    const uint32_t words = words_of(view);
    const uint32_t rows = taps_rows_of(view);
    const uint32_t columns = view->taps_h > 0 ? view->taps_w : 0;
    *taps++ = sum;
    w += view->tap;
    /* Behind all that is written: one element before the first, and eight or a stream's end after
     * the last. */
    int16_t *halves = (int16_t *)(taps + rows * words) + 1;
    for (uint32_t r = 0; r < rows; r++, w += view->tap_down) {
        int16_t *to = halves - 1;
        for (uint32_t c = 0; c < 1 + view->lead; c++) {
            *to++ = 0;
        }
        const int8_t *tap = w;
        for (uint32_t c = 0; c < columns; c++, tap += view->tap_right) {
            *to++ = *tap;
        }
        for (uint32_t c = columns + view->lead; c < 8 || c < columns + view->lead + 2; c++) {
            *to++ = 0;
        }
        for (uint32_t i = 0; i < words; i++) {
            const int32_t any = (int32_t)(view->kind == TT_ROWS_ANY_STRIDE1 ? i - i % 2 : 2 * i);
            const int16_t *first =
                halves + (kinds[view->kind].words != 0 ? firsts[view->kind][i] : any);
            first -= view->kind == TT_ROWS_ANY_STRIDE1 ? i % 2 : 0;
            *taps++ = tt_lows(first[0], first[1]);
        }
    }
}

tt_view_job tt_view_begin_dsp(const tt_view *view, const tt_planes *planes, uint32_t first,
                              uint32_t rows, tt_quad_dsp *table)
{
    const kind_of *kind = &kinds[view->kind];
    const uint32_t pitch = 4 * planes->pitch;
    const uint32_t row_step = view->stride_h * pitch;
    const uint32_t quad_bytes = 4U * kind->quad;
    const uint32_t quads_bytes = tt_quads(view->columns) * quad_bytes;
    const uint32_t bottom = planes->top + planes->height;
    uint32_t row = view->row + first * view->stride_h;
    uint32_t x = (row - planes->strip) * pitch + 4 * view->word;
    tt_view_job job = {view->kind,
                       stream_of(view),
                       planes->pitch,
                       x / 4,
                       {row_step - quads_bytes, quads_bytes, rows * row_step, pitch},
                       {table, table, pitch - 4U * kind->moved}};
    if (!kind->table) {
        return job;
    }
    const uint32_t words = 4 * words_of(view);
    const uint32_t taps_rows = taps_rows_of(view);
    for (uint32_t r = 0; r < rows; r++, row += view->stride_h, x += row_step) {
        uint32_t begin = planes->top > row ? planes->top - row : 0;
        uint32_t end = bottom > row ? bottom - row : 0;
        end = end < taps_rows ? end : taps_rows;
        if (begin >= end) {
            begin = 0;
            end = 1;
        }
        for (uint32_t quad = 0; quad < quads_bytes; quad += quad_bytes) {
            *table++ = (tt_quad_dsp){x + begin * pitch + quad, begin * words, end * words};
        }
    }
    job.any.end = table;
    return job;
}

/* Not within tt_view_sum_dsp, which would then save registers for other kinds, too. */
#define ALONE __attribute__((noinline))

/* Two pairs of outputs at once, weights as two streams. */
ALONE static void sum_any_stride1(const tt_view_job *job, const uint32_t *plane,
                                  const int32_t *taps, int32_t *acc)
{
    const uint32_t *w = (const uint32_t *)(taps + 1);
    for (const tt_quad_dsp *quad = job->any.begin; quad != job->any.end; quad++) {
        const uint32_t *line = plane + quad->x / 4;
        const uint32_t *pair = w + quad->w / 4;
        int32_t sum[4] = {taps[0], taps[0], taps[0], taps[0]};
        for (const uint32_t *end = w + quad->w_end / 4; pair != end; line += job->pitch) {
            for (uint32_t j = 0; j < job->stream; j++, pair += 2) {
                sum[0] = __smlad((int16x2_t)line[j], (int16x2_t)pair[0], sum[0]);
                sum[1] = __smlad((int16x2_t)line[j], (int16x2_t)pair[1], sum[1]);
                sum[2] = __smlad((int16x2_t)line[j + 1], (int16x2_t)pair[0], sum[2]);
                sum[3] = __smlad((int16x2_t)line[j + 1], (int16x2_t)pair[1], sum[3]);
            }
        }
        for (uint32_t i = 0; i < 4; i++) {
            *acc++ = sum[i];
        }
    }
}

ALONE static void sum_any_stride2(const tt_view_job *job, const uint32_t *plane,
                                  const int32_t *taps, int32_t *acc)
{
    const uint32_t *w = (const uint32_t *)(taps + 1);
    for (const tt_quad_dsp *quad = job->any.begin; quad != job->any.end; quad++) {
        const uint32_t *line = plane + quad->x / 4;
        const uint32_t *weight = w + quad->w / 4;
        int32_t sum[4] = {taps[0], taps[0], taps[0], taps[0]};
        for (const uint32_t *end = w + quad->w_end / 4; weight != end; line += job->pitch) {
            for (uint32_t j = 0; j < job->stream; j++, weight++) {
                sum[0] = __smlad((int16x2_t)line[j], (int16x2_t)*weight, sum[0]);
                sum[1] = __smlad((int16x2_t)line[j + 1], (int16x2_t)*weight, sum[1]);
                sum[2] = __smlad((int16x2_t)line[j + 2], (int16x2_t)*weight, sum[2]);
                sum[3] = __smlad((int16x2_t)line[j + 3], (int16x2_t)*weight, sum[3]);
            }
        }
        for (uint32_t i = 0; i < 4; i++) {
            *acc++ = sum[i];
        }
    }
}

void tt_view_sum_dsp(const tt_view_job *job, const uint32_t *plane, const int32_t *taps,
                     int32_t *acc)
{
    switch (job->kind) {
    case TT_ROWS_3X3_STRIDE1:
        tt_rows_3x3_stride1_dsp(&job->three, plane + job->first, taps, acc);
        break;
    case TT_ROWS_5_STRIDE1:
        tt_rows_5_stride1_dsp(&job->any, plane, taps, acc);
        break;
    case TT_ROWS_7_STRIDE1:
        tt_rows_7_stride1_dsp(&job->any, plane, taps, acc);
        break;
    case TT_ROWS_ANY_STRIDE1:
        sum_any_stride1(job, plane, taps, acc);
        break;
    case TT_ROWS_3X3_STRIDE2:
        tt_rows_3x3_stride2_dsp(&job->three, plane + job->first, taps, acc);
        break;
    case TT_ROWS_6_STRIDE2:
        tt_rows_6_stride2_dsp(&job->any, plane, taps, acc);
        break;
    case TT_ROWS_8_STRIDE2:
        tt_rows_8_stride2_dsp(&job->any, plane, taps, acc);
        break;
    case TT_ROWS_ANY_STRIDE2:
        sum_any_stride2(job, plane, taps, acc);
        break;
    case TT_MAP4_3X3:
        tt_map4_3x3_dsp(plane, taps, acc);
        break;
    case TT_MAP4_5X5:
        tt_map4_5x5_dsp(plane, taps, acc);
        break;
    }
}

#endif
