#include "test_kernels.h"
#include "tested_kernels.h"

#define KERNEL(contract, kernel) \
    {#kernel, test_##contract, (test_function)tt_##contract, (test_function)kernel},

const test_kernel test_kernels[] = {
#include "tested_kernels.inc.h"
};
const size_t test_kernel_count = sizeof test_kernels / sizeof *test_kernels;
