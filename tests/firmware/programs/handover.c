/* What one firmware saved and another one loads: `handover save FILE`, `handover load FILE`.
 *
 * `load` prints the rate of the next step and the number of steps, in four cases: the application
 * has set no rate; it has set one before the load; it sets one behind it; the file was saved after
 * the application had lowered its rate to a quarter. */
#include <string.h>

#include "holds.h"
#include "memory_file.h"
#include "small.h"

static small_state state;
static memory_file file, lowered;

static void move(const char *path, const char *mode)
{
    FILE *open = fopen(path, mode);
    HOLDS(open != NULL);
    memory_file *const both[] = {&file, &lowered};
    for (int i = 0; i < 2; i++) {
        if (mode[0] == 'w') {
            HOLDS(fwrite(both[i], sizeof *both[i], 1, open) == 1);
        } else {
            HOLDS(fread(both[i], sizeof *both[i], 1, open) == 1);
        }
    }
    HOLDS(fclose(open) == 0);
}

static void save(const char *path)
{
    small_init(&state);
    for (int i = 0; i < 5; i++) {
        memset(small_input(&state), i, SMALL_INPUT_SIZE);
        HOLDS(small_train_step(&state, 0, NULL) == TT_OK);
    }
    HOLDS(small_save(&state, write_file, &file) == TT_OK);
    HOLDS(small_set_learning_rate(&state, state.step.rate / 4.0F) == TT_OK);
    HOLDS(small_save(&state, write_file, &lowered) == TT_OK);
    move(path, "wb");
}

static void tell(void)
{
    printf("%.9g %u %u\n", (double)small_learning_rate(&state), (unsigned)state.step.count,
           (unsigned)state.step.seed);
}

int main(int count, char **arguments)
{
    HOLDS(count == 3);
    if (strcmp(arguments[1], "save") == 0) {
        save(arguments[2]);
        return 0;
    }
    move(arguments[2], "rb");
    for (int when = 0; when < 3; when++) {
        small_init(&state);
        if (when == 1) {
            HOLDS(small_set_learning_rate(&state, 0.0625F) == TT_OK);
        }
        HOLDS(small_load(&state, read_file, &file) == TT_OK);
        if (when == 2) {
            HOLDS(small_set_learning_rate(&state, 0.0625F) == TT_OK);
        }
        tell();
    }
    small_init(&state);
    HOLDS(small_load(&state, read_file, &lowered) == TT_OK);
    tell();
    return 0;
}
