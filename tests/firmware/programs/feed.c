/* A sample that is fed in rows, in pieces of any size, gives what the same sample gives as a
 * whole. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "holds.h"
#include "rows.h"
#include "whole.h"

static rows_state fed, before;
static whole_state state;
static int8_t sample[ROWS_INPUT_ROWS * ROWS_ROW_SIZE];

static uint32_t random = 1;

static uint32_t next(void)
{
    random = random * 1664525U + 1013904223U;
    return random >> 16;
}

static void draw(void)
{
    for (size_t i = 0; i < sizeof sample; i++) {
        sample[i] = (int8_t)((int)(next() & 255U) - 128);
    }
    memcpy(whole_input(&state), sample, sizeof sample);
}

static void feed(size_t from, size_t to)
{
    while (from < to) {
        size_t count = 1 + next() % 4;
        count = count < to - from ? count : to - from;
        HOLDS(rows_feed_rows(&fed, sample + from * ROWS_ROW_SIZE, count) == TT_OK);
        from += count;
    }
}

static void refuse_too_few(void)
{
    tt_result result = {-7.0f, -7};
    memcpy(&before, &fed, sizeof fed);
    HOLDS(rows_infer(&fed, NULL, NULL) == TT_ERROR_ROWS);
    HOLDS(rows_evaluate(&fed, 0, &result) == TT_ERROR_ROWS);
    HOLDS(rows_train_step(&fed, 0, &result) == TT_ERROR_ROWS);
    HOLDS(memcmp(&before, &fed, sizeof fed) == 0);
    HOLDS(result.loss == -7.0f && result.prediction == -7);
}

static void compare(void)
{
    float a[ROWS_OUTPUT_SIZE], b[WHOLE_OUTPUT_SIZE];
    tt_result mine, other;
    draw();
    HOLDS(whole_infer(&state, b, NULL) == TT_OK);
    memcpy(whole_input(&state), sample, sizeof sample);
    feed(0, ROWS_INPUT_ROWS);
    HOLDS(rows_infer(&fed, a, NULL) == TT_OK);
    HOLDS(memcmp(a, b, sizeof a) == 0);
    refuse_too_few(); /* an inference takes the sample */
    feed(0, ROWS_INPUT_ROWS);
    /* A label that is refused does not. */
    HOLDS(rows_train_step(&fed, ROWS_CLASSES, &mine) == TT_ERROR_LABEL);
    HOLDS(rows_train_step(&fed, 1, &mine) == TT_OK);
    HOLDS(whole_train_step(&state, 1, &other) == TT_OK);
    HOLDS(memcmp(&mine, &other, sizeof mine) == 0);
    refuse_too_few();
}

static void quantize(void)
{
    float x[2 * ROWS_ROW_SIZE];
    int8_t two[2 * ROWS_ROW_SIZE];
    for (size_t i = 0; i < 2 * ROWS_ROW_SIZE; i++) {
        x[i] = ROWS_INPUT_SCALE * (float)((int)(i % 200) - 100 - ROWS_INPUT_ZERO_POINT);
    }
    rows_quantize_rows(2, x, two);
    for (size_t i = 0; i < 2 * ROWS_ROW_SIZE; i++) {
        HOLDS(two[i] == (int)(i % 200) - 100);
    }
}

int main(void)
{
    /* What is not set by init must not matter. */
    memset(&fed, 0xa5, sizeof fed);
    memset(&state, 0x5a, sizeof state);
    rows_init(&fed);
    whole_init(&state);
    refuse_too_few();
    for (int i = 0; i < 5; i++) {
        compare();
    }
    /* Rows of a sample that never ends. */
    draw();
    feed(0, ROWS_INPUT_ROWS - 1);
    refuse_too_few();
    rows_feed_restart(&fed);
    compare();
    /* More rows than there are: what fits is taken. */
    draw();
    feed(0, ROWS_INPUT_ROWS - 1);
    HOLDS(rows_feed_rows(&fed, sample, 2) == TT_ERROR_ROWS);
    HOLDS(rows_feed_rows(&fed, sample, 0) == TT_OK);
    HOLDS(rows_infer(&fed, NULL, NULL) == TT_OK);
    compare();
    quantize();
    printf("ok\n");
    return 0;
}
