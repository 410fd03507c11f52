/* When a sample without a label is taken for one of a class: docs/arithmetic.md, "Pseudo-labels".
 */
#include "tt_pseudo.h"

int32_t tt_pseudo_label(const tt_enrol_result *found, uint32_t far, uint32_t ratio, int32_t classes)
{
    /* Both products are below 2^40. */
    const int is_alone =
        (uint64_t)found->distance * TT_PSEUDO_UNIT < (uint64_t)found->other * ratio;
    return found->distance <= far && is_alone && found->label < classes ? found->label : -1;
}

void tt_pseudo_count(tt_pseudo_counts *counts, int32_t label)
{
    uint32_t *const count = label < 0 ? &counts->left : &counts->taken;
    *count += *count < UINT32_MAX;
}
