/* Trains two models in one program.
 *
 * The first argument is a word of the letters a and b: whose turn it is to take a step. Prints a
 * line for each model with what it saved, in hexadecimal digits. */
#include <stdio.h>
#include <string.h>

#include "first.h"
#include "second.h"

static first_state a;
static second_state b;

/* A small generator, so that both models see data of their own, the same in any order of turns. */
static uint32_t next(uint32_t *random)
{
    *random = *random * 1664525U + 1013904223U;
    return *random >> 24;
}

static int write_hex(void *context, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    (void)context;
    for (size_t i = 0; i < size; i++) {
        printf("%02x", (unsigned)bytes[i]);
    }
    return 0;
}

int main(int count, char **words)
{
    uint32_t random_a = 1;
    uint32_t random_b = 2;
    if (count != 2) {
        return 2;
    }
    first_init(&a);
    second_init(&b);
    for (const char *turn = words[1]; *turn != '\0'; turn++) {
        tt_result result = {0.0f, 0};
        tt_status status;
        if (*turn == 'a') {
            for (size_t i = 0; i < FIRST_INPUT_SIZE; i++) {
                first_input(&a)[i] = (int8_t)((int)next(&random_a) - 128);
            }
            status = first_train_step(&a, (int32_t)(next(&random_a) % FIRST_CLASSES), &result);
        } else {
            for (size_t i = 0; i < SECOND_INPUT_SIZE; i++) {
                second_input(&b)[i] = (int8_t)((int)next(&random_b) - 128);
            }
            status = second_train_step(&b, (int32_t)(next(&random_b) % SECOND_CLASSES), &result);
        }
        if (status != TT_OK) {
            return 1;
        }
    }
    printf("a ");
    (void)first_save(&a, write_hex, NULL);
    printf("\nb ");
    (void)second_save(&b, write_hex, NULL);
    printf("\n%d\n", strcmp(first_version(), second_version()) != 0);
    return 0;
}
