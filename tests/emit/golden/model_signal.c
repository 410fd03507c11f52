#include "model_signal.h"

#include <string.h>

#include "model_signal_constants.h"
#include "tt_kernels_dsp.h"
#include "tt_state.h"

#if !defined(__ARM_FEATURE_SIMD32)
/* A compiler for another core: the portable kernels give the same bits. */
#define tt_add_s8_dsp tt_add_s8
#define tt_bias_s8_grad_dsp tt_bias_s8_grad
#define tt_clamp_mask_s8_dsp tt_clamp_mask_s8
#define tt_conv2d_s8_dsp tt_conv2d_s8
#define tt_conv2d_s8_grad_weight_dsp tt_conv2d_s8_grad_weight
#define tt_depthwise_conv2d_s8_dsp tt_depthwise_conv2d_s8
#define tt_grad_clamp_mask_s8_dsp tt_grad_clamp_mask_s8
#endif

_Static_assert(TINYTRAIN_RUNTIME_VERSION == 2,
               "these sources belong to another version of the runtime");

static const tt_window conv_0_window = {
    .in_h = 1, .in_w = 33, .in_c = 5, .out_h = 1, .out_w = 17, .out_c = 8, .kernel_h = 1,
    .kernel_w = 7, .stride_h = 1, .stride_w = 2, .dilation_h = 1, .dilation_w = 1, .pad_top = 0,
    .pad_left = 3, .groups = 1};
static const tt_requant conv_0_requant = {
    .multiplier = model_signal_conv_0_multiplier, .shift = model_signal_conv_0_shift,
    .input_zero = 3, .zero = -128, .lo = -128, .hi = 127};
static const tt_segment w0_segments[] = {{model_signal_w0, NULL, 5, 0}};
static const tt_window conv_1_window = {
    .in_h = 1, .in_w = 17, .in_c = 8, .out_h = 1, .out_w = 17, .out_c = 8, .kernel_h = 1,
    .kernel_w = 5, .stride_h = 1, .stride_w = 1, .dilation_h = 1, .dilation_w = 1, .pad_top = 0,
    .pad_left = 2, .groups = 8};
static const tt_requant conv_1_requant = {
    .multiplier = model_signal_conv_1_multiplier, .shift = model_signal_conv_0_shift,
    .input_zero = -128, .zero = -128, .lo = -128, .hi = 127};
static const tt_window conv_2_window = {
    .in_h = 1, .in_w = 17, .in_c = 8, .out_h = 1, .out_w = 17, .out_c = 8, .kernel_h = 1,
    .kernel_w = 1, .stride_h = 1, .stride_w = 1, .dilation_h = 1, .dilation_w = 1, .pad_top = 0,
    .pad_left = 0, .groups = 1};
static const tt_requant conv_2_requant = {
    .multiplier = model_signal_conv_2_multiplier, .shift = model_signal_conv_0_shift,
    .input_zero = -128, .zero = 17, .lo = -128, .hi = 127};
static const tt_segment w4_segments[] = {{model_signal_w4, NULL, 8, 0}};
static const tt_add add_0_add = {
    .a_factor = 1398101, .b_factor = 1153434, .shift = 21, .a_zero = 17, .b_zero = -128, .zero = -9,
    .lo = -128, .hi = 127};
static const tt_window conv_3_window = {
    .in_h = 1, .in_w = 17, .in_c = 8, .out_h = 1, .out_w = 6, .out_c = 9, .kernel_h = 1,
    .kernel_w = 2, .stride_h = 1, .stride_w = 3, .dilation_h = 1, .dilation_w = 1, .pad_top = 0,
    .pad_left = 0, .groups = 1};
static const tt_requant conv_3_requant = {
    .multiplier = model_signal_conv_3_multiplier, .shift = model_signal_conv_3_shift,
    .input_zero = -9, .zero = -128, .lo = -128, .hi = 127};
static const tt_window max_pool2d_0_window = {
    .in_h = 1, .in_w = 6, .in_c = 9, .out_h = 1, .out_w = 3, .out_c = 9, .kernel_h = 1,
    .kernel_w = 2, .stride_h = 1, .stride_w = 2, .dilation_h = 1, .dilation_w = 1, .pad_top = 0,
    .pad_left = 0, .groups = 1};
static const tt_window dense_0_window = {
    .in_h = 1, .in_w = 1, .in_c = 27, .out_h = 1, .out_w = 1, .out_c = 4, .kernel_h = 1,
    .kernel_w = 1, .stride_h = 1, .stride_w = 1, .dilation_h = 1, .dilation_w = 1, .pad_top = 0,
    .pad_left = 0, .groups = 1};
static const tt_requant dense_0_requant = {
    .multiplier = model_signal_dense_0_multiplier, .shift = model_signal_dense_0_shift,
    .input_zero = -128, .zero = -20, .lo = -128, .hi = 127};
static const tt_window dense_0_conv2d_grad_input_window = {
    .in_h = 1, .in_w = 1, .in_c = 27, .out_h = 1, .out_w = 1, .out_c = 4, .kernel_h = 1,
    .kernel_w = 1, .stride_h = 1, .stride_w = 1, .dilation_h = 1, .dilation_w = 1, .pad_top = 0,
    .pad_left = 0, .groups = 1};
static const tt_factors dense_0_conv2d_grad_input_factors = {
    .integer = model_signal_dense_0_factors, .real = NULL};
static const tt_window max_pool2d_0_max_pool2d_grad_window = {
    .in_h = 1, .in_w = 6, .in_c = 9, .out_h = 1, .out_w = 3, .out_c = 9, .kernel_h = 1,
    .kernel_w = 2, .stride_h = 1, .stride_w = 2, .dilation_h = 1, .dilation_w = 1, .pad_top = 0,
    .pad_left = 0, .groups = 1};
static const tt_window w8_new_window = {
    .in_h = 1, .in_w = 1, .in_c = 27, .out_h = 1, .out_w = 1, .out_c = 4, .kernel_h = 1,
    .kernel_w = 1, .stride_h = 1, .stride_w = 1, .dilation_h = 1, .dilation_w = 1, .pad_top = 0,
    .pad_left = 0, .groups = 1};
static const tt_window w6_new_window = {
    .in_h = 1, .in_w = 17, .in_c = 8, .out_h = 1, .out_w = 6, .out_c = 9, .kernel_h = 1,
    .kernel_w = 2, .stride_h = 1, .stride_w = 3, .dilation_h = 1, .dilation_w = 1, .pad_top = 0,
    .pad_left = 0, .groups = 1};

static inline int8_t *at_s8(model_signal_state *state, size_t offset)
{
    return (int8_t *)(void *)(state->arena.bytes + offset);
}

static inline uint8_t *at_u8(model_signal_state *state, size_t offset)
{
    return (uint8_t *)(void *)(state->arena.bytes + offset);
}

static inline float *at_f32(model_signal_state *state, size_t offset)
{
    return (float *)(void *)(state->arena.bytes + offset);
}

/* The layers before the first one that trains: the same input gives the same result in every
 * step. */
static void forward_frozen(model_signal_state *state)
{
    /* conv_0: conv2d -> s8[1,1,17,8] @0.0160561-128 */
    tt_conv2d_s8_dsp(&conv_0_window, &conv_0_requant, w0_segments, 1, model_signal_b0,
                     at_s8(state, 616), at_s8(state, 784), at_u8(state, 0), 616);
    /* conv_1: conv2d -> s8[1,1,17,8] @0.0107041-128 */
    tt_depthwise_conv2d_s8_dsp(&conv_1_window, &conv_1_requant, model_signal_w2, NULL, 8,
                               model_signal_b2, at_s8(state, 784), at_s8(state, 400),
                               at_u8(state, 0));
    /* conv_2: conv2d -> s8[1,1,17,8] @0.019462+17 */
    tt_conv2d_s8_dsp(&conv_2_window, &conv_2_requant, w4_segments, 1, model_signal_b4,
                     at_s8(state, 400), at_s8(state, 536), at_u8(state, 0), 140);
    /* add_0: add -> s8[1,1,17,8] @0.0291929-9 */
    tt_add_s8_dsp(&add_0_add, 136, at_s8(state, 536), at_s8(state, 784), at_s8(state, 536));
}

#ifdef TT_KEEP_FROZEN
/* Whether the next forward pass finds in the arena what forward_frozen leaves there. */
static int is_frozen_done;
#endif

static void run_frozen(model_signal_state *state)
{
#ifdef TT_KEEP_FROZEN
    if (!is_frozen_done) {
        forward_frozen(state);
    }
    is_frozen_done = 0;
#else
    forward_frozen(state);
#endif
}

#ifdef TT_KEEP_FROZEN
/* What the frozen layers leave for the others, out of the arena and back. */
static void keep_spans(const model_signal_state *state, uint8_t *kept)
{
    memcpy(kept, state->arena.bytes + 536, 136);
}

static void use_spans(model_signal_state *state, const uint8_t *kept)
{
    memcpy(state->arena.bytes + 536, kept, 136);
}
#endif

/* `training` also keeps what the backward pass needs. */
static void forward(model_signal_state *state, int training)
{
    run_frozen(state);
    /* conv_3: conv2d -> s8[1,1,6,9] @0.00713605-128 */
    {
        tt_conv2d_s8_dsp(&conv_3_window, &conv_3_requant,
                         (const tt_segment[]){{state->w6, NULL, 8, 0}}, 1, state->b6,
                         at_s8(state, 536), at_s8(state, 280), at_u8(state, 0), 276);
    }
    /* conv_3_mask: clamp_mask -> bit[1,1,6,9] */
    if (training) {
        tt_clamp_mask_s8_dsp(54, -128, 127, at_s8(state, 280), at_u8(state, 336));
    }
    /* max_pool2d_0: max_pool2d_winner -> s8[1,1,3,9] @0.00713605-128 */
    tt_max_pool2d_s8(&max_pool2d_0_window, -128, 127, at_s8(state, 280), at_s8(state, 144),
                     at_u8(state, 112));
    /* dense_0: conv2d -> s8[1,1,1,4] @0.00256289-20 */
    {
        tt_conv2d_s8(&dense_0_window, &dense_0_requant,
                     (const tt_segment[]){{state->w8, NULL, 27, 0}}, 1, state->b8,
                     at_s8(state, 144), at_s8(state, 176), at_u8(state, 0), 108);
    }
    /* dense_0_mask: clamp_mask -> bit[1,1,1,4] */
    if (training) {
        tt_clamp_mask_s8_dsp(4, -128, 127, at_s8(state, 176), at_u8(state, 0));
    }
    /* output: dequantize -> f32[1,4] */
    tt_dequantize_s8_f32(4, -20, 0x1.4fec560000000p-9f, at_s8(state, 176), at_f32(state, 264));
}

static void backward(model_signal_state *state)
{
    /* dense_0_grad_clamp: grad_clamp -> s8[1,1,1,4] *2^loss_e */
    tt_grad_clamp_mask_s8_dsp(4, at_s8(state, 264), at_u8(state, 0), at_s8(state, 264));
    /* b8_new: bias_grad_sgd -> s32[4] @axis0 */
    {
        tt_bias_s8_grad_dsp(1, 4,
                            &(const tt_update){model_signal_b8_rate, model_signal_b8_rate_shift,
                                               NULL, 0, 0, 0, 1, &state->health.updates[0], 0},
                            &state->step, at_s8(state, 264), state->b8);
    }
    /* dense_0_conv2d_grad_input: conv2d_grad_input -> s8[1,1,1,27]
     * *2^dense_0_conv2d_grad_input_e */
    {
        tt_conv2d_s8_grad_input(
            &dense_0_conv2d_grad_input_window, (const tt_segment[]){{state->w8, NULL, 27, 0}}, 1,
            &dense_0_conv2d_grad_input_factors, &(const tt_rescale){0, 16, &state->scales[0], NULL},
            at_s8(state, 264), at_s8(state, 232), at_u8(state, 0), 96);
    }
    /* max_pool2d_0_max_pool2d_grad: max_pool2d_grad -> s8[1,1,6,9]
     * *2^max_pool2d_0_max_pool2d_grad_e */
    {
        tt_max_pool2d_s8_grad(
            &max_pool2d_0_max_pool2d_grad_window,
            &(const tt_rescale){state->scales[0].exponent, 0, &state->scales[1], NULL},
            at_s8(state, 232), at_u8(state, 112), at_s8(state, 176));
    }
    /* conv_3_grad_clamp: grad_clamp -> s8[1,1,6,9] *2^max_pool2d_0_max_pool2d_grad_e */
    tt_grad_clamp_mask_s8_dsp(54, at_s8(state, 176), at_u8(state, 336), at_s8(state, 176));
    /* w8_new: conv2d_grad_weight_sgd -> s8[4,1,1,27] @axis0 */
    {
        tt_conv2d_s8_grad_weight_dsp(
            &w8_new_window,
            &(const tt_update){model_signal_w8_rate, model_signal_w8_rate_shift, NULL, 1, 0, 0, 1,
                               &state->health.updates[1], 0},
            &state->step, -128, at_s8(state, 144), at_s8(state, 264),
            &(tt_trained){state->w8, state->w8_fraction, 4}, at_u8(state, 0));
    }
    /* b6_new: bias_grad_sgd -> s32[9] @axis0 */
    {
        tt_bias_s8_grad_dsp(6, 9,
                            &(const tt_update){model_signal_b6_rate, model_signal_b6_rate_shift,
                                               NULL, 2, state->scales[1].exponent, 0, 1,
                                               &state->health.updates[2], 0},
                            &state->step, at_s8(state, 176), state->b6);
    }
    /* w6_new: conv2d_grad_weight_sgd -> s8[9,1,2,8] @axis0 */
    {
        tt_conv2d_s8_grad_weight_dsp(
            &w6_new_window,
            &(const tt_update){model_signal_w6_rate, model_signal_w6_rate_shift, NULL, 3,
                               state->scales[1].exponent, 0, 1, &state->health.updates[3], 0},
            &state->step, -9, at_s8(state, 536), at_s8(state, 176),
            &(tt_trained){state->w6, state->w6_fraction, 4}, at_u8(state, 0));
    }
}

static const tt_region regions[] = {
    TT_REGION(model_signal_state, w6, 0, model_signal_w6_initial),
    TT_REGION(model_signal_state, w6_fraction, 0, NULL),
    TT_REGION(model_signal_state, b6, 1, model_signal_b6_initial),
    TT_REGION(model_signal_state, w8, 0, model_signal_w8_initial),
    TT_REGION(model_signal_state, w8_fraction, 0, NULL),
    TT_REGION(model_signal_state, b8, 1, model_signal_b8_initial),
};

static const tt_saved_scale initial_scales[] = {
    {-1, 19844U},
    {-1, 19844U},
};

_Static_assert(sizeof(tt_saved_header) == 48 && sizeof(tt_saved_scale) == 8 &&
                   sizeof(tt_saved_step) == 12 && sizeof(tt_saved_end) == 4,
               "the parts of a saved file have the sizes that tinytrain read in tt_saved_file.h");
_Static_assert(sizeof(tt_saved_header) +
                       TT_SIZE_OF(model_signal_state, w6) +
                       TT_SIZE_OF(model_signal_state, w6_fraction) +
                       TT_SIZE_OF(model_signal_state, b6) +
                       TT_SIZE_OF(model_signal_state, w8) +
                       TT_SIZE_OF(model_signal_state, w8_fraction) +
                       TT_SIZE_OF(model_signal_state, b8) +
                       2 * sizeof(tt_saved_scale) + sizeof(tt_saved_step) + sizeof(tt_saved_end) ==
                   510,
               "a saved file has the size that the manifest says");

static const tt_model model = {
    regions, 6, offsetof(model_signal_state, scales), initial_scales, 2,
    0x1.3f7cee0000000p-4f, 0x1.3333340000000p+0f, 5U, 430U,
    {144, 232, 204, 123, 55, 219, 212, 173, 16, 193, 42, 41, 249, 179, 197, 137, 214, 26, 66, 43,
     199, 251, 81, 50, 99, 108, 244, 67, 201, 217, 31, 69}};

static const tt_schedule schedule = {TT_SCHEDULE_SETTLE, 0U, 1000U, 0x1.99999a0000000p-5f};

/* Between steps the state holds the rate that the schedule starts from. */
static float rate_of(const tt_step *step)
{
    return tt_rate_at(&schedule, step->rate, step->count);
}

void model_signal_init(model_signal_state *state)
{
    tt_state_init(&model, state);
    if (!tt_state_is_ready(&state->step)) {
        return;
    }
    model_signal_health_reset(state);
}

void model_signal_erase(model_signal_state *state)
{
    tt_state_wipe(state, sizeof *state);
    model_signal_init(state);
}

int8_t *model_signal_input(model_signal_state *state)
{
    return at_s8(state, 616);
}

void model_signal_quantize_input(model_signal_state *state, const float *x)
{
    tt_quantize_input_f32_s8(MODEL_SIGNAL_INPUT_SIZE, MODEL_SIGNAL_INPUT_ZERO_POINT,
                             MODEL_SIGNAL_INPUT_SCALE, x, at_s8(state, 616), &state->health.input);
}

tt_status model_signal_infer(model_signal_state *state, float *output, int32_t *prediction)
{
    if (!tt_state_is_ready(&state->step)) {
        return TT_ERROR_STATE;
    }
    forward(state, 0);
    if (output != NULL) {
        memcpy(output, at_f32(state, 264), 4 * sizeof(float));
    }
    if (prediction != NULL) {
        *prediction = tt_argmax_f32(4, at_f32(state, 264));
    }
    return TT_OK;
}

/* Of the output that forward left; its gradient takes the output's place. */
static tt_result loss_of(model_signal_state *state, int32_t label)
{
    tt_result result;
    result.prediction = tt_argmax_f32(4, at_f32(state, 264));
    result.loss = tt_softmax_cross_entropy_f32(4, at_f32(state, 264), label, at_f32(state, 264));
    return result;
}

tt_status model_signal_evaluate(model_signal_state *state, int32_t label, tt_result *result)
{
    if (!tt_state_is_ready(&state->step)) {
        return TT_ERROR_STATE;
    }
    if (label < 0 || label >= MODEL_SIGNAL_CLASSES) {
        return TT_ERROR_LABEL;
    }
    forward(state, 0);
    const tt_result found = loss_of(state, label);
    if (result != NULL) {
        *result = found;
    }
    return TT_OK;
}

tt_status model_signal_train_step(model_signal_state *state, int32_t label, tt_result *result)
{
    if (!tt_state_is_ready(&state->step)) {
        return TT_ERROR_STATE;
    }
    if (label < 0 || label >= MODEL_SIGNAL_CLASSES) {
        return TT_ERROR_LABEL;
    }
    forward(state, 1);
    const tt_result found = loss_of(state, label);
    if (result != NULL) {
        *result = found;
    }
    state->health.steps += state->health.steps < UINT32_MAX;
    if (!tt_all_finite_f32(1, &found.loss)) {
        state->health.skipped += state->health.skipped < UINT32_MAX;
        return TT_ERROR_LOSS;
    }
    const float base = state->step.rate;
    tt_set_rate(&state->step, rate_of(&state->step));
    tt_scales_begin(2, state->scales);
    const int active =
        tt_quantize_gradient_s8(4, at_f32(state, 264), at_s8(state, 264), &state->step.normaliser);
    backward(state);
    tt_scales_end(2, state->scales, 127, active, state->health.gradients);
    tt_set_rate(&state->step, base);
    tt_count_step(MODEL_SIGNAL_CLASSES, state->health.classes, label, found.prediction);
    state->step.count += 1U;
    return TT_OK;
}

tt_status model_signal_set_learning_rate(model_signal_state *state, float rate)
{
    if (!tt_state_is_ready(&state->step)) {
        return TT_ERROR_STATE;
    }
    if (!(rate >= 0.0F && rate <= MODEL_SIGNAL_RATE_LIMIT)) {
        return TT_ERROR_RATE;
    }
    tt_set_rate(&state->step, rate);
    return TT_OK;
}

float model_signal_learning_rate(const model_signal_state *state)
{
    return rate_of(&state->step);
}

tt_status model_signal_save(const model_signal_state *state, tt_write_fn write, void *context)
{
    return tt_state_save(&model, state, write, context);
}

tt_status model_signal_load(model_signal_state *state, tt_read_fn read, void *context)
{
    return tt_state_load(&model, state, read, context);
}

tt_status model_signal_load_old(model_signal_state *state, tt_read_fn read, void *context)
{
    return tt_state_load_old(&model, state, read, context);
}

tt_status model_signal_check(tt_read_fn read, void *context)
{
    return tt_state_check(&model, read, context);
}

void model_signal_health(const model_signal_state *state, tt_health *health)
{
    health->steps = state->health.steps;
    health->skipped = state->health.skipped;
    health->gradients = state->health.gradients;
    health->updates = state->health.updates;
    health->input = state->health.input;
}

void model_signal_class_health(const model_signal_state *state, tt_class_health *health)
{
    tt_sum_classes(MODEL_SIGNAL_CLASSES, state->health.classes, 0x1.4000000000000p+1f,
                   model_signal_learning_rate(state), health);
}

void model_signal_health_reset(model_signal_state *state)
{
    memset(&state->health, 0, sizeof state->health);
}

uint32_t model_signal_at_end(const model_signal_state *state, size_t update)
{
    switch (update) {
    case 0:
        return tt_count_ends_s32(4, state->b8);
    case 1:
        return tt_count_ends_s8(108, state->w8, state->w8_fraction, 4);
    case 2:
        return tt_count_ends_s32(9, state->b6);
    case 3:
        return tt_count_ends_s8(144, state->w6, state->w6_fraction, 4);
    default:
        return 0;
    }
}

const char *const model_signal_gradient_names[MODEL_SIGNAL_GRADIENTS] = {
    "dense_0_conv2d_grad_input",
    "max_pool2d_0_max_pool2d_grad",
};

const char *const model_signal_update_names[MODEL_SIGNAL_UPDATES] = {
    "bias of dense_0",
    "weights of dense_0",
    "bias of conv_3",
    "weights of conv_3",
};

const char *model_signal_version(void)
{
    return "0.1.0 90e8cc7b37db";
}

#ifdef TT_KEEP_FROZEN
void model_signal_keep_frozen(model_signal_state *state, uint8_t kept[MODEL_SIGNAL_FROZEN_BYTES])
{
    forward_frozen(state);
    keep_spans(state, kept);
}

void model_signal_use_frozen(model_signal_state *state,
                             const uint8_t kept[MODEL_SIGNAL_FROZEN_BYTES])
{
    use_spans(state, kept);
    is_frozen_done = 1;
}
#endif
