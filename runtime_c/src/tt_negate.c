/* A gradient with the other sign: integers lie in +-L, so that none is out of range. */
#include "tt_gradient.h"

#define TT_BODY "tt_negate.inc.h"
#include "tt_each_dtype.inc.h"
