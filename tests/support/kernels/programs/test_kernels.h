/* The table of kernels under test. */
#ifndef TEST_KERNELS_H
#define TEST_KERNELS_H

#include "test_operands.h"

typedef void (*test_function)(void);

/* Draws the operands of a case, raises the fences and calls a function of this contract. */
typedef void (*test_driver)(const test_case *test, test_operands *operands, test_function function);
#define TEST_DRIVER(contract) \
    void test_##contract(const test_case *test, test_operands *operands, test_function function)
TEST_DRIVER(conv2d_s8);
TEST_DRIVER(conv2d_s8_s32);
TEST_DRIVER(depthwise_conv2d_s8);
TEST_DRIVER(conv2d_s8_grad_input);
TEST_DRIVER(depthwise_conv2d_s8_grad_input);
TEST_DRIVER(conv2d_s8_grad_weight);
TEST_DRIVER(depthwise_conv2d_s8_grad_weight);
TEST_DRIVER(avg_pool2d_s8_grad);
TEST_DRIVER(bias_s8_grad);
TEST_DRIVER(add_s8);
TEST_DRIVER(clamp_mask_s8);
TEST_DRIVER(grad_clamp_s8);
TEST_DRIVER(grad_clamp_mask_s8);
TEST_DRIVER(grad_add_s8);

typedef struct {
    const char *name;
    test_driver driver;
    test_function portable, tested;
} test_kernel;

extern const test_kernel test_kernels[];
extern const size_t test_kernel_count;

#endif
