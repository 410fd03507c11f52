/* Kernels with one mistake each: what the comparison has to find. */
#include "test_kernels.h"
#include "tested_kernels.h"

#define CONV2D(name)                                                                          \
    void name(const tt_window *window, const tt_requant *requant, const tt_segment *segments, \
              size_t segment_count, const int32_t *bias, const int8_t *x, int8_t *y,          \
              void *workspace, size_t workspace_bytes)
#define PORTABLE() \
    tt_conv2d_s8(window, requant, segments, segment_count, bias, x, y, workspace, workspace_bytes)
#define SIZE_Y ((size_t)window->out_h * window->out_w * window->out_c)
#define SIZE_X ((size_t)window->in_h * window->in_w * window->in_c)

CONV2D(tt_conv2d_s8_none)
{
    PORTABLE();
}

CONV2D(tt_conv2d_s8_result)
{
    PORTABLE();
    y[SIZE_Y - 1] = (int8_t)(y[SIZE_Y - 1] ^ 1);
}

CONV2D(tt_conv2d_s8_behind)
{
    PORTABLE();
    y[SIZE_Y] = (int8_t)~y[SIZE_Y];
}

CONV2D(tt_conv2d_s8_before)
{
    PORTABLE();
    y[-1] = (int8_t)~y[-1];
}

CONV2D(tt_conv2d_s8_beyond)
{
    PORTABLE();
    ((uint8_t *)workspace)[4096] ^= 1U;
}

CONV2D(tt_conv2d_s8_input)
{
    PORTABLE();
    ((int8_t *)(uintptr_t)x)[0] ^= 1;
}

CONV2D(tt_conv2d_s8_bias)
{
    PORTABLE();
    ((int32_t *)(uintptr_t)bias)[window->out_c] ^= 1;
}

CONV2D(tt_conv2d_s8_read)
{
    PORTABLE();
    (void)*(const volatile int8_t *)&x[SIZE_X];
}

void tt_conv2d_s8_grad_input_peak(const tt_window *window, const tt_segment *segments,
                                  size_t segment_count, const tt_factors *factors,
                                  const tt_rescale *rescale, const int8_t *g, int8_t *dx,
                                  void *workspace, size_t workspace_bytes)
{
    tt_conv2d_s8_grad_input(window, segments, segment_count, factors, rescale, g, dx, workspace,
                            workspace_bytes);
    rescale->output->peak++;
}

void tt_conv2d_s8_grad_weight_fraction(const tt_window *window, const tt_update *update,
                                       const tt_step *step, int8_t x_zero, const int8_t *x,
                                       const int8_t *g, tt_trained *trained, void *workspace)
{
    tt_conv2d_s8_grad_weight(window, update, step, x_zero, x, g, trained, workspace);
    if (trained->fraction_bits != 0) {
        trained->fraction[0] ^= 1U;
    }
}

/* Writes an input channel that no listed output reads. */
void tt_depthwise_conv2d_s8_grad_input_unlisted(const tt_window *window, const int8_t *weights,
                                                const uint16_t *outputs, size_t count,
                                                const tt_factors *factors,
                                                const tt_rescale *rescale, const int8_t *g,
                                                int8_t *dx, void *workspace)
{
    tt_depthwise_conv2d_s8_grad_input(window, weights, outputs, count, factors, rescale, g, dx,
                                      workspace);
    for (size_t i = 0; i < SIZE_X && count < window->out_c; i++) {
        if (i % window->in_c == window->in_c - 1U) {
            dx[i] = 0;
        }
    }
}

#if defined(__ARM_FEATURE_MVE)
#include <arm_mve.h>

CONV2D(tt_conv2d_s8_vector)
{
    PORTABLE();
    /* On bytes as halfwords: a fault on a core unless their address happens to be even. */
    vst1q_s16((int16_t *)workspace,
              vld1q_s16((const int16_t *)(const void *)(x + ((uintptr_t)x & 1U ? 0 : 1))));
}

/* A load of words from the first address, then one of bytes from the second. The first instruction
 * ends a page of QEMU's translator, or lies in two. */
void load_at_the_end_of_a_page(const void *words, const void *bytes);
void load_across_two_pages(const void *words, const void *bytes);

/* clang-format off */
#define LOADS(name, left)                  \
    "    .balign 1024\n"                   \
    "    .global " name "\n"               \
    "    .type " name ", %function\n"      \
    "    .thumb_func\n"                    \
    name ":\n"                             \
    "    b.w 1f\n"                         \
    "    .space 1024 - 4 - " left "\n"     \
    "1:\n"                                 \
    "    vldrw.32 q0, [r0]\n"              \
    "    vldrb.8 q1, [r1]\n"               \
    "    bx lr\n"
__asm__("    .syntax unified\n"
        "    .thumb\n"
        "    .section .text.loads, \"ax\", %progbits\n"
        LOADS("load_at_the_end_of_a_page", "4")
        LOADS("load_across_two_pages", "2")
        "    .text\n");
/* clang-format on */

CONV2D(tt_conv2d_s8_pages)
{
    PORTABLE();
    const int8_t *bytes = workspace;
    load_at_the_end_of_a_page(bytes, bytes + 1);
    load_across_two_pages(bytes, bytes + 1);
}

CONV2D(tt_conv2d_s8_page_end)
{
    PORTABLE();
    load_at_the_end_of_a_page((const int8_t *)workspace + 2, workspace);
}

CONV2D(tt_conv2d_s8_two_pages)
{
    PORTABLE();
    load_across_two_pages((const int8_t *)workspace + 2, workspace);
}
#endif
