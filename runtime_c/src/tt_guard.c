/* When learning is undone: docs/arithmetic.md section 14. */
#include "tt_guard.h"

#include <float.h>
#include <string.h>

#include "tt_kernels.h"

/* Squares of standard normal quantiles: one case in a hundred; one in 740, as it is asked of every
 * class; a quarter of a standard error, which is as good as equal. */
#define RARE 5.41F
#define RARER 9.0F
#define EQUAL 0.0625F

#define PATIENCE 3   /* checks in a row */
#define RECOVERY 8   /* checks in a row that double the rate again */
#define HALVINGS 7   /* of the rate, before nothing is learned any more */
#define LARGEST 1e9F /* an error: its square, added up 2^24 times, stays finite */

static const tt_guard_sums NOTHING = {0.0F, 0.0F, 0.0F};

const char *const tt_guard_reason_names[TT_GUARD_REASONS] = {"none", "loss",  "norm",  "ends",
                                                             "kept", "class", "stream"};

/* A mean and the square of its standard error. */
typedef struct {
    float mean, variance;
} estimate;

static estimate estimate_of(tt_guard_sums of)
{
    const float mean = of.sum / of.count;
    const float variance = of.squares / of.count - mean * mean;
    const estimate found = {mean, variance > 0.0F ? variance / of.count : 0.0F};
    return found;
}

/* Whether errors are larger than `before`, by more than the root of `square` standard errors. */
static int is_worse(tt_guard_sums before, tt_guard_sums now, float square)
{
    if (before.count == 0.0F || now.count == 0.0F) {
        return 0;
    }
    const estimate old = estimate_of(before);
    const estimate found = estimate_of(now);
    const float rise = found.mean - old.mean;
    return rise > 0.0F && rise * rise > square * (old.variance + found.variance);
}

static float mean_of(tt_guard_sums of)
{
    return of.count > 0.0F ? of.sum / of.count : 0.0F;
}

static void add(tt_guard_sums *to, float error)
{
    to->count += 1.0F;
    to->sum += error;
    to->squares += error * error;
}

static float error_of(const tt_guard_view *view, float loss)
{
    if (view->is_share) {
        /* exp(-87) is too small to show in 1; NaN counts as wrong. */
        return loss < 87.0F ? 1.0F - tt_exp_f32(loss > 0.0F ? -loss : 0.0F) : 1.0F;
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

static int take(void *context, size_t offset, void *data, size_t size)
{
    const tt_guard_memory *const memory = context;
    if (offset > memory->size || size > memory->size - offset) {
        return -1;
    }
    memcpy(data, memory->bytes + offset, size);
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
    const tt_guard_store store = {rewind_memory, put, take, NULL, memory};
    return store;
}

static int begin_commit(void *context, int is_write)
{
    if (is_write) {
        tt_store_begin(context);
    }
    return 0;
}

static int end_commit(void *context)
{
    return tt_store_commit(context) == TT_OK ? 0 : -1;
}

tt_guard_store tt_guard_in_flash(tt_store *store)
{
    const tt_guard_store found = {begin_commit, tt_store_write, tt_store_read, end_commit, store};
    return found;
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

int tt_guard_step(const tt_guard_view *view, float loss, int32_t label)
{
    tt_guard *const guard = view->guard;
    const int is_again = guard->is_again != 0;
    guard->is_again = 0;
    if (guard->is_due != 0 || guard->is_stopped != 0) {
        return 0;
    }
    guard->steps += guard->steps < UINT32_MAX;
    if (!(loss <= FLT_MAX && loss >= -FLT_MAX)) {
        guard->is_broken = 1;
    } else if (!is_again) {
        add(&guard->fresh, error_of(view, loss));
        if (view->class_count > 0) {
            tt_guard_class *const of = &view->classes[label];
            of->came = (uint16_t)(of->came + (of->came < UINT16_MAX));
        }
    }
    return 1;
}

void tt_guard_look(const tt_guard_view *view, float loss, int32_t label)
{
    const float error = error_of(view, loss);
    add(&view->guard->kept, error);
    if (view->class_count > 0) {
        add(&view->classes[label].kept, error);
    }
}

/* With one right and one wrong sample more (Laplace's rule of succession): of a class there are
 * few, and their own spread says too little of them. */
static tt_guard_sums smoothed(tt_guard_sums of)
{
    const float count = of.count > 0.0F ? of.count + 2.0F : 0.0F;
    return (tt_guard_sums){count, of.sum + 1.0F, of.squares + 1.0F};
}

static int is_a_class_worse(const tt_guard_view *view, float square)
{
    for (size_t i = 0; i < view->class_count; i++) {
        const tt_guard_class *const of = &view->classes[i];
        if (is_worse(smoothed(of->best), smoothed(of->kept), square)) {
            return 1;
        }
    }
    return 0;
}

/* How many labels came since the last check, and how often the commonest. */
typedef struct {
    uint32_t all, most;
} label_counts;

static label_counts labels_of(const tt_guard_view *view)
{
    label_counts found = {0, 0};
    for (size_t i = 0; i < view->class_count; i++) {
        const uint32_t came = view->classes[i].came; /* below 2^16, of fewer than 2^16 classes */
        found.all += came;
        found.most = came > found.most ? came : found.most;
    }
    return found;
}

/* Whether no label is more than half way from its share among all to being the only one. */
static int is_varied(const tt_guard_view *view)
{
    const label_counts came = labels_of(view);
    return 2U * (uint64_t)came.most * view->class_count <=
           came.all * (uint64_t)(view->class_count + 1U);
}

/* What one look is enough for. */
static tt_guard_reason alarm(const tt_guard_view *view)
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
    if (is_worse(guard->best, guard->kept, RARE)) {
        return TT_GUARD_KEPT;
    }
    /* Where the others win more than one loses, there is time to see what becomes of it. */
    const int fades = is_worse(guard->best, guard->kept, 0.0F) && is_a_class_worse(view, RARER);
    return fades ? TT_GUARD_CLASS : TT_GUARD_NONE;
}

/* The next check begins. */
static void begin(const tt_guard_view *view)
{
    tt_guard *const guard = view->guard;
    guard->kept = guard->fresh = NOTHING;
    guard->steps = 0;
    guard->is_broken = 0;
    for (size_t i = 0; i < view->class_count; i++) {
        tt_guard_class *const of = &view->classes[i];
        of->kept = NOTHING;
        of->came = 0;
    }
}

static void take_for_best(const tt_guard_view *view)
{
    tt_guard *const guard = view->guard;
    guard->best = guard->kept;
    guard->then = guard->usual;
    for (size_t i = 0; i < view->class_count; i++) {
        view->classes[i].best = view->classes[i].kept;
    }
}

static tt_guard_action pass(const tt_guard_view *view, int is_best)
{
    tt_guard *const guard = view->guard;
    guard->usual.count = 0.875F * guard->usual.count + guard->fresh.count;
    guard->usual.sum = 0.875F * guard->usual.sum + guard->fresh.sum;
    guard->usual.squares = 0.875F * guard->usual.squares + guard->fresh.squares;
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

static tt_guard_action wait(const tt_guard_view *view, tt_guard_reason reason)
{
    tt_guard *const guard = view->guard;
    if (guard->waited == 0) {
        guard->first = guard->fresh;
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
    guard->checks += guard->checks < UINT32_MAX;
    const tt_guard_reason found = alarm(view);
    if (found != TT_GUARD_NONE) {
        return undo(view, found);
    }
    int is_strange = is_worse(guard->usual, guard->fresh, RARE);
    if (is_strange && guard->waited > 0 && is_worse(guard->fresh, guard->first, RARE)) {
        /* It is being learned: another person, not wrong labels. What was usual is no measure. */
        guard->usual = NOTHING;
        is_strange = 0;
    }
    /* A check that looked at nothing knows nothing. */
    const int is_blind = guard->best.count > 0.0F && guard->kept.count == 0.0F;
    const int is_fallen = is_a_class_worse(view, RARE);
    const int is_below = is_blind || is_worse(guard->best, guard->kept, EQUAL) || is_fallen;
    const int has_learned = is_worse(guard->usual, guard->then, RARE) && is_varied(view);
    /* The measure moves with what is better, not with what is nearly as good: else many small falls
     * would go unseen. */
    const int is_best = guard->kept.count > 0.0F && !is_worse(guard->best, guard->kept, 0.0F);
    if (!is_strange && (!is_below || has_learned)) {
        const label_counts came = labels_of(view);
        if (is_best || guard->kept.count == 0.0F || came.all == 0 || came.most < came.all) {
            return pass(view, is_best);
        }
        /* From a single label nothing is learned that tells classes apart. */
        if (guard->is_strict == 0) {
            begin(view);
            return TT_GUARD_WAITED;
        }
        return undo(view, TT_GUARD_KEPT);
    }
    const tt_guard_reason below = is_fallen ? TT_GUARD_CLASS : TT_GUARD_KEPT;
    return wait(view, is_below ? below : TT_GUARD_STREAM);
}

void tt_guard_judge(const tt_guard_view *view, tt_guard_report *report)
{
    const tt_guard *const guard = view->guard;
    report->kept = mean_of(guard->kept);
    report->stream = mean_of(guard->fresh);
    report->best = mean_of(guard->best);
    report->is_unlike = is_worse(guard->best, guard->fresh, RARE);
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
