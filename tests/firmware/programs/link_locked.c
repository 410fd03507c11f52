/* The program of --link with a lock: it takes parameters in as files alone that `tinytrain sign`
 * made with the key whose public half is in public_key.h. */
#include "own_link.h"
#include "public_key.h"
#include "signers.h"
#include "tt_link_board.h"

static own_state state;
static own_link self;
static ed25519 with;
static tt_signer signer;
static tt_link_lock lock = {.signer = &signer, .least = 5};

int main(void)
{
    signer = ed25519_signer(&with, public_key);
    own_init(&state);
    own_link_init(&self, &state, tt_link_board());
    if (own_link_set_lock(&self, &lock) != TT_OK) {
        return 1;
    }
    for (;;) {
        if (!own_link_poll(&self)) {
            tt_link_board_idle();
        }
    }
}
