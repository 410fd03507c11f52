/* The limit of the learning rate holds, also for a file that was saved with a larger rate. */
#include <math.h>
#include <string.h>

#include "holds.h"
#include "memory_file.h"
#include "small.h"

static small_state state;
static memory_file file;

int main(void)
{
    small_init(&state);
    HOLDS(SMALL_RATE_LIMIT == 0.5f);
    HOLDS(small_set_learning_rate(&state, SMALL_RATE_LIMIT) == TT_OK);
    HOLDS(small_set_learning_rate(&state, nextafterf(SMALL_RATE_LIMIT, 1.0f)) == TT_ERROR_RATE);
    HOLDS(small_learning_rate(&state) == 0.5f);
    tt_set_rate(&state.step, 2.0f / WINDOW);
    HOLDS(small_save(&state, write_file, &file) == TT_OK);
    HOLDS(small_load(&state, read_file, &file) == TT_OK);
    HOLDS(small_learning_rate(&state) == 0.5f);
    puts("ok");
    return 0;
}
