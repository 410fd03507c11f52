/* What an application may call, with any labels, targets, rates, rows and samples. */
#include "calls.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input in = {data, size};
    m_init(&state);
#ifdef REPLAY_IN_FLASH
    memset(flash, 0xff, sizeof flash);
    flash_fails = 0;
#endif
#ifdef HAS_guard
    memset(guarded, 0, sizeof guarded);
    guard_memory.at = 0;
#endif
    make_calls(&in);
    return 0;
}
