/* A step in portions: how far it is, and parts of a map as maps of their own. */
#include "tt_portions.h"

void tt_step_advance(tt_step_place *place, const tt_node_parts *nodes)
{
    place->done += nodes[place->node].instructions;
    place->part++;
    if (place->part >= nodes[place->node].parts) {
        place->part = 0;
        place->node++;
    }
}

uint32_t tt_step_share(const tt_step_place *place, uint32_t per_256th)
{
    const uint32_t share = place->done / per_256th;
    return !place->is_running ? 256U : share < 255U ? share : 255U;
}

tt_slice tt_slice_of(size_t part, size_t size, size_t extent)
{
    const size_t first = part * size;
    const size_t left = extent - first;
    return (tt_slice){first, left < size ? left : size};
}

tt_window tt_part_positions(const tt_window *whole, tt_slice positions)
{
    tt_window window = *whole;
    window.in_h = window.out_h = 1;
    window.in_w = window.out_w = (uint16_t)positions.count;
    return window;
}

tt_window tt_part_rows(const tt_window *whole, tt_slice rows, size_t *skip)
{
    const size_t above = rows.first * whole->stride_h; /* with the padding */
    const size_t begin = above > whole->pad_top ? above - whole->pad_top : 0;
    const size_t reach =
        (rows.count - 1) * whole->stride_h + (size_t)(whole->kernel_h - 1) * whole->dilation_h + 1;
    const size_t end = above + reach - whole->pad_top;
    tt_window window = *whole;
    window.in_h = (uint16_t)((end < whole->in_h ? end : whole->in_h) - begin);
    window.out_h = (uint16_t)rows.count;
    window.pad_top = (uint16_t)(above < whole->pad_top ? whole->pad_top - above : 0);
    *skip = begin;
    return window;
}

tt_window tt_part_grad_rows(const tt_window *whole, tt_slice rows, size_t *skip)
{
    const size_t above = rows.first + whole->pad_top;
    const size_t reach = (size_t)(whole->kernel_h - 1) * whole->dilation_h + 1;
    const size_t least = above < reach ? 0 : (above - reach) / whole->stride_h + 1;
    const size_t most = above / whole->stride_h;
    const size_t begin = least < most ? least : most;
    const size_t end = (above + rows.count - 1) / whole->stride_h + 1;
    tt_window window = *whole;
    window.in_h = (uint16_t)rows.count;
    window.out_h = (uint16_t)((end < whole->out_h ? end : whole->out_h) - begin);
    window.pad_top = (uint16_t)(above - begin * whole->stride_h);
    *skip = begin;
    return window;
}
