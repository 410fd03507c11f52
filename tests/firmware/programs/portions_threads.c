/* Two threads, each with a state of its own: one trains in portions, the other infers and trains;
 * what is computed is what one thread alone computes. Prints `ok`. */
#include <pthread.h>
#include <string.h>

#include "holds.h"
#include "small_samples.h"

enum { STEPS = 30 };

typedef struct {
    small_state state;
    int in_portions;
} worker;

static worker workers[2], alone;

static void *work(void *given)
{
    worker *const mine = given;
    small_state *const state = &mine->state;
    small_init(state);
    for (uint32_t step = 0; step < STEPS; step++) {
        const int32_t label = (int32_t)(step % SMALL_CLASSES);
        fill(state, step);
        HOLDS(small_infer(state, NULL, NULL) == TT_OK);
        fill(state, step);
        if (!mine->in_portions) {
            HOLDS(small_train_step(state, label, NULL) == TT_OK);
            continue;
        }
        HOLDS(small_step_begin(state, label, NULL) == TT_OK);
        while (small_step_run(state, 1000U * step) == TT_MORE) {
            HOLDS(small_step_progress(state) < 256);
        }
    }
    return NULL;
}

int main(void)
{
    pthread_t threads[2];
    (void)work(&alone);
    for (int i = 0; i < 2; i++) {
        workers[i].in_portions = i == 0;
        HOLDS(pthread_create(&threads[i], NULL, work, &workers[i]) == 0);
    }
    for (int i = 0; i < 2; i++) {
        HOLDS(pthread_join(threads[i], NULL) == 0);
        HOLDS(memcmp(&workers[i].state, &alone.state, offsetof(small_state, portion)) == 0);
    }
    puts("ok");
    return 0;
}
