/* Moves elements and changes none: concatenate, slice, gather, transpose, and their gradients. */
#include <string.h>

#include "tt_kernels.h"

/* Sizes that a compiler knows become single loads and stores. */
static inline void copy_element(size_t size, void *to, const void *from)
{
    switch (size) {
    case 1:
        memcpy(to, from, 1);
        break;
    case 2:
        memcpy(to, from, 2);
        break;
    case 4:
        memcpy(to, from, 4);
        break;
    default:
        memcpy(to, from, size);
        break;
    }
}

void tt_copy_rows(size_t rows, size_t row_bytes, const void *x, size_t x_step, void *y,
                  size_t y_step)
{
    const uint8_t *from = x;
    uint8_t *to = y;
    for (size_t row = 0; row < rows; row++) {
        memcpy(to + row * y_step, from + row * x_step, row_bytes);
    }
}

void tt_copy_blocks(size_t outer, size_t count, size_t block, const void *x, size_t x_outer,
                    size_t x_step, void *y, size_t y_outer, size_t y_step)
{
    const uint8_t *from = x;
    uint8_t *to = y;
    for (size_t row = 0; row < outer; row++) {
        for (size_t k = 0; k < count; k++) {
            memcpy(to + row * y_outer + k * y_step, from + row * x_outer + k * x_step, block);
        }
    }
}

void tt_pad(size_t size, int fill, size_t outer, size_t count, size_t block, const void *x,
            size_t start, size_t y_outer, size_t y_step, void *y)
{
    memset(y, fill, size);
    tt_copy_blocks(outer, count, block, x, count * block, block, (uint8_t *)y + start, y_outer,
                   y_step);
}

void tt_gather_channels(size_t element_size, size_t rows, size_t x_channels,
                        const uint16_t *channels, size_t count, const void *x, void *y)
{
    const uint8_t *from = x;
    uint8_t *to = y;
    for (size_t row = 0; row < rows; row++, from += x_channels * element_size) {
        for (size_t j = 0; j < count; j++, to += element_size) {
            copy_element(element_size, to, from + channels[j] * element_size);
        }
    }
}

void tt_transpose(size_t element_size, const uint16_t shape[4], const uint8_t axes[4],
                  const void *x, void *y)
{
    const uint8_t *from = x;
    uint8_t *to = y;
    size_t input_step[4] = {0, 0, 0, element_size};
    for (size_t axis = 3; axis > 0; axis--) {
        input_step[axis - 1] = input_step[axis] * shape[axis];
    }
    size_t step[4];
    uint16_t extent[4];
    for (size_t axis = 0; axis < 4; axis++) {
        step[axis] = input_step[axes[axis]];
        extent[axis] = shape[axes[axis]];
    }
    for (size_t a = 0; a < extent[0]; a++) {
        for (size_t b = 0; b < extent[1]; b++) {
            for (size_t c = 0; c < extent[2]; c++) {
                const uint8_t *row = from + a * step[0] + b * step[1] + c * step[2];
                for (size_t d = 0; d < extent[3]; d++, to += element_size) {
                    copy_element(element_size, to, row + d * step[3]);
                }
            }
        }
    }
}

void tt_transpose_nd(size_t element_size, size_t rank, const uint16_t *shape, const uint8_t *axes,
                     const void *x, void *y)
{
    const uint8_t *from = x;
    uint8_t *to = y;
    size_t step[TT_MAX_RANK], index[TT_MAX_RANK];
    size_t total = 1;
    for (size_t axis = 0; axis < rank; axis++) {
        size_t inner = element_size;
        for (size_t after = (size_t)axes[axis] + 1; after < rank; after++) {
            inner *= shape[after];
        }
        step[axis] = inner;
        index[axis] = 0;
        total *= shape[axis];
    }
    for (size_t k = 0, offset = 0; k < total; k++, to += element_size) {
        copy_element(element_size, to, from + offset);
        for (size_t axis = rank; axis-- > 0;) {
            offset += step[axis];
            if (++index[axis] < shape[axes[axis]]) {
                break;
            }
            offset -= step[axis] * shape[axes[axis]];
            index[axis] = 0;
        }
    }
}
