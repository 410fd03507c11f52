/* Where the link of `port/main_link.c` ends: one file `link_<place>.c` implements it. */
#ifndef TT_LINK_BOARD_H
#define TT_LINK_BOARD_H

#include "tt_link.h"

/* Switches the serial line and the clock on, once, and says how to use them. Does not return where
 * there is no line. */
const tt_link_port *tt_link_board(void);

/* Waits until a byte may have come where an operating system can do so; anywhere else it returns at
 * once. For a program that has nothing else to do. */
void tt_link_board_idle(void);

#endif
