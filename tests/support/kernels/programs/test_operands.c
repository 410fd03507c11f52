#include "test_operands.h"

uint32_t draw_word(test_operands *operands)
{
    uint32_t x = operands->random;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    operands->random = x;
    return x * 0x9E3779B1U;
}

int32_t draw_between(test_operands *operands, int32_t low, int32_t high)
{
    const uint64_t span = (uint64_t)((int64_t)high - low) + 1U;
    return (int32_t)(low + (int64_t)((uint64_t)draw_word(operands) * span >> 32));
}

int draw_once_in(test_operands *operands, uint32_t times)
{
    return draw_between(operands, 1, (int32_t)times) == 1;
}

/* Values of [low, high]: any, or the ends alone, or one of them alone; one in five 0 where `zeros`
 * is set. */
static void fill(test_operands *operands, int8_t *data, size_t size, int32_t low, int zeros)
{
    const int32_t mode = draw_between(operands, 0, 7);
    const int32_t end = draw_once_in(operands, 2) ? low : 127;
    for (size_t i = 0; i < size; i++) {
        int32_t value = draw_between(operands, low, 127);
        if (mode == 0) {
            value = value < 0 ? low : 127;
        } else if (mode == 1) {
            value = end;
        }
        if (zeros && mode != 1 && draw_once_in(operands, 5)) {
            value = 0;
        }
        data[i] = (int8_t)value;
    }
}

int8_t *draw_s8(test_operands *operands, const char *name, size_t size)
{
    int8_t *data = arena_take(operands->arena, name, size, 1);
    fill(operands, data, size, -128, 0);
    return data;
}

int8_t *draw_gradient(test_operands *operands, const char *name, size_t size)
{
    int8_t *data = arena_take(operands->arena, name, size, 1);
    fill(operands, data, size, -127, 1);
    return data;
}

int32_t *draw_bias(test_operands *operands, size_t size)
{
    int32_t *data = arena_take(operands->arena, "bias", size * 4, 4);
    const int32_t mode = draw_between(operands, 0, 3);
    const int32_t bound = mode == 0 ? 1 << 30 : mode == 1 ? 1 << 20 : 1 << 14;
    for (size_t i = 0; i < size; i++) {
        data[i] =
            mode == 0 && draw_once_in(operands, 2) ? bound : draw_between(operands, -bound, bound);
    }
    return data;
}

int8_t draw_zero(test_operands *operands)
{
    const int32_t zeros[] = {-128, 127, 0, draw_between(operands, -128, 127)};
    return (int8_t)zeros[draw_between(operands, 0, 3)];
}

/* In [2^30, 2^31). */
static int32_t draw_mantissa(test_operands *operands)
{
    const int32_t mode = draw_between(operands, 0, 7);
    return mode == 0 ? 1 << 30 : mode == 1 ? INT32_MAX : draw_between(operands, 1 << 30, INT32_MAX);
}

tt_requant draw_requant(test_operands *operands, size_t channels)
{
    int32_t *multiplier = arena_take(operands->arena, "multiplier", channels * 4, 4);
    int8_t *shift = arena_take(operands->arena, "shift", channels, 1);
    /* 0 to 3: as the compiler has it for factors below one half; 4: some of them; 5: shifts of all
     * kinds. */
    const int32_t mode = draw_between(operands, 0, 7);
    for (size_t i = 0; i < channels; i++) {
        const int plain = mode < 4 || (mode == 4 && draw_once_in(operands, 2));
        multiplier[i] = plain ? draw_mantissa(operands) >> draw_between(operands, 0, 14)
                              : draw_mantissa(operands);
        shift[i] = (int8_t)(plain ? -1 : draw_between(operands, -12, -2));
        if (mode == 5) {
            shift[i] = (int8_t)draw_between(operands, -31, 30);
        } else if (mode == 6) {
            const int32_t ends[] = {-31, -30, -3, -2, -1, 0, 1, 30};
            shift[i] = (int8_t)ends[draw_between(operands, 0, 7)];
        }
        if (draw_once_in(operands, 16)) {
            multiplier[i] = 0;
        }
    }
    int32_t lo = -128;
    int32_t hi = 127;
    if (draw_once_in(operands, 2)) {
        lo = draw_between(operands, -128, 127);
        hi = draw_between(operands, lo, 127);
    }
    const int8_t input_zero = draw_zero(operands);
    const int8_t zero = draw_zero(operands);
    return (tt_requant){multiplier, shift, input_zero, zero, (int8_t)lo, (int8_t)hi};
}

size_t draw_segments(test_operands *operands, const test_case *test, const tt_window *window,
                     tt_segment segments[3])
{
    uint32_t left[3];
    uint16_t *lists[3];
    size_t count = 0;
    uint32_t all = 0;
    for (; count < 3 && test->segment_counts[count] != 0; count++) {
        left[count] = test->segment_counts[count];
        all += left[count];
    }
    for (size_t s = 0; s < count; s++) {
        const size_t size = (size_t)window->out_c * window->kernel_h * window->kernel_w * left[s];
        const int plain = count == 1 && !test->listed;
        segments[s].weights = draw_s8(operands,
                                      s == 0   ? "weights"
                                      : s == 1 ? "weights 1"
                                               : "weights 2",
                                      size);
        lists[s] = plain ? NULL : arena_take(operands->arena, "channels", left[s] * 2U, 2);
        segments[s].channels = lists[s];
        segments[s].count = (uint16_t)left[s];
        segments[s].step = 0;
    }
    const uint32_t channels = all;
    for (uint32_t c = 0; c < channels; c++, all--) {
        uint32_t ticket = (uint32_t)draw_between(operands, 0, (int32_t)all - 1);
        size_t s = 0;
        while (ticket >= left[s]) {
            ticket -= left[s++];
        }
        if (lists[s] != NULL) {
            lists[s][segments[s].count - left[s]] = (uint16_t)c;
        }
        left[s]--;
    }
    return count;
}

void draw_slice(test_operands *operands, const tt_window *window, tt_segment *segment)
{
    /* MVE gathers eight rows of weights with 16-bit offsets; the compiler takes it for no wider
     * ones. */
    const int32_t widest = 65535 / (7 * window->kernel_h * window->kernel_w);
    if (segment->count >= widest) {
        return;
    }
    const int32_t more =
        draw_between(operands, 1, widest - segment->count < 9 ? widest - segment->count : 9);
    segment->step = (uint16_t)(segment->count + more);
    const size_t size = (size_t)window->out_c * window->kernel_h * window->kernel_w * segment->step;
    segment->weights = draw_s8(operands, "all weights", size) + draw_between(operands, 0, more);
}

int32_t *draw_sums(test_operands *operands, size_t size)
{
    int32_t *sums = arena_take(operands->arena, "sums", size * sizeof *sums, 4);
    for (size_t i = 0; i < size; i++) {
        sums[i] = draw_between(operands, -(1 << 28), 1 << 28);
    }
    return sums;
}

uint16_t *draw_outputs(test_operands *operands, const test_case *test, size_t all, size_t multiple)
{
    if (!test->listed && test->count == all) {
        return NULL;
    }
    uint16_t *list = arena_take(operands->arena, "outputs", test->count * 2U, 2);
    size_t wanted = test->count / multiple;
    size_t left = all / multiple;
    size_t k = 0;
    for (size_t run = 0; left != 0; run++, left--) {
        if (draw_between(operands, 0, (int32_t)left - 1) < (int32_t)wanted) {
            wanted--;
            for (size_t m = 0; m < multiple; m++) {
                list[k++] = (uint16_t)(run * multiple + m);
            }
        }
    }
    return list;
}

tt_factors draw_factors(test_operands *operands, size_t groups, size_t per_group, size_t taps)
{
    int16_t *factors = arena_take(operands->arena, "factors", groups * per_group * 2, 2);
    /* The sum over a group of (m + 1) may be this much. */
    const int32_t budget = (int32_t)(((uint32_t)1 << 23) / taps);
    const int32_t mode = draw_between(operands, 0, 3);
    for (size_t group = 0; group < groups; group++) {
        int32_t left = budget;
        for (size_t k = 0; k < per_group; k++) {
            const int32_t others = (int32_t)(per_group - k) - 1;
            int32_t share = mode == 1 ? left - others : left / (others + 1);
            share = share - 1 > INT16_MAX ? INT16_MAX : share - 1;
            int32_t m = mode == 3 ? draw_between(operands, 0, share) : share;
            if (mode == 2 && draw_once_in(operands, 4)) {
                m = 0;
            }
            factors[group * per_group + k] = (int16_t)m;
            left -= m + 1;
        }
    }
    return (tt_factors){factors, NULL};
}

tt_rescale draw_rescale(test_operands *operands, int32_t bound)
{
    tt_scale *scale = arena_take(operands->arena, "scale", sizeof *scale, 4);
    int32_t wanted = -8 - draw_between(operands, -1, 9);
    while (bound != 0) {
        bound >>= 1;
        wanted++;
    }
    if (draw_once_in(operands, 6)) {
        wanted = draw_between(operands, -40, 70);
    }
    scale->exponent = draw_between(operands, -60, 60);
    scale->running_max = draw_word(operands) >> 4;
    scale->peak = draw_once_in(operands, 4) ? draw_between(operands, 0, 200) : 0;
    const int32_t input_exponent = draw_between(operands, -60, 60);
    return (tt_rescale){input_exponent, wanted - scale->exponent + input_exponent, scale, NULL};
}

test_rule draw_rule(test_operands *operands, size_t channels)
{
    int32_t *multiplier = arena_take(operands->arena, "multiplier", channels * 4, 4);
    int8_t *shift = arena_take(operands->arena, "shift", channels, 1);
    const int32_t mode = draw_between(operands, 0, 4);
    /* Of h, for the channel whose S is `base`; that of others is up to 3 less. */
    const int32_t wanted = mode == 0   ? draw_between(operands, 20, 31)
                           : mode == 1 ? draw_between(operands, 28, 35)
                           : mode == 2 ? draw_between(operands, 36, 62)
                           : mode == 3 ? draw_between(operands, 35, 40)
                                       : draw_between(operands, -40, 70);
    const int32_t base = draw_between(operands, -10, 10);
    for (size_t i = 0; i < channels; i++) {
        multiplier[i] = draw_mantissa(operands);
        shift[i] = (int8_t)(base + draw_between(operands, 0, 3));
    }
    const int32_t exponent = draw_between(operands, -10, 10);
    const int32_t rate_exponent = draw_between(operands, -12, 10);
    int32_t normaliser = 31 - base - rate_exponent - exponent - wanted;
    normaliser = normaliser < -120 ? -120 : normaliser > 122 ? 122 : normaliser;
    tt_update_health *health = arena_take(operands->arena, "health", sizeof *health, 4);
    test_rule rule = {
        {multiplier, shift, NULL, draw_word(operands) % 1000U, exponent, 0,
         (uint8_t)draw_once_in(operands, 2), health,
         draw_once_in(operands, 3) ? (uint32_t)draw_between(operands, 1, 100000) : 0U},
        {0.5F, draw_mantissa(operands), rate_exponent, normaliser, draw_word(operands),
         draw_word(operands)},
    };
    if (draw_once_in(operands, 4)) {
        rule.step.count -= rule.step.count % TT_HEALTH_STEPS;
    }
    if (draw_once_in(operands, 16)) {
        rule.step.rate_mantissa = 0;
        rule.step.rate_exponent = 0;
    }
    return rule;
}

tt_trained draw_trained(test_operands *operands, uint32_t fraction_bits, size_t size)
{
    const uint8_t bits = (uint8_t)fraction_bits;
    int8_t *weights = draw_s8(operands, "trained", size);
    uint8_t *fraction = NULL;
    if (bits != 0) {
        fraction = (uint8_t *)draw_s8(operands, "fraction", (size * bits + 7) / 8);
    }
    return (tt_trained){weights, fraction, bits};
}
