/* Gradient of a bias and its update in one go. */
#include "tt_sgd.h"
#include "tt_gradient.h"

#define TT_BODY "tt_bias_grad.inc.h"
#include "tt_each_dtype.inc.h"
