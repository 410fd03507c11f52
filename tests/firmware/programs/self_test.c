/* A model tests itself, and is at its factory values afterwards. Prints `ok`, or `wrong` where the
 * test fails. */
#include <string.h>

#include "holds.h"
#include "memory_file.h"
#include "small.h"

static small_state state;
static memory_file factory, after;

int main(void)
{
    small_init(&state);
    HOLDS(small_save(&state, write_file, &factory) == TT_OK);
    memset(&state, 0x5a, sizeof state); /* whatever was there before */
    const tt_status status = small_self_test(&state);
    HOLDS(status == TT_OK || status == TT_ERROR_SELF_TEST);
    HOLDS(small_save(&state, write_file, &after) == TT_OK);
    HOLDS(files_equal(&factory, &after));
    puts(status == TT_OK ? "ok" : "wrong");
    return 0;
}
