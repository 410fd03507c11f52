/* A rehearsal set: labelled samples of before, in flash, to train on again and to be evaluated on.
 * Generated code calls this; an application calls NAME_rehearse_step and NAME_evaluate_rehearsal.
 *
 * Every class comes once in as many steps as there are classes, and every sample of a class once in
 * as many turns of the class as it has samples, both in random order (docs/arithmetic.md
 * section 9). */
#ifndef TT_REHEARSAL_H
#define TT_REHEARSAL_H

#include "tinytrain.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The samples of a class are a group and lie next to each other. What has no classes is one group.
 */
typedef struct {
    /* [group_count + 1]: group g has the slots from first[g] on, at least one, up to the one before
     * first[g + 1]. */
    const uint16_t *first;
    uint32_t group_count; /* 1 to 65,535 */
} tt_rehearsal;

typedef struct {
    uint32_t group;
    uint32_t slot;
} tt_rehearsal_choice;

/* The sample of step `number`, counted from 0 and modulo 2^32; another seed gives another order. */
tt_rehearsal_choice tt_rehearsal_choose(const tt_rehearsal *set, uint32_t seed, uint32_t number);

#ifdef __cplusplus
}
#endif

#endif
