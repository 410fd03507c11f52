/* A firmware that trains by itself and answers a host between its steps, behind the pseudo-terminal
 * of port/link_host.c. */
#include "own_link.h"
#include "tt_link_board.h"
#include "tt_self_test.h"

static own_state state;
static own_link self;

int main(void)
{
    const tt_link_port *port = tt_link_board();
    uint32_t random = 1;
    own_init(&state);
    own_link_init(&self, &state, port);
    for (int32_t i = 0;; i++) {
        tt_result result = {0.0f, 0};
        const int32_t label = i % OWN_CLASSES;
        const uint32_t start = port->clock(port->context);
        random = tt_self_test_fill(random, 1, OWN_INPUT_SIZE, own_input(&state));
        (void)own_train_step(&state, label, &result);
        own_link_saw(&self, &result, label, port->clock(port->context) - start);
        while (own_link_poll(&self)) {
        }
    }
}
