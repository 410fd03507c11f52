/* The files that NAME_save and NAME_save_replay write, little endian, without gaps. A file of what
 * was learned: a tt_saved_header, the regions of the model, a tt_saved_scale for each gradient that
 * has a scale of its own, a tt_saved_step, a tt_saved_end. A file of samples: a tt_saved_header
 * with TT_SAMPLES_MAGIC, the regions of the replay buffer, a tt_saved_end.
 *
 * This is the one description: C writes these structures as they lie in memory, the compiler and
 * the simulation read their members and sizes from here, and docs/saved-file.md is written from the
 * comments. Generated code asserts that both see the same sizes. Other members or another order are
 * another TT_FILE_FORMAT.
 */
#ifndef TT_SAVED_FILE_H
#define TT_SAVED_FILE_H

#include <stdint.h>

/* Of what was learned, and of the samples of a replay buffer in RAM. */
#define TT_FILE_MAGIC "TTRN"
#define TT_SAMPLES_MAGIC "TTSM"
#define TT_FILE_FORMAT 2U

typedef struct {
    uint8_t magic[4];       /* the letters of TT_FILE_MAGIC, or of TT_SAMPLES_MAGIC */
    uint32_t format;        /* TT_FILE_FORMAT */
    uint8_t model_hash[32]; /* hash of the model; a file of another model is refused */
    uint32_t payload_size;  /* bytes between the header and the checksum */
    uint32_t weights_size;  /* bytes of the trained parameters, which are the first regions */
} tt_saved_header;

typedef struct {
    int32_t exponent;     /* exponent of the gradient's scale */
    uint32_t running_max; /* running maximum that the exponent follows */
} tt_saved_scale;

typedef struct {
    float rate;          /* that the schedule started from, over the accumulation window */
    float compiled_rate; /* the same of the firmware; a load takes rate / compiled_rate */
    uint32_t count;      /* training steps done */
} tt_saved_step;

typedef struct {
    uint32_t crc; /* CRC-32 of all bytes before it */
} tt_saved_end;

#endif
