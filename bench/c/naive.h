/* Contracts as in tt_kernels.h. */
#ifndef NAIVE_H
#define NAIVE_H

#include "tt_kernels.h"

extern __typeof__(tt_conv2d_s8) naive_conv2d_s8;
extern __typeof__(tt_depthwise_conv2d_s8) naive_depthwise_conv2d_s8;
extern __typeof__(tt_conv2d_s8_grad_input) naive_conv2d_s8_grad_input;
extern __typeof__(tt_depthwise_conv2d_s8_grad_input) naive_depthwise_conv2d_s8_grad_input;
extern __typeof__(tt_conv2d_s8_grad_weight) naive_conv2d_s8_grad_weight;

/* The same work by CMSIS-NN; cmsis_nn.c. Weights of a depthwise layer lie as CMSIS-NN wants them,
 * channel last. */
extern __typeof__(tt_conv2d_s8) cmsis_conv2d_s8;
extern __typeof__(tt_depthwise_conv2d_s8) cmsis_depthwise_conv2d_s8;

#endif
