/* When learning is undone: "The guard" in docs/arithmetic.md. */
#include "tt_guard.h"

#include <string.h>

/* Squares of standard normal quantiles: one case in a hundred; one in 740, as it is asked of every
 * class; and half a standard error, which is as good as equal. */
#define RARE 5.41F
#define RARER 9.0F
#define EQUAL 0.25F

#define PATIENCE 4   /* checks in a row */
#define RECOVERY 8   /* checks in a row that double the rate again */
#define HALVINGS 7   /* of the rate, before nothing is learned any more */
#define LARGEST 1e9F /* an error: its square, added up 2^24 times, stays finite */

const char *const tt_guard_reason_names[TT_GUARD_REASONS] = {"none", "loss",  "norm",  "ends",
                                                             "kept", "class", "stream"};

typedef struct {
    float count, sum, squares;
} sums;

/* A mean and the square of its standard error. */
typedef struct {
    float mean, variance;
} estimate;

/* Of labels one right and one wrong sample are added (Laplace's rule of succession), so that a few
 * samples without an error do not look certain. */
static estimate estimate_of(sums of, int is_label)
{
    const float more = is_label ? 1.0F : 0.0F;
    const float count = of.count + 2.0F * more;
    const float mean = (of.sum + more) / count;
    const float variance = (of.squares + more) / count - mean * mean;
    const estimate found = {mean, variance > 0.0F ? variance / count : 0.0F};
    return found;
}

/* Whether errors are larger than `before`, by more than the root of `square` standard errors. */
static int is_worse(sums before, sums now, int is_label, float square)
{
    if (before.count == 0.0F || now.count == 0.0F) {
        return 0;
    }
    const estimate old = estimate_of(before, is_label);
    const estimate found = estimate_of(now, is_label);
    const float rise = found.mean - old.mean;
    return rise > 0.0F && rise * rise > square * (old.variance + found.variance);
}

static float mean_of(float sum, float count)
{
    return count > 0.0F ? sum / count : 0.0F;
}

static float error_of(float loss, int is_label, int is_wrong)
{
    if (is_label) {
        return is_wrong ? 1.0F : 0.0F;
    }
    return loss < LARGEST ? loss : LARGEST; /* NaN, too */
}

uint64_t tt_sum_squares_s8(size_t count, const int8_t *x)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += (uint64_t)((int32_t)x[i] * x[i]);
    }
    return sum;
}

static int put(void *context, const void *data, size_t size)
{
    tt_guard_memory *const memory = context;
    if (size > memory->size - memory->at) {
        return -1;
    }
    memcpy(memory->bytes + memory->at, data, size);
    memory->at += size;
    return 0;
}

static int take(void *context, void *data, size_t size)
{
    tt_guard_memory *const memory = context;
    if (size > memory->size - memory->at) {
        return -1;
    }
    memcpy(data, memory->bytes + memory->at, size);
    memory->at += size;
    return 0;
}

static int rewind_memory(void *context, int is_write)
{
    (void)is_write;
    ((tt_guard_memory *)context)->at = 0;
    return 0;
}

tt_guard_store tt_guard_in_memory(tt_guard_memory *memory)
{
    const tt_guard_store store = {rewind_memory, put, take, memory};
    return store;
}

float tt_guard_rate(const tt_guard *guard, float rate)
{
    return rate / (float)(1U << (guard->halvings & 7U)); /* a file may hold anything */
}

int tt_guard_is_due(const tt_guard *guard, uint32_t interval)
{
    return guard->checks == 0 || guard->is_due != 0 || guard->is_broken != 0 ||
           (guard->steps >= interval && guard->is_stopped == 0);
}

int tt_guard_step(tt_guard *guard, float loss, int is_label, int is_wrong)
{
    const int is_again = guard->is_again != 0;
    guard->is_again = 0;
    if (guard->is_due != 0 || guard->is_stopped != 0) {
        return 0;
    }
    guard->steps += guard->steps < UINT32_MAX;
    if (!(loss <= 3.4028234e38F && loss >= -3.4028234e38F)) {
        guard->is_broken = 1;
    } else if (!is_again) {
        const float error = error_of(loss, is_label, is_wrong);
        guard->new_count += 1.0F;
        guard->new_sum += error;
        guard->new_squares += error * error;
    }
    return 1;
}

void tt_guard_look(const tt_guard_view *view, float loss, int32_t label, int is_wrong)
{
    tt_guard *const guard = view->guard;
    const int is_label = view->class_count > 0;
    const float error = error_of(loss, is_label, is_wrong);
    guard->kept_count += 1.0F;
    guard->kept_sum += error;
    guard->kept_squares += error * error;
    if (is_label && view->classes[label].count < UINT16_MAX) {
        view->classes[label].count++;
        view->classes[label].wrong = (uint16_t)(view->classes[label].wrong + (is_wrong != 0));
    }
}

static int a_class_fades(const tt_guard_view *view)
{
    for (size_t i = 0; i < view->class_count; i++) {
        const tt_guard_class *const of = &view->classes[i];
        const sums before = {of->best_count, of->best_wrong, of->best_wrong};
        const sums now = {of->count, of->wrong, of->wrong};
        if (is_worse(before, now, 1, RARER)) {
            return 1;
        }
    }
    return 0;
}

/* What one look is enough for. */
static tt_guard_reason alarm(const tt_guard_view *view, sums best, sums kept)
{
    const tt_guard *const guard = view->guard;
    if (guard->is_broken != 0) {
        return TT_GUARD_LOSS;
    }
    /* A root mean square twice as large; 16 more are left to weights that begin near 0. */
    if (guard->saves > 0 && view->norm > 4.0F * guard->norm + 256.0F) {
        return TT_GUARD_NORM;
    }
    if (view->is_at_ends) {
        return TT_GUARD_ENDS;
    }
    if (is_worse(best, kept, view->class_count > 0, RARE)) {
        return TT_GUARD_KEPT;
    }
    return a_class_fades(view) ? TT_GUARD_CLASS : TT_GUARD_NONE;
}

/* The next check begins. */
static void begin(const tt_guard_view *view)
{
    tt_guard *const guard = view->guard;
    guard->kept_count = guard->kept_sum = guard->kept_squares = 0.0F;
    guard->new_count = guard->new_sum = guard->new_squares = 0.0F;
    guard->steps = 0;
    guard->is_broken = 0;
    for (size_t i = 0; i < view->class_count; i++) {
        view->classes[i].count = view->classes[i].wrong = 0;
    }
}

static void take_for_best(const tt_guard_view *view)
{
    tt_guard *const guard = view->guard;
    guard->best_count = guard->kept_count;
    guard->best_sum = guard->kept_sum;
    guard->best_squares = guard->kept_squares;
    guard->then_count = guard->usual_count;
    guard->then_sum = guard->usual_sum;
    guard->then_squares = guard->usual_squares;
    for (size_t i = 0; i < view->class_count; i++) {
        view->classes[i].best_count = view->classes[i].count;
        view->classes[i].best_wrong = view->classes[i].wrong;
    }
}

static tt_guard_action pass(const tt_guard_view *view, int is_best)
{
    tt_guard *const guard = view->guard;
    guard->usual_count = 0.875F * guard->usual_count + guard->new_count;
    guard->usual_sum = 0.875F * guard->usual_sum + guard->new_sum;
    guard->usual_squares = 0.875F * guard->usual_squares + guard->new_squares;
    if (is_best) {
        take_for_best(view);
    }
    guard->norm = view->norm;
    guard->waited = 0;
    guard->is_strict = 0;
    guard->saves += guard->saves < UINT32_MAX;
    guard->passed++;
    if (guard->passed >= RECOVERY) {
        guard->passed = 0;
        guard->halvings = (uint16_t)(guard->halvings - (guard->halvings > 0));
    }
    begin(view);
    return TT_GUARD_SAVED;
}

static tt_guard_action undo(const tt_guard_view *view, tt_guard_reason reason)
{
    tt_guard *const guard = view->guard;
    uint32_t *const counts[TT_GUARD_REASONS] = {NULL,           &guard->losses, &guard->norms,
                                                &guard->ends,   &guard->kepts,  &guard->classes,
                                                &guard->streams};
    *counts[reason] += *counts[reason] < UINT32_MAX;
    guard->restores += guard->restores < UINT32_MAX;
    guard->is_due = (uint16_t)reason;
    guard->is_strict = 1;
    guard->passed = 0;
    guard->waited = 0;
    begin(view);
    if (guard->halvings >= HALVINGS) {
        guard->is_stopped = 1;
        return TT_GUARD_STOPPED;
    }
    guard->halvings++;
    return TT_GUARD_RESTORED;
}

static tt_guard_action wait(const tt_guard_view *view, sums latest, tt_guard_reason reason)
{
    tt_guard *const guard = view->guard;
    if (guard->waited == 0) {
        guard->first_count = latest.count;
        guard->first_sum = latest.sum;
        guard->first_squares = latest.squares;
    }
    guard->waited++;
    guard->passed = 0;
    if (guard->is_strict != 0 || guard->waited >= PATIENCE) {
        return undo(view, reason);
    }
    begin(view);
    return TT_GUARD_WAITED;
}

static tt_guard_action judge(const tt_guard_view *view)
{
    tt_guard *const guard = view->guard;
    const int is_label = view->class_count > 0;
    const sums kept = {guard->kept_count, guard->kept_sum, guard->kept_squares};
    const sums best = {guard->best_count, guard->best_sum, guard->best_squares};
    const sums latest = {guard->new_count, guard->new_sum, guard->new_squares};
    const sums usual = {guard->usual_count, guard->usual_sum, guard->usual_squares};
    const sums then = {guard->then_count, guard->then_sum, guard->then_squares};
    const sums first = {guard->first_count, guard->first_sum, guard->first_squares};
    guard->checks += guard->checks < UINT32_MAX;
    const tt_guard_reason found = alarm(view, best, kept);
    if (found != TT_GUARD_NONE) {
        return undo(view, found);
    }
    int is_strange = is_worse(usual, latest, is_label, RARE);
    if (is_strange && guard->waited > 0 && is_worse(latest, first, is_label, RARE)) {
        /* It is being learned: another person, not wrong labels. What was usual is no measure. */
        guard->usual_count = guard->usual_sum = guard->usual_squares = 0.0F;
        is_strange = 0;
    }
    const int is_below = is_worse(best, kept, is_label, EQUAL);
    const int has_learned = is_worse(usual, then, is_label, RARE);
    if (!is_strange && (!is_below || has_learned)) {
        return pass(view, !is_below);
    }
    return wait(view, latest, is_below ? TT_GUARD_KEPT : TT_GUARD_STREAM);
}

void tt_guard_judge(const tt_guard_view *view, tt_guard_report *report)
{
    const tt_guard *const guard = view->guard;
    report->kept = mean_of(guard->kept_sum, guard->kept_count);
    report->stream = mean_of(guard->new_sum, guard->new_count);
    report->best = mean_of(guard->best_sum, guard->best_count);
    report->action = judge(view);
}

void tt_guard_carry(tt_guard *restored, const tt_guard *before)
{
    restored->checks = before->checks;
    restored->saves = before->saves;
    restored->restores = before->restores;
    restored->losses = before->losses;
    restored->norms = before->norms;
    restored->ends = before->ends;
    restored->kepts = before->kepts;
    restored->classes = before->classes;
    restored->streams = before->streams;
    restored->halvings = before->halvings;
    restored->is_strict = before->is_strict;
    restored->is_stopped = before->is_stopped;
    restored->passed = 0;
    restored->is_due = 0;
}

void tt_guard_tell(const tt_guard *guard, tt_guard_report *report)
{
    report->factor = tt_guard_rate(guard, 1.0F);
    report->checks = guard->checks;
    report->saves = guard->saves;
    report->restores = guard->restores;
    report->reasons[TT_GUARD_NONE] = 0;
    report->reasons[TT_GUARD_LOSS] = guard->losses;
    report->reasons[TT_GUARD_NORM] = guard->norms;
    report->reasons[TT_GUARD_ENDS] = guard->ends;
    report->reasons[TT_GUARD_KEPT] = guard->kepts;
    report->reasons[TT_GUARD_CLASS] = guard->classes;
    report->reasons[TT_GUARD_STREAM] = guard->streams;
}
