/* The clock of a board whose program ends in a link.
 *
 * One file `clock_<kind>.c` implements it; which one, and what it wants to know, stands in the
 * target's [serial] table. */
#ifndef TT_LINK_CLOCK_H
#define TT_LINK_CLOCK_H

#include <stdint.h>

/* Starts it. Returns its ticks in a second; 0 where they are not known. */
uint32_t tt_link_clock_begin(void);

/* Ticks so far, modulo 2^32. */
uint32_t tt_link_clock(void);

#endif
