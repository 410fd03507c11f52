/* The inner loops of the input gradient of convolutions, for integers and for floats. */
#include "tt_rows.h"

#define TT_ROW tt_row_s32
#define TT_ROWS_SUM int32_t
#define TT_ROWS_FACTOR int16_t
#define TT_ROWS_FN(name) name##s32
#include "tt_rows.inc.h"
#undef TT_ROW
#undef TT_ROWS_SUM
#undef TT_ROWS_FACTOR
#undef TT_ROWS_FN

#define TT_ROW tt_row_f32
#define TT_ROWS_SUM float
#define TT_ROWS_FACTOR float
#define TT_ROWS_FN(name) name##f32
#include "tt_rows.inc.h"
