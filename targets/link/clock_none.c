/* There is no clock that all chips of this kind have, and the target's file names none. */
#include "tt_link_clock.h"

uint32_t tt_link_clock_begin(void)
{
    return 0;
}

uint32_t tt_link_clock(void)
{
    return 0;
}
