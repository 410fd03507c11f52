/* A step in portions of a model that is fed row by row; prints `ok`, anything else is a failure. */
#include <string.h>

#include "holds.h"
#include "small.h"

static small_state state, whole;

static void feed(small_state *to, int8_t value)
{
    int8_t row[SMALL_ROW_SIZE];
    for (uint32_t i = 0; i < SMALL_INPUT_ROWS; i++) {
        memset(row, value + (int8_t)i, sizeof row);
        HOLDS(small_feed_rows(to, row, 1) == TT_OK);
    }
}

int main(void)
{
    static const int8_t row[SMALL_ROW_SIZE];
    static const float real[SMALL_ROW_SIZE];
    small_init(&state);
    small_init(&whole);
    HOLDS(small_step_begin(&state, 1, NULL) == TT_ERROR_ROWS);
    for (int8_t step = 0; step < 10; step++) {
        tt_result found = {0}, wanted = {0};
        tt_status status;
        feed(&whole, step);
        HOLDS(small_train_step(&whole, 1, &wanted) == TT_OK);
        feed(&state, step);
        HOLDS(small_step_begin(&state, 1, &found) == TT_OK);
        do {
            HOLDS(small_feed_rows(&state, row, 1) == TT_ERROR_STEP);
            HOLDS(small_feed_real_rows(&state, real, 1) == TT_ERROR_STEP);
            status = small_step_run(&state, 0);
        } while (status == TT_MORE);
        HOLDS(status == TT_OK && memcmp(&found, &wanted, sizeof found) == 0);
        HOLDS(memcmp(&state, &whole, offsetof(small_state, portion)) == 0);
    }
    puts("ok");
    return 0;
}
