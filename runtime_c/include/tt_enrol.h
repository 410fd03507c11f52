/* Classes that are told apart by a few samples, without training. Generated code calls this; an
 * application calls NAME_enrol, NAME_classify, NAME_enrolled, NAME_forget_class and
 * NAME_forget_all.
 *
 * A sample is compared by its code: what the head of the network reads of it, or a linear map of
 * that. Means follow Mensink and others, "Distance-Based Image Classification", PAMI 2013, section
 * 3.2; examples are Cover and Hart's nearest neighbours, "Nearest Neighbor Pattern Classification",
 * IEEE Transactions on Information Theory 1967. docs/arithmetic.md has every number under "Enrolled
 * classes". */
#ifndef TT_ENROL_H
#define TT_ENROL_H

#include "tinytrain.h"
#include "tt_kernels.h"
#include "tt_replay.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TT_NEIGHBOURS_MAX 15
#define TT_NOTHING_ELSE UINT32_MAX /* `other` where only one class is known */

/* What a sample was taken for. Distances are squared and in units of a code. */
typedef struct {
    int32_t label;     /* the class; of several as good ones that of the nearest */
    uint32_t distance; /* to the nearest of what is known of this class */
    uint32_t other;    /* to the nearest of all other classes; TT_NOTHING_ELSE without one. With
                        * several neighbours it may be smaller than distance: they vote */
} tt_enrol_result;

/* From what the head reads to a code. */
typedef struct {
    size_t features;      /* 1 to 65,535 */
    size_t codes;         /* 1 to 65,535 */
    const int8_t *matrix; /* [codes][features] */
    const int32_t *bias;  /* [codes], within +-2^30 */
    tt_requant requant;   /* of each code */
} tt_enrol_map;

/* Computes a code; |sum| <= 2^30 + 65,535 * 128 * 127 < 2^31. */
void tt_enrol_code(const tt_enrol_map *map, const int8_t *x, int8_t *code);

/* The mean code of each class, in units of 1/256. Any content is accepted. */
typedef struct {
    size_t codes;
    uint32_t class_count;
    int16_t *means;   /* [class_count][codes]; 0 where none was enrolled */
    uint16_t *counts; /* [class_count]: samples enrolled; stays at 65,535 */
} tt_enrol_means;

/* Adds a sample of a class, 0 <= label < class_count. Up to 256 samples it is their mean; from then
 * on the newest counts 1/256, and old ones fade. */
void tt_means_add(const tt_enrol_means *means, uint32_t label, const int8_t *code);

/* Sets the mean and the count of a class to 0. */
void tt_means_forget(const tt_enrol_means *means, uint32_t label);

/* Examples that are kept, balanced by class as in a replay buffer. */
typedef struct {
    size_t codes;
    tt_replay_buffer buffer;
    int8_t *samples; /* [buffer.slot_count][codes]; 0 where none is kept */
} tt_enrol_examples;

/* Offers a sample of a class, 0 <= label < buffer.class_count. */
void tt_examples_add(const tt_enrol_examples *examples, uint32_t label, const int8_t *code);

/* How many of the slots in use hold a sample of a class. */
uint32_t tt_examples_count(const tt_replay *replay, const uint16_t *labels, uint32_t slot_count,
                           uint32_t class_count, uint32_t label);

/* Removes the samples of a class, and closes the gaps; what is free afterwards is 0. */
void tt_examples_forget(const tt_enrol_examples *examples, uint32_t label);

/* A search for the nearest of what is known. */
typedef struct {
    uint32_t neighbours;                   /* that vote, 1 to TT_NEIGHBOURS_MAX */
    uint32_t found;                        /* of them */
    uint32_t distances[TT_NEIGHBOURS_MAX]; /* the smallest first; of equals the one met first */
    int32_t labels[TT_NEIGHBOURS_MAX];
    uint32_t other; /* the smallest of another class than labels[0] */
} tt_search;

void tt_search_begin(tt_search *search, uint32_t neighbours);

/* Meets codes s8 [count][codes] with their labels. A distance is at most 65,535 * 256^2 < 2^32 - 1.
 */
void tt_search_codes(tt_search *search, const int8_t *code, size_t codes, const int8_t *known,
                     const uint16_t *labels, size_t count);

/* Meets the examples that are kept, slot by slot. */
void tt_search_examples(tt_search *search, const int8_t *code, const tt_enrol_examples *examples);

/* Meets the means of all classes that have one, each rounded to a code. */
void tt_search_means(tt_search *search, const int8_t *code, const tt_enrol_means *means);

/* The class that most of the neighbours are of. TT_ERROR_EMPTY: nothing was met. */
tt_status tt_search_end(const tt_search *search, tt_enrol_result *result);

#ifdef __cplusplus
}
#endif

#endif
