/* What an application may call, with any labels, targets, rates, rows and samples. */
#include "calls.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input in = {data, size};
    m_init(&state);
    forget_inputs();
    make_calls(&in);
    return 0;
}
