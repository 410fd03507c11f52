/* One case as Python writes it to cases.bin: little-endian words in this order (cases.py). */
#ifndef TEST_CASE_H
#define TEST_CASE_H

#include "tt_kernels.h"

typedef struct {
    uint32_t kernel; /* entry of the table of kernels */
    uint32_t seed;   /* of all operands */
    uint32_t fences; /* nonzero: the memory protection unit guards ends of buffers (test_arena.h) */
    uint32_t workspace_bytes, portable_workspace_bytes;
    uint32_t window[15];        /* fields of tt_window in order */
    uint32_t segment_counts[3]; /* channels of each segment; 0: no such segment */
    uint32_t listed; /* nonzero: segments or outputs come with a list even where it is complete */
    uint32_t count;  /* depthwise: listed outputs; element-wise kernels: elements or channels */
    uint32_t rows;   /* bias: positions */
    uint32_t fraction_bits; /* of trained weights */
    uint32_t in_place;      /* nonzero: the kernel under test writes over its input */
} test_case;

#define TEST_CASE_WORDS 28

_Static_assert(sizeof(test_case) == 4 * TEST_CASE_WORDS, "Python writes this many words");

#endif
