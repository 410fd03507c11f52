/* The compiler's flags that the arithmetic stands on. Fast math removes the checks for NaN,
 * infinity and rates, and gives other results. Every source of the runtime and of a model includes
 * this; an application does not. docs/firmware.md has the flags. */
#ifndef TT_FLAGS_H
#define TT_FLAGS_H

#if defined(__FAST_MATH__) || defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__) || \
    (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#error "tinytrain: build without -ffast-math, -Ofast and the like (docs/firmware.md)"
#endif

/* Fused multiply-add rounds once where two operations round twice. Strict C does without it by
 * itself; in GNU mode, which some build systems insist on, this says so. */
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__) && !defined(__STRICT_ANSI__)
#pragma GCC optimize("fp-contract=off")
#endif

#endif
