/* model_signal: net, 4 classes, update scheme last-1
 *
 * The caller owns the state; nothing else is kept, so that several models and several states of one
 * model can live in one firmware. No function uses the heap, waits, or calls anything but the
 * callbacks that it is given. A state may be used by one thread at a time.
 *
 *     static model_signal_state state;
 *     model_signal_init(&state);
 *     // Or write s8 into model_signal_input(&state):
 *     model_signal_quantize_input(&state, sample);
 *     model_signal_train_step(&state, label, &result);
 */
#ifndef MODEL_SIGNAL_H
#define MODEL_SIGNAL_H

#include "tinytrain.h"
#include "tt_kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MODEL_SIGNAL_INPUT_SIZE 165 /* s8 elements, 1x33x5 */
#define MODEL_SIGNAL_INPUT_SCALE 0.0199999996f /* real = scale * (s8 - zero point) */
#define MODEL_SIGNAL_INPUT_ZERO_POINT (3)
#define MODEL_SIGNAL_OUTPUT_SIZE 4 /* f32 elements: logits */
#define MODEL_SIGNAL_CLASSES 4

/* Everything that changes: 920 bytes of arena, 430 of trained parameters. Members are not for the
 * caller. */
typedef struct {
    tt_step step;
    tt_scale scales[2];
    int8_t w6[144];
    uint8_t w6_fraction[72];
    int32_t b6[9];
    int8_t w8[108];
    uint8_t w8_fraction[54];
    int32_t b8[4];
    struct {
        uint32_t steps, skipped;
        tt_input_health input;
        tt_gradient_health gradients[2];
        tt_update_health updates[4];
        tt_class_counts classes[MODEL_SIGNAL_CLASSES];
    } health;
    union {
        uint64_t align; /* TT_STATE_ALIGNMENT */
        uint8_t bytes[920];
    } arena;
} model_signal_state;

/* Factory state: the weights as compiled, the learning rate 0.078, seed 5. Call it first, and to
 * reset: on memory that is zero and was not given to it, functions return TT_ERROR_STATE. A state
 * that is no variable lies at a multiple of TT_STATE_ALIGNMENT bytes. */
void model_signal_init(model_signal_state *state);

/* The same, and overwrites all else with zeros before: the last sample, and what was computed from
 * it, counters. What was saved is the store's to erase. */
void model_signal_erase(model_signal_state *state);

/* Where the next sample goes: MODEL_SIGNAL_INPUT_SIZE s8 elements, channels innermost. infer,
 * evaluate and train_step overwrite it. */
int8_t *model_signal_input(model_signal_state *state);

/* Quantizes a sample in the model's units, channels innermost, into model_signal_input; the health
 * counters hold how many elements were clipped. */
void model_signal_quantize_input(model_signal_state *state, const float *x);

/* Output of the sample in model_signal_input: MODEL_SIGNAL_OUTPUT_SIZE floats, and the index of the
 * largest. Either pointer may be NULL. The trained state does not change. */
tt_status model_signal_infer(model_signal_state *state, float *output, int32_t *prediction);

/* Loss and prediction for the sample in model_signal_input with its label, 0 <= label <
 * MODEL_SIGNAL_CLASSES, into result (may be NULL); tt_metrics adds them up. The trained state does
 * not change. TT_ERROR_LABEL: nothing was done. */
tt_status model_signal_evaluate(model_signal_state *state, int32_t label, tt_result *result);

/* One step of training on the sample in model_signal_input with its label, 0 <= label <
 * MODEL_SIGNAL_CLASSES. result (may be NULL) tells loss and prediction before the update.
 * TT_ERROR_LABEL: nothing was done. TT_ERROR_LOSS: the loss in result is NaN or infinite, and the
 * step was skipped. */
tt_status model_signal_train_step(model_signal_state *state, int32_t label, tt_result *result);

/* The largest learning rate that the model takes; the compiler's option --rate-limit changes it. */
#define MODEL_SIGNAL_RATE_LIMIT 1.20000005f

/* The rate that the schedule starts from (halved after 1000 steps, down to 0.05 of it); the count
 * of steps goes on. 0 <= rate <= MODEL_SIGNAL_RATE_LIMIT; 0 trains nothing. TT_ERROR_RATE: the old
 * rate stays. */
tt_status model_signal_set_learning_rate(model_signal_state *state, float rate);

/* The rate of the next step. */
float model_signal_learning_rate(const model_signal_state *state);

/* Trained parameters and the state of training (tt_saved_file.h has the format): 510 bytes through
 * `write`. */
tt_status model_signal_save(const model_signal_state *state, tt_write_fn write, void *context);

/* Reads a saved file into a state that init has set up, twice: to check it, and to take it. One
 * that is damaged, or of another model or format, changes nothing. TT_ERROR_RESET: it could not be
 * read a second time, and the state is back at its factory values. Rate, schedule and seed stay
 * this firmware's; what model_signal_set_learning_rate had made of the compiled rate is taken as a
 * factor, unless it has set one here. A rate above MODEL_SIGNAL_RATE_LIMIT becomes the limit.
 * model_signal_check does the first half alone. */
tt_status model_signal_load(model_signal_state *state, tt_read_fn read, void *context);
tt_status model_signal_check(tt_read_fn read, void *context);

/* The same for a file of format 1, which this model saved under an older firmware. TT_ERROR_FORMAT:
 * it is of no such format; try model_signal_load first. */
tt_status model_signal_load_old(model_signal_state *state, tt_read_fn read, void *context);

/* Counters of health since init or a reset; a saved file does not hold them. at_end counts the
 * elements of a trained tensor that stand at an end of their range now. The names say whose the
 * counters are: the node that computes a gradient, or a trained tensor. What is not called or read
 * is no part of a program whose linker drops sections. */
#define MODEL_SIGNAL_GRADIENTS 2
#define MODEL_SIGNAL_UPDATES 4
void model_signal_health(const model_signal_state *state, tt_health *health);
void model_signal_health_reset(model_signal_state *state);
uint32_t model_signal_at_end(const model_signal_state *state, size_t update);
extern const char *const model_signal_gradient_names[MODEL_SIGNAL_GRADIENTS];
extern const char *const model_signal_update_names[MODEL_SIGNAL_UPDATES];

/* How often each class came and was predicted in the latest training steps, and how long ago it
 * came last: 8 bytes of RAM a class. tt_class_trend_of says of each whether it fades. */
void model_signal_class_health(const model_signal_state *state, tt_class_health *health);

/* Compiler version and the first digits of the model hash. */
const char *model_signal_version(void);

#ifdef TT_KEEP_FROZEN
/* For simulation on a host, where data repeats. keep_frozen copies the outputs of the layers before
 * the first one that trains, for the sample in the input, which is gone then. use_frozen puts such
 * a copy in its place: the next infer or train_step goes on from there and needs no sample. */
#define MODEL_SIGNAL_FROZEN_BYTES 136
void model_signal_keep_frozen(model_signal_state *state, uint8_t kept[MODEL_SIGNAL_FROZEN_BYTES]);
void model_signal_use_frozen(model_signal_state *state,
                             const uint8_t kept[MODEL_SIGNAL_FROZEN_BYTES]);
#endif

#ifdef __cplusplus
}
#endif

#endif
