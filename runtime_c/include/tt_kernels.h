/* The contract between generated code and kernels.
 *
 * docs/arithmetic.md defines every result to the bit; a kernel for any instruction set gives the
 * same bits. The compiler proves the ranges named here, so kernels check nothing at run time.
 *
 * Maps are NHWC with N = 1. Sizes and counts are in elements unless their names end in `bytes`.
 * Buffers do not overlap unless a comment says so. A pointer has the alignment that its type needs,
 * no more.
 *
 * `workspace` is memory for the call alone: 8-aligned, of any content before and after. How many
 * bytes of it a kernel takes is in the compiler's table of kernels; where that is 0 it may be NULL.
 * A kernel with the argument `workspace_bytes` takes no more than that. It is faster with more, up
 * to a limit; the table has the least that it works with. The result is the same with any size.
 */
#ifndef TT_KERNELS_H
#define TT_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "tinytrain.h"
#include "tt_flags.h"

/* Geometry of a sliding window. A dense layer is a 1x1 window over a 1x1 map. All members are at
 * least 1, but for the padding. The window at output (oh, ow) covers the input rows
 * oh * stride_h - pad_top + kh * dilation_h for 0 <= kh < kernel_h, and columns likewise. A tap
 * outside the map is in the padding: it contributes nothing. */
typedef struct {
    uint16_t in_h, in_w, in_c;
    uint16_t out_h, out_w, out_c;
    uint16_t kernel_h, kernel_w;
    uint16_t stride_h, stride_w;
    uint16_t dilation_h, dilation_w;
    uint16_t pad_top, pad_left;
    uint16_t groups; /* 1 for pooling; divides in_c and out_c */
} tt_window;

/* How an s32 accumulator becomes an s8 output of channel i: requantize by multiplier[i] and
 * shift[i], add `zero`, clamp to [lo, hi]. multiplier in [0, 2^31), shift in [-31, 30], nearly
 * always -1. input_zero is the zero point of the input. Pooling uses other indices. */
typedef struct {
    const int32_t *multiplier;
    const int8_t *shift;
    int8_t input_zero, zero, lo, hi;
} tt_requant;

/* Weights of `count` input channels of each group, weights[out_c][kernel_h][kernel_w][count].
 * Column j belongs to input channel channels[j] of its group, in ascending order; NULL: to channel
 * j. The segments of a layer cover every channel of a group exactly once.
 * step: elements from one row of columns to the next; 0 stands for count. Only an input gradient
 * with one group and one segment may have another step: it then works on some of the columns. */
typedef struct {
    const int8_t *weights;
    const uint16_t *channels;
    uint16_t count;
    uint16_t step;
} tt_segment;

/* ---- forward ---- */

/* y[out_h][out_w][out_c] = conv2d(x[in_h][in_w][in_c]); any groups.
 * Accumulator: at most 32,768 products of |x - zero| <= 255 and |w| <= 128, plus |bias| <= 2^30:
 * below 2^31. */
void tt_conv2d_s8(const tt_window *window, const tt_requant *requant, const tt_segment *segments,
                  size_t segment_count, const int32_t *bias, const int8_t *x, int8_t *y,
                  void *workspace, size_t workspace_bytes);

/* The accumulators themselves, y[out_h][out_w][out_c] s32; only requant->input_zero is read. */
void tt_conv2d_s8_s32(const tt_window *window, const tt_requant *requant,
                      const tt_segment *segments, size_t segment_count, const int32_t *bias,
                      const int8_t *x, int32_t *y, void *workspace, size_t workspace_bytes);

/* Depthwise: groups == in_c, out_c a multiple of in_c; output channel o reads input channel o /
 * (out_c / in_c). Computes only the `count` output channels listed in `outputs` (ascending; NULL:
 * all of 0..count-1), whose weights are weights[count][kernel_h][kernel_w]; bias and requant are
 * indexed by output channel. y may be x where both have one shape, strides are 1 and the window
 * begins in the padding but does not lie in it (pad_top <= (kernel_h - 1) * dilation_h): the kernel
 * then reads a row of a channel before it writes that row, reads it once, and nothing of channels
 * that are not listed. A kernel of an instruction set may allow less (`in_place` in the compiler's
 * table). */
void tt_depthwise_conv2d_s8(const tt_window *window, const tt_requant *requant,
                            const int8_t *weights, const uint16_t *outputs, size_t count,
                            const int32_t *bias, const int8_t *x, int8_t *y, void *workspace);

/* y = clamp(((a - a_zero) * a_factor + (b - b_zero) * b_factor + 2^(shift - 1) >> shift) + zero),
 * `size` elements; y may be a or b. |factor| < 2^21, shift in [1, 30]: one factor is negative in a
 * difference. */
typedef struct {
    int32_t a_factor, b_factor;
    int8_t shift;
    int8_t a_zero, b_zero, zero, lo, hi;
} tt_add;
void tt_add_s8(const tt_add *add, size_t size, const int8_t *a, const int8_t *b, int8_t *y);

/* y = a * b over `rows` rows of `channels`; b has rows*channels, channels or 1 elements: b_row_step
 * is channels or 0, b_channel_step 1 or 0. y may be a. requant->input_zero is a's zero point; one
 * multiplier. */
void tt_multiply_s8(const tt_requant *requant, int8_t b_zero, size_t rows, size_t channels,
                    size_t b_row_step, size_t b_channel_step, const int8_t *a, const int8_t *b,
                    int8_t *y);

/* Each of `rows` vectors divided by its length: y in units of 1/128, zeros of zeros; zero is x's
 * zero point. At most 33,025 channels. y may be x. */
void tt_l2_normalize_s8(size_t rows, size_t channels, int8_t zero, const int8_t *x, int8_t *y);

/* Mean over the window. requant->multiplier NULL: quantization unchanged, sum / count rounded half
 * away from zero. Otherwise multiplier[count - 1] belongs to a window with `count` taps (see
 * count_include_pad: nonzero counts kernel_h * kernel_w always, a tap in the padding being
 * input_zero). Window area at most 65,536. Each window holds at least one element of the map. */
void tt_avg_pool2d_s8(const tt_window *window, const tt_requant *requant, int count_include_pad,
                      const int8_t *x, int8_t *y);

/* Largest element, clamped to [lo, hi]. winner, if not NULL, gets kh * kernel_w + kw of the first
 * largest tap (window area at most 256). Each window holds at least one element of the map. */
void tt_max_pool2d_s8(const tt_window *window, int8_t lo, int8_t hi, const int8_t *x, int8_t *y,
                      uint8_t *winner);

/* y = table[x + 128]; y may be x. */
void tt_lookup_s8(const int8_t table[256], size_t size, const int8_t *x, int8_t *y);

/* Copies `rows` rows of row_bytes; steps are in bytes; used by concatenate, slice and gradients of
 * both. */
void tt_copy_rows(size_t rows, size_t row_bytes, const void *x, size_t x_step, void *y,
                  size_t y_step);

/* Copies outer times count blocks of `block` bytes; steps are in bytes: slices with a stride. */
void tt_copy_blocks(size_t outer, size_t count, size_t block, const void *x, size_t x_outer,
                    size_t x_step, void *y, size_t y_outer, size_t y_step);

/* Fills y, `size` bytes, with bytes of `fill`, then copies outer times count blocks of x, which lie
 * one behind the other, into it from byte `start` on: padding, and the gradient of a slice. fill is
 * an s8, and 0 where elements have more bytes. */
void tt_pad(size_t size, int fill, size_t outer, size_t count, size_t block, const void *x,
            size_t start, size_t y_outer, size_t y_step, void *y);

/* y[p][j] = x[p][channels[j]], p < rows; elements of element_size bytes. */
void tt_gather_channels(size_t element_size, size_t rows, size_t x_channels,
                        const uint16_t *channels, size_t count, const void *x, void *y);

/* Axes permuted: output axis k is input axis axes[k]; shape is the input's, padded with leading 1
 * to four axes. */
void tt_transpose(size_t element_size, const uint16_t shape[4], const uint8_t axes[4],
                  const void *x, void *y);

/* The same for rank axes, 1 to TT_MAX_RANK. */
#define TT_MAX_RANK 8
void tt_transpose_nd(size_t element_size, size_t rank, const uint16_t *shape, const uint8_t *axes,
                     const void *x, void *y);

/* y = requantize(b, multiplier[i], shift[i]), factors of at most 1: a bias in other units. */
void tt_rescale_bias(size_t size, const int32_t *multiplier, const int8_t *shift, const int32_t *b,
                     int32_t *y);

/* y = (float)(x - zero) * scale[i], i the index modulo `channels` (1: one scale). */
void tt_dequantize_s8_f32(size_t size, int8_t zero, float scale, const int8_t *x, float *y);
void tt_dequantize_s32_f32(size_t size, size_t channels, const float *scale, const int32_t *x,
                           float *y);

/* y = clamp(round_half_even(x / scale) + zero, -128, 127); NaN gives zero. */
void tt_quantize_f32_s8(size_t size, int8_t zero, float scale, const float *x, int8_t *y);

/* The same, and counts what was clamped or NaN. Requires size < 2^31. */
void tt_quantize_input_f32_s8(size_t size, int8_t zero, float scale, const float *x, int8_t *y,
                              tt_input_health *health);

/* Bit i of mask, counted from the least significant bit of the first byte, says whether
 * lo < y[i] < hi. Unused bits of the last byte are 0. */
void tt_clamp_mask_s8(size_t size, int8_t lo, int8_t hi, const int8_t *y, uint8_t *mask);

/* ---- loss ---- */

float tt_exp_f32(float x);                          /* x <= 0 */
float tt_log_f32(float x);                          /* x >= 1 */
int32_t tt_argmax_f32(size_t size, const float *x); /* the first of equals */
int tt_all_finite_f32(size_t size, const float *x); /* nonzero if none is NaN or infinite */
int tt_all_below_u8(size_t size, uint32_t limit, const uint8_t *x);
int tt_all_between_f32(size_t size, float low, float high, const float *x); /* ends included */

/* These return the loss of one sample and write its gradient, which may overwrite the first input.
 * `size` classes or outputs; 0 <= label < size; the input is finite; 0 < smoothing < 1. */
float tt_softmax_cross_entropy_f32(size_t size, const float *logits, int32_t label,
                                   float *gradient);
float tt_smoothed_cross_entropy_f32(size_t size, const float *logits, int32_t label,
                                    float smoothing, float *gradient);
float tt_mean_squared_error_f32(size_t size, const float *output, const float *target,
                                float *gradient);
/* The mean over pixels, each with `classes` logits and a label below that number. */
float tt_pixel_cross_entropy_f32(size_t pixels, size_t classes, const float *logits,
                                 const uint8_t *labels, float *gradient);
float tt_huber_f32(size_t size, const float *output, const float *target, float *gradient);
float tt_binary_cross_entropy_f32(size_t size, const float *logits, const float *target,
                                  float *gradient); /* 0 <= target <= 1 */

/* With the weight of each pixel's class, and with that of each output's positives. */
float tt_weighted_pixel_cross_entropy_f32(size_t pixels, size_t classes, const float *logits,
                                          const uint8_t *labels, const float *weights,
                                          float *gradient);
float tt_weighted_binary_cross_entropy_f32(size_t size, const float *logits, const float *target,
                                           const float *weights, float *gradient);

/* Multiplies a gradient by the weight of its sample, in place; returns the loss times the weight.
 */
float tt_weighted_loss_f32(size_t size, float weight, float loss, float *gradient);

/* The weight of a sample from how often its class came before, 1/4 to 4. counts: [classes], any
 * numbers. classes: 2 to 65,535. 0 <= label < classes. */
float tt_balanced_weight(size_t classes, const uint16_t *counts, int32_t label);

/* Counts a step. classes: 2 to 256; label and prediction are below that. */
void tt_count_step(size_t classes, tt_class_counts *counts, int32_t label, int32_t prediction);

/* Fills health in. fade: steps at a rate of 1 after which a class that does not come fades. */
void tt_sum_classes(size_t classes, const tt_class_counts *counts, float fade, float rate,
                    tt_class_health *health);

/* Counts a sample. From a window of samples on, all counts are halved first. */
void tt_count_class(size_t classes, uint16_t *counts, int32_t label);

/* ---- state of a step ---- */

/* Scale of one gradient tensor: real = g * 2^(exponent + normaliser). The running maximum is in
 * units of 2^(exponent - 8). `peak` is the largest |r| seen in this step before saturation. */
typedef struct {
    int32_t exponent;
    uint32_t running_max;
    int32_t peak;
} tt_scale;

/* What is the same for all updates of a step. rate = rate_mantissa * 2^(rate_exponent - 31). */
typedef struct {
    float rate;
    int32_t rate_mantissa; /* 0, or in [2^30, 2^31) */
    int32_t rate_exponent;
    int32_t normaliser; /* n */
    uint32_t seed;
    uint32_t count; /* t */
} tt_step;

/* Exponent of a rate of 0, which is any but 0: both members are 0 only where none was ever set. */
#define TT_NO_RATE_EXPONENT 1

/* rate finite, 0 <= rate <= 1024; a subnormal rate counts as 0. */
void tt_set_rate(tt_step *step, float rate);

/* How the rate of a step follows from its number. Steps stay below 2^31, factor is above 0 and
 * below 1. */
typedef struct {
    enum { TT_SCHEDULE_CONSTANT, TT_SCHEDULE_STEP, TT_SCHEDULE_COSINE, TT_SCHEDULE_SETTLE } kind;
    uint32_t warm_up; /* steps in which the rate rises, before all else */
    uint32_t period;  /* steps until the next factor, until a cosine is at 0, or until what settles
                         has halved the rate; at least 1 */
    float factor;     /* of a period; of what settles the share of the rate that it ends at */
} tt_schedule;

/* The rate of the step with `t` steps before it, 0 to base. */
float tt_rate_at(const tt_schedule *schedule, float base, uint32_t t);

/* At the beginning of a step: sets the peaks to 0. */
void tt_scales_begin(size_t count, tt_scale *scales);

/* At the end of a step: moves the scales after their peaks (docs/arithmetic.md section 5). limit:
 * 127 for s8, 32767 for s16. health: a counter for each scale, or NULL. active: 0 where all
 * gradients of the step are 0; nothing happens then. */
void tt_scales_end(size_t count, tt_scale *scales, int32_t limit, int active,
                   tt_gradient_health *health);

/* Steps from one whose updates are counted to the next. */
#define TT_HEALTH_STEPS 64U

/* CRC-32 (IEEE) of `size` bytes that follow those that gave `crc`; start with 0. */
uint32_t tt_crc32(uint32_t crc, const void *data, size_t size);

/* ---- gradients ---- */

/* How a gradient kernel rescales: r = rh(acc, shift + output->exponent - input_exponent). Unused
 * (may be NULL or 0) with f32 gradients. */
typedef struct {
    int32_t input_exponent;
    int32_t shift; /* c */
    tt_scale *output;
    /* NULL, or, for tt_conv2d_s8_grad_input and tt_conv2d_s16_grad_input alone, sums of the shape
     * of dx: the kernel adds what it has summed up to them and rounds nothing, dx stays as it is.
     * They are 0 before the first slice of the output channels, and tt_round_sums_* ends what all
     * slices have begun. |sums| <= 2^30 as for all channels at once. */
    int32_t *sums;
} tt_rescale;

/* Per-channel factors on the way into a sum: `integer` for pre(G, m) in [0, 32767], `real` for f32
 * gradients. The one that does not apply is NULL. */
typedef struct {
    const int16_t *integer;
    const float *real;
} tt_factors;

/* A trained tensor: s8 and its fractional bits (NULL when fraction_bits is 0), or an s32 bias. */
typedef struct {
    int8_t *weights;
    uint8_t *fraction;
    uint8_t fraction_bits; /* 0, 2, 4 or 8 */
} tt_trained;

/* How a sum becomes an update of channel o: (multiplier[o], shift[o]) for integer gradients,
 * real[o] = c[o] for f32. */
typedef struct {
    const int32_t *multiplier; /* in [2^30, 2^31), or 0 */
    const int8_t *shift;       /* S in [-31, 31] after clamping by the compiler */
    const float *real;
    uint32_t index;           /* u: index of this update in the step */
    int32_t exponent;         /* E of G */
    int32_t sum_shift;        /* q */
    uint8_t is_random;        /* stochastic rounding: a random number an element; else to nearest */
    tt_update_health *health; /* NULL counts nothing */
    /* Elements of the tensor before the slice of output channels that this call updates: their
     * random numbers are left out. All else, the arrays above included, begins with the slice, its
     * fractional bits at a whole byte. The slice that begins the tensor, 0, is the first to be
     * updated in a step: it keeps the counters in range. */
    uint32_t first;
} tt_update;

/* How a velocity is applied at the end of an accumulation window (docs/arithmetic.md
 * section 6). Velocities of weights are s8 with 4 fractional bits, those of biases s32; both count
 * in 2^-8 of the trained integer. */
typedef struct {
    uint32_t index; /* u */
    uint8_t is_random;
    uint16_t momentum; /* in units of 2^-16 */
    float decay;       /* what a step of rate 1 takes off a weight, 0 to 65,535 */
} tt_apply_rule;

/* How Adam applies it. A second moment is the mean square of a velocity over the last 1,000
 * windows, or over all there were. */
typedef struct {
    tt_apply_rule apply;
    uint32_t window; /* steps of an accumulation window, at least 1 */
    float inverse;   /* 1 / elements that share a second moment */
} tt_adam_rule;

/* channels * size weights after rate * V / root of their channel's second moment, and their decay;
 * the velocity after its momentum; second[channels], each at least 0 and at most 2^24, with this
 * window in it. constants[channels]: what the rate is multiplied by, so that the root counts in
 * 2^-8 units of the velocity; positive. */
void tt_adam_s8(size_t channels, size_t size, const tt_adam_rule *rule, const tt_step *step,
                const float *constants, const tt_trained *trained, const tt_trained *velocity,
                float *second);

/* The same of a bias, whose channels share one second moment, at most 2^60. units[size]: of each
 * channel in that of the largest, above 0 and at most 1. */
void tt_adam_s32(size_t size, const tt_adam_rule *rule, const tt_step *step, const float *units,
                 float constant, int32_t *bias, int32_t *velocity, float *second);

/* `size` weights after their velocity and their decay; the velocity after its momentum. factor: of
 * tt_clip_factor, NULL does not clip. velocity may be NULL: decay alone. */
void tt_apply_s8(size_t size, const tt_apply_rule *rule, const tt_step *step, const int32_t *factor,
                 const tt_trained *trained, const tt_trained *velocity);

/* The same for biases, without decay. Both within +-2^30, before and after. */
void tt_apply_s32(size_t size, const tt_apply_rule *rule, const tt_step *step,
                  const int32_t *factor, int32_t *bias, int32_t *velocity);

/* Sum of the squares of a velocity: `size` elements for each of `channels`, units[o] the square of
 * what 1 means. */
float tt_squares_s8(size_t channels, size_t size, const float *units, const tt_trained *velocity);
float tt_squares_s32(size_t channels, const float *units, const int32_t *velocity);

/* By what a velocity has to be multiplied, in units of 2^-15, for a norm of at most `limit`: 2^15
 * where it is no longer. */
int32_t tt_clip_factor(float squares, float limit);

/* How many elements stand at an end of their range: the largest or smallest Wq, a bias of
 * +-2^30. */
uint32_t tt_count_ends_s8(size_t size, const int8_t *weights, const uint8_t *fraction,
                          uint32_t fraction_bits);
uint32_t tt_count_ends_s32(size_t size, const int32_t *bias);

/* Loss gradient f32 to integers; *normaliser gets n; returns 0 when every entry is 0, else 1. The
 * f32 version copies and sets n = 0. q may be the same buffer as g. */
#define TT_DECLARE_GRADIENT_KERNELS(dtype, type)                                                   \
    int tt_quantize_gradient_##dtype(size_t size, const float *g, type *q, int32_t *normaliser);   \
    /* out = g where lo < y < hi, else 0; out may be g. The second reads a packed mask. */         \
    void tt_grad_clamp_##dtype(size_t size, int8_t lo, int8_t hi, const type *g, const int8_t *y,  \
                               type *out);                                                         \
    void tt_grad_clamp_mask_##dtype(size_t size, const type *g, const uint8_t *mask, type *out);   \
    /* Sum of two branches; out may be a or b. rescale->shift is 8, rescale->input_exponent is     \
     * a's; b has its own. */                                                                      \
    void tt_grad_add_##dtype(size_t size, const tt_rescale *rescale, int32_t b_exponent,           \
                             const type *a, const type *b, type *out);                             \
    /* out = -g; out may be g. */                                                                  \
    void tt_negate_##dtype(size_t size, const type *g, type *out);                                 \
    /* dx[in_h][in_w][in_c] from g[out_h][out_w][out_c]; factors by output channel; any groups.    \
     * |acc| <= 2^30 by the choice of the factors. */                                              \
    void tt_conv2d_##dtype##_grad_input(const tt_window *window, const tt_segment *segments,       \
                                        size_t segment_count, const tt_factors *factors,           \
                                        const tt_rescale *rescale, const type *g, type *dx,        \
                                        void *workspace, size_t workspace_bytes);                  \
    /* Depthwise: the listed output channels (with all the others of the same input channels) as   \
     * in tt_depthwise_conv2d_s8; writes only the input channels that they read. dx may be g where \
     * both have one shape, strides are 1 and the table of kernels says so: small maps. */         \
    void tt_depthwise_conv2d_##dtype##_grad_input(                                                 \
        const tt_window *window, const int8_t *weights, const uint16_t *outputs, size_t count,     \
        const tt_factors *factors, const tt_rescale *rescale, const type *g, type *dx,             \
        void *workspace);                                                                          \
    /* Weight gradient and update in one go, weights[out_c][kernel_h][kernel_w][in_c / groups] in  \
     * that order; x[in_h][in_w][in_c] holds just the trained channels. s8: out_h * out_w <=       \
     * 66,311. */                                                                                  \
    void tt_conv2d_##dtype##_grad_weight(const tt_window *window, const tt_update *update,         \
                                         const tt_step *step, int8_t x_zero, const int8_t *x,      \
                                         const type *g, tt_trained *trained, void *workspace);     \
    /* Depthwise: weights[out_c][kernel_h][kernel_w]; groups == in_c. */                           \
    void tt_depthwise_conv2d_##dtype##_grad_weight(                                                \
        const tt_window *window, const tt_update *update, const tt_step *step, int8_t x_zero,      \
        const int8_t *x, const type *g, tt_trained *trained, void *workspace);                     \
    /* bias[o] -= update of the sum of g over positions; positions <= 65,536. */                   \
    void tt_bias_##dtype##_grad(size_t positions, size_t channels, const tt_update *update,        \
                                const tt_step *step, const type *g, int32_t *bias);                \
    /* factors by count - 1 (count_include_pad: only the entry of the whole window is read). */    \
    void tt_avg_pool2d_##dtype##_grad(const tt_window *window, const tt_factors *factors,          \
                                      int count_include_pad, const tt_rescale *rescale,            \
                                      const type *g, type *dx);                                    \
    void tt_max_pool2d_##dtype##_grad(const tt_window *window, const tt_rescale *rescale,          \
                                      const type *g, const uint8_t *winner, type *dx);             \
    /* dx = g * table[x + 128] / 2^14, |table| < 2^15; f32: the table's value times 2^-14 first.   \
     * dx may be g. */                                                                             \
    void tt_lookup_##dtype##_grad(const int16_t table[256], size_t size,                           \
                                  const tt_rescale *rescale, const type *g, const int8_t *x,       \
                                  type *dx);                                                       \
    /* da from g and b (the other factor, s8): steps as in tt_multiply_s8; mu and rescale->shift   \
     * as in the arithmetic; scale is s_b in f32. da may be g. */                                  \
    void tt_multiply_##dtype##_grad(size_t rows, size_t channels, size_t b_row_step,               \
                                    size_t b_channel_step, int8_t b_zero, int16_t mu, float scale, \
                                    const tt_rescale *rescale, const type *g, const int8_t *b,     \
                                    type *da);                                                     \
    /* db of a broadcast factor: sums g * (a - a_zero) over rows (and over channels when           \
     * b_channel_step is 0); f32 sums rows in the outer loop, channels in the inner one. Fewer     \
     * than 2^24 elements a sum. */                                                                \
    void tt_multiply_##dtype##_grad_broadcast(                                                     \
        size_t rows, size_t channels, size_t b_channel_step, int8_t a_zero, int16_t mu,            \
        float scale, const tt_rescale *rescale, const type *g, const int8_t *a, type *db);         \
    /* dx of tt_l2_normalize_s8 from g and x. inverse and rescale->shift as in the arithmetic;     \
     * scale is 1 / s_x in f32. dx may be g. */                                                    \
    void tt_l2_normalize_##dtype##_grad(size_t rows, size_t channels, int8_t zero,                 \
                                        uint64_t inverse, float scale, const tt_rescale *rescale,  \
                                        const type *g, const int8_t *x, type *dx);

/* dx[size] from the sums of slices, rounded as the input gradient itself would have done;
 * rescale->sums is not read. */
void tt_round_sums_s8(size_t size, const tt_rescale *rescale, const int32_t *sums, int8_t *dx);
void tt_round_sums_s16(size_t size, const tt_rescale *rescale, const int32_t *sums, int16_t *dx);

TT_DECLARE_GRADIENT_KERNELS(s8, int8_t)
TT_DECLARE_GRADIENT_KERNELS(s16, int16_t)
TT_DECLARE_GRADIENT_KERNELS(f32, float)

#endif
