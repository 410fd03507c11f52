/* Labels for samples that have none: a sample that lies close to a known class, and far from all
 * others, is trained on as one of that class (pseudo-labels: Lee, "Pseudo-Label", ICML Workshop on
 * Challenges in Representation Learning 2013). Generated code calls this; an application calls
 * NAME_train_unlabelled and NAME_unlabelled. docs/arithmetic.md has every number under
 * "Pseudo-labels". */
#ifndef TT_PSEUDO_H
#define TT_PSEUDO_H

#include "tinytrain.h"
#include "tt_enrol.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TT_PSEUDO_UNIT 256 /* of a ratio of distances */

/* What became of a sample without a label. Distances are squared, as in tt_enrol_result. */
typedef struct {
    int32_t label;     /* the class that it was trained on as one of; -1: it was left alone */
    uint32_t distance; /* to the nearest of what is known of its nearest class */
    uint32_t other;    /* to the nearest of all other classes */
    tt_result step;    /* before the step; 0 where the sample was left alone */
} tt_pseudo_result;

/* Samples without a label; a count stays at UINT32_MAX. */
typedef struct {
    uint32_t taken; /* for one of a class */
    uint32_t left;  /* alone */
} tt_pseudo_counts;

/* The pseudo-label of a sample that was taken for `found`: its class, if that is below `classes`,
 * its distance at most `far`, and distance * TT_PSEUDO_UNIT below ratio * other; else -1.
 * 1 <= ratio < TT_PSEUDO_UNIT. */
int32_t tt_pseudo_label(const tt_enrol_result *found, uint32_t far, uint32_t ratio,
                        int32_t classes);

/* Counts a sample with this pseudo-label. */
void tt_pseudo_count(tt_pseudo_counts *counts, int32_t label);

#ifdef __cplusplus
}
#endif

#endif
