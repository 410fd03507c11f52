/* The compiler's flags that the arithmetic stands on. Fast math removes the checks for NaN,
 * infinity and rates, and gives other results. Every source of the runtime and of a model includes
 * this; of an application in C++ it asks nothing. docs/firmware.md has the flags. */
#ifndef TT_FLAGS_H
#define TT_FLAGS_H

#ifndef __cplusplus

#if defined(__FAST_MATH__) || defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__) || \
    (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#error "tinytrain: build without -ffast-math, -Ofast and the like (docs/firmware.md)"
#endif

/* Fused multiply-add rounds once where two operations round twice. Strict C does without it by
 * itself; in GNU mode, which some build systems insist on, this says so. Such build systems, as
 * Arduino's, take no flags from a library either: the arena's bytes hold s8, s16, s32 and f32 in
 * turn, which the compiler then hears from here. clang has no way to say that in a source. */
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__) && !defined(__STRICT_ANSI__)
#pragma GCC optimize("fp-contract=off", "no-strict-aliasing")
#endif

#endif

#endif
