/* Includes TT_BODY once for each kind of gradient. No include guard: a kernel file may come here
 * again.
 *
 *   TT_DTYPE     suffix of names: s8, s16, f32
 *   TT_GRAD      an element of a gradient
 *   TT_FACTORED  an element times the factor of its channel
 *   TT_ACC       a sum that becomes an element of the input's gradient
 *   TT_SUM       a sum that becomes an update of a weight
 *   TT_WIDE      the sums of multiply
 *   TT_LOOPS     suffix of loops that know TT_ACC alone: s32, f32
 */
#define TT_DTYPE s8
#define TT_GRAD int8_t
#define TT_FACTORED int16_t
#define TT_ACC int32_t
#define TT_SUM int32_t
#define TT_WIDE int64_t
#define TT_LOOPS s32
#include TT_BODY
#undef TT_DTYPE
#undef TT_GRAD
#undef TT_SUM

#define TT_DTYPE s16
#define TT_GRAD int16_t
#define TT_SUM int64_t
#include TT_BODY
#undef TT_DTYPE
#undef TT_GRAD
#undef TT_FACTORED
#undef TT_ACC
#undef TT_SUM
#undef TT_WIDE
#undef TT_LOOPS

#define TT_DTYPE f32
#define TT_GRAD float
#define TT_FACTORED float
#define TT_ACC float
#define TT_SUM float
#define TT_WIDE float
#define TT_LOOPS f32
#include TT_BODY
#undef TT_DTYPE
#undef TT_GRAD
#undef TT_FACTORED
#undef TT_ACC
#undef TT_SUM
#undef TT_WIDE
#undef TT_LOOPS
#undef TT_BODY
