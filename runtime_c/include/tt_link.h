/* tt_link: a model at the end of a wire. A host asks, the device answers: samples, training steps,
 * evaluations, figures, trained parameters in and out. docs/link.md explains it.
 *
 * A frame is a tt_link_header, a body and the CRC-32 of both (zlib's), little endian, encoded by
 * COBS, with a byte 0 before and behind it. It goes over any stream of bytes. The host waits for
 * the answer of a question before it asks the next one, and asks again with the same sequence
 * number where none comes; the device then answers again and does nothing twice.
 *
 * This is the one description: C takes types, sizes and functions from the tables below, the host
 * reads them here, and docs/link.md is written from their comments. Other bodies are another
 * TT_LINK_PROTOCOL.
 *
 * Nothing here waits, allocates memory or may be called from an interrupt. NAME_link.h, which is
 * generated, has the functions that an application calls. */
#ifndef TT_LINK_H
#define TT_LINK_H

#include "tt_signed.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TT_LINK_PROTOCOL 1U
#define TT_LINK_ANSWER 128U /* is added to the type of an answer */

/* The largest body in bytes, at least that of HELLO, 144. A link holds two frames of it. */
#ifndef TT_LINK_BODY
#define TT_LINK_BODY 256
#endif

/* The largest tag of a signed file in bytes: 64 of Ed25519. A tt_link_lock holds one. */
#ifndef TT_LINK_TAG
#define TT_LINK_TAG 64
#endif

typedef struct {
    uint32_t sequence; /* the host counts its questions, from any number on; an answer repeats it */
    uint8_t type;      /* a row of TT_LINK_MESSAGES; of an answer with TT_LINK_ANSWER added */
    uint8_t status;    /* 0 in a question; in an answer a tt_status, or a row of TT_LINK_STATUSES */
    uint16_t size;     /* bytes of the body */
} tt_link_header;

typedef struct {
    uint32_t crc; /* CRC-32 of header and body */
} tt_link_end;

typedef struct {
    uint32_t flags; /* 1 where it is said what that means, else 0 */
} tt_link_request;

typedef struct {
    uint32_t protocol;      /* TT_LINK_PROTOCOL */
    uint32_t body;          /* TT_LINK_BODY */
    uint32_t input_bytes;   /* of the inputs of a sample */
    uint32_t target_bytes;  /* of its target, which follows them: s32 label, u8 labels or f32 */
    uint32_t output_bytes;  /* of the f32 outputs */
    uint32_t saved_bytes;   /* of a saved file, samples of a replay buffer behind it */
    uint32_t state_bytes;   /* of NAME_state */
    uint32_t link_bytes;    /* of NAME_link */
    uint32_t clock_hz;      /* ticks of the port's clock in a second; 0: it has none */
    uint32_t messages;      /* bit N: the model answers messages of type N */
    uint32_t gradients;     /* rows of counters of gradients */
    uint32_t updates;       /* rows of counters of updates */
    uint32_t classes;       /* rows of counters of classes */
    uint32_t has_label;     /* 1: the target of a sample is one label */
    uint32_t settings;      /* CRC-32 of rate, schedule, seed and slots; 0 where nothing trains */
    uint32_t steps;         /* training steps done, of those that a saved file counts */
    uint8_t model_hash[32]; /* of the model, as in a saved file */
    uint8_t name[32];       /* of the model, with zeros behind it; cut off where it is longer */
    uint8_t version[16];    /* of the compiler, likewise */
} tt_link_hello;

typedef struct {
    float rate; /* learning rate; in a question 0 to NAME_RATE_LIMIT */
} tt_link_rate;

/* What it is a piece of follows it, up to the end of the body. */
typedef struct {
    uint32_t offset; /* of the piece, in bytes */
} tt_link_piece;

typedef struct {
    uint32_t size; /* bytes that are there, from the beginning on without a gap */
    uint32_t crc;  /* CRC-32 of what was written last, or of all of them; of a sample 0 */
} tt_link_place;

typedef struct {
    float loss;         /* before the update; 0 where there is none */
    int32_t prediction; /* index of the largest output; -1 where it is none */
    uint32_t ticks;     /* of the port's clock, for the model's function alone */
    uint32_t steps;     /* training steps done, this one among them */
} tt_link_result;

typedef struct {
    uint32_t trained;         /* steps since the figures were forgotten last */
    uint32_t trained_right;   /* of these, whose prediction was their label */
    float trained_loss;       /* mean loss of these; NaN or infinite from the first such loss on */
    uint32_t evaluated;       /* the same of samples that were evaluated */
    uint32_t evaluated_right; /* likewise */
    float evaluated_loss;     /* likewise */
    float last_loss;          /* of the last step; 0 before the first */
    uint32_t last_ticks;      /* of the port's clock for the last step */
} tt_link_metrics;

typedef struct {
    uint32_t steps;        /* training steps since NAME_init, with those that were skipped */
    uint32_t skipped;      /* of these, those that changed nothing as their loss was not finite */
    uint32_t seen;         /* input elements that were quantized on the device */
    uint32_t clipped;      /* of these, those outside of the input's range */
    uint32_t absent_after; /* steps without a class after which it fades; 0 where none is counted */
    uint32_t stack_used;   /* deepest stack in bytes; 0 where the port does not tell */
    uint32_t damaged;      /* frames whose COBS, size or CRC was wrong: nothing was answered */
    uint32_t refused;      /* frames that were whole, and refused */
    uint32_t repeated;     /* questions that came again, and were only answered */
    float rate;            /* learning rate of the next step */
} tt_link_health;

typedef struct {
    uint32_t table; /* 0 gradients, 1 updates, 2 classes */
    uint32_t first; /* row from which on as many come as one body takes */
} tt_link_rows;

/* Of a gradient: saturated, rises, falls, 0. Of an update: seen, lost, at an end, 0. Of a class:
 * labels, right, predictions, since. tinytrain.h explains them. */
typedef struct {
    uint32_t first;  /* counter */
    uint32_t second; /* counter */
    uint32_t third;  /* counter */
    uint32_t fourth; /* counter */
} tt_link_row;

typedef struct {
    uint32_t count;   /* samples */
    uint32_t correct; /* of these, whose prediction was their label */
    float loss;       /* mean loss */
} tt_link_figures;

typedef struct {
    uint32_t least; /* the smallest counter that is accepted */
    uint32_t tag;   /* bytes of a tag */
} tt_link_signed;

/* clang-format off */
/* ROW(type, NAME, name, question, EXACT or MORE, answer, when): a question has the body
 * tt_link_question, and where it says MORE data behind it; an answer has the body tt_link_answer,
 * with data behind it where it is a piece or a row. When it is answered: ALWAYS, by a link that is
 * UNLOCKED, or by one that is LOCKED. */
#define TT_LINK_MESSAGES(ROW) \
    ROW(1, HELLO, hello, request, EXACT, hello, ALWAYS) \
    /* begins a session: later questions count from its sequence number on. The model stays as \
     * it is. */ \
    ROW(2, RESET, reset, request, EXACT, request, UNLOCKED) \
    /* back to the factory state; figures and counters are forgotten */ \
    ROW(3, RATE, rate, rate, EXACT, rate, UNLOCKED) \
    /* sets the learning rate that steps start from; answers that of the next step */ \
    ROW(4, SAMPLE, sample, piece, MORE, place, ALWAYS) \
    /* a piece of a sample: inputs, then target. Pieces come in order; offset 0 begins anew. */ \
    ROW(5, INFER, infer, piece, MORE, result, ALWAYS) \
    /* takes the last piece, which may be empty, and infers; the sample is used up, as by the \
     * next ones */ \
    ROW(6, EVALUATE, evaluate, piece, MORE, result, ALWAYS) \
    /* the same with loss */ \
    ROW(7, TRAIN, train, piece, MORE, result, UNLOCKED) \
    /* the same with a training step */ \
    ROW(8, REMEMBER, remember, piece, MORE, result, UNLOCKED) \
    /* offers the sample to the replay buffer; learns nothing */ \
    ROW(9, LEARN, learn, piece, MORE, result, UNLOCKED) \
    /* trains and remembers */ \
    ROW(10, REPLAY, replay, request, EXACT, result, UNLOCKED) \
    /* a step on a remembered sample */ \
    ROW(11, REHEARSE, rehearse, request, EXACT, result, UNLOCKED) \
    /* a step on a sample of the rehearsal set */ \
    ROW(12, OUTPUT, output, piece, EXACT, piece, ALWAYS) \
    /* the outputs of the last INFER, or the recalls of the last REHEARSAL, from an offset on, as \
     * many bytes as one body takes; nothing must come between */ \
    ROW(13, METRICS, metrics, request, EXACT, metrics, ALWAYS) \
    /* figures since they were forgotten; flags 1 forgets them after that */ \
    ROW(14, HEALTH, health, request, EXACT, health, ALWAYS) \
    /* counters of the model and of the link */ \
    ROW(15, COUNTERS, counters, rows, EXACT, row, ALWAYS) \
    /* counters tensor by tensor */ \
    ROW(16, SNAPSHOT, snapshot, request, EXACT, place, UNLOCKED) \
    /* saves the parameters to where READ takes them from; flags 1 only says what is there */ \
    ROW(17, READ, read, piece, EXACT, piece, UNLOCKED) \
    /* a piece of the file that is there, from an offset on */ \
    ROW(18, WRITE, write, piece, MORE, place, ALWAYS) \
    /* a piece of a saved file, or of a signed one; pieces come in order, offset 0 begins anew, an \
     * empty one asks how far it is */ \
    ROW(19, LOAD, load, request, EXACT, request, ALWAYS) \
    /* loads the file once it is whole; one that is damaged, of another model, or for a link that \
     * is locked not signed, changes nothing */ \
    ROW(20, SELF_TEST, self_test, request, EXACT, request, UNLOCKED) \
    /* NAME_self_test; the state is at its factory values afterwards */ \
    ROW(21, SIGNED, signed, request, EXACT, signed, LOCKED) \
    /* what a file needs that a locked link takes */ \
    ROW(22, REHEARSAL, rehearsal, request, EXACT, figures, ALWAYS) \
    /* evaluates the rehearsal set; f32 recalls of the classes, -1 for one that it lacks, are then \
     * what OUTPUT gives */ \
    ROW(23, FOLLOW, follow, piece, MORE, result, UNLOCKED) \
    /* the same as INFER, and follows drift over the sample */ \
    ROW(24, FOLLOW_RESET, follow_reset, request, EXACT, request, UNLOCKED) \
    /* back to the moments of training */

/* ROW(status, NAME): those below are of tt_status. */
#define TT_LINK_STATUSES(ROW) \
    ROW(64, UNKNOWN) \
    /* there is no such message, or the model was compiled without what it asks for */ \
    ROW(65, SIZE) \
    /* the body does not have the size that the message has */ \
    ROW(66, ORDER) \
    /* the sequence number is neither that of the last question nor the next one */ \
    ROW(67, SESSION) \
    /* HELLO did not come yet: the device was reset */ \
    ROW(68, GAP) \
    /* the piece does not begin where the one before it ended */ \
    ROW(69, RANGE) \
    /* an offset, a table or a row lies beyond the end */ \
    ROW(70, PART) \
    /* the sample or the file is not whole */ \
    ROW(71, LOCKED) \
    /* the link is locked: nothing but a signed file changes what was learned, and none of it is \
     * read out */
/* clang-format on */

typedef enum {
#define TT_LINK_ROW(type, NAME, name, question, more, answer, when) TT_LINK_##NAME = type,
    TT_LINK_MESSAGES(TT_LINK_ROW)
#undef TT_LINK_ROW
} tt_link_type;

typedef enum {
#define TT_LINK_ROW(status, NAME) TT_LINK_ERROR_##NAME = status,
    TT_LINK_STATUSES(TT_LINK_ROW)
#undef TT_LINK_ROW
} tt_link_status;

/* What the link needs from the board. context: of the same structure. */
typedef struct {
    int (*read)(void *context); /* a byte, 0 to 255; -1: none yet */
    void (*write)(void *context, const void *data, size_t size); /* may wait until they are sent */
    uint32_t (*clock)(void *context);                            /* ticks, which wrap; or NULL */
    uint32_t clock_hz;                                           /* ticks in a second */
    uint32_t (*stack_used)(void *context); /* deepest stack in bytes so far; or NULL */
    void *context;
} tt_link_port;

/* A compiled model as the link sees it; NAME_link.c has one. What the model lacks is NULL. `model`
 * is the NAME_link that the link belongs to. */
typedef struct {
    const char *name;
    const char *version;
    uint8_t hash[32];
    uint32_t input_bytes, target_bytes, output_bytes, saved_bytes, state_bytes, link_bytes;
    uint32_t gradients, updates, classes;
    uint32_t recall_bytes; /* of what evaluate_rehearsal gives for each class */
    int32_t has_label;     /* whether the target is a label, which figures count */
    uint32_t settings;     /* a number of how it trains, as far as the hash leaves that open */
    void (*init)(void *model);
    /* Takes a piece of the inputs; pieces come in order. */
    void (*put)(void *model, uint32_t offset, const uint8_t *data, uint32_t size);
    tt_status (*infer)(void *model, float *output, tt_result *result);
    tt_status (*evaluate)(void *model, const void *target, tt_result *result);
    tt_status (*train)(void *model, const void *target, tt_result *result);
    tt_status (*remember)(void *model, const void *target);
    tt_status (*learn)(void *model, const void *target, tt_result *result);
    tt_status (*replay)(void *model, tt_result *result);
    tt_status (*rehearse)(void *model, tt_result *result);
    tt_status (*follow)(void *model, float *output, tt_result *result);
    void (*follow_reset)(void *model);
    tt_status (*evaluate_rehearsal)(void *model, tt_metrics *metrics, float *recall);
    tt_status (*set_rate)(void *model, float rate);
    float (*rate)(void *model);
    uint32_t (*steps)(void *model);
    void (*health)(void *model, tt_link_health *health);
    void (*row)(void *model, uint32_t table, uint32_t index, tt_link_row *row);
    tt_status (*save)(void *model, tt_write_fn write, void *context);
    tt_status (*load)(void *model, tt_read_fn read, void *context);
    tt_status (*self_test)(void *model);
} tt_link_model;

typedef struct tt_link tt_link;

/* What a link is locked with: it then takes parameters in as signed files alone. The caller sets
 * the first two members. */
typedef struct {
    const tt_signer *signer; /* verifies; its tag has at most TT_LINK_TAG bytes */
    /* The smallest counter that is accepted. A file that was taken raises it to one more than its
     * own; 4,294,967,295 is never passed, and a file with that counter can be taken again. */
    uint32_t least;
    uint8_t end[8 + TT_LINK_TAG]; /* of a signed file, behind what the link has room for */
    tt_status (*load)(tt_link *link, tt_read_fn read);
} tt_link_lock;

/* A frame without its encoding. */
typedef struct {
    tt_link_header header;
    uint8_t rest[TT_LINK_BODY + 4]; /* the body, and the CRC behind it */
} tt_link_frame;

/* One end of a wire. Members are not for the caller. */
struct tt_link {
    const tt_link_model *calls;
    void *model;
    tt_link_lock *lock; /* NULL without one */
    tt_link_port port;
    /* Between steps the arena holds nothing but a sample: a saved file lies there on its way in or
     * out, behind it what does not fit, and behind that the end of a signed one. */
    uint8_t *file[3];
    uint32_t file_sizes[3];
    void *values;            /* the target of a sample, the outputs, or recalls */
    uint32_t outputs;        /* bytes of `values` that OUTPUT gives */
    uint32_t sample_bytes;   /* of the sample that are there */
    uint32_t file_bytes;     /* of the file that are there */
    uint32_t answer_size;    /* of the body of the last answer */
    uint32_t first, last;    /* sequence numbers of the session */
    uint32_t received;       /* bytes of the frame that is coming in */
    uint8_t left, code;      /* of the COBS block that is coming in */
    uint8_t is_open, is_bad; /* whether there is a session; whether the frame is lost already */
    uint32_t damaged, refused, repeated;
    tt_metrics trained, evaluated;
    tt_result last_result;
    uint32_t last_ticks;
    tt_link_frame in, out;
};

/* Sets a link up, for NAME_link_init: everything but `calls`, `model`, `port`, `values` and
 * the first two of `file` and `file_sizes`, which are set before. */
void tt_link_init(tt_link *link);

/* Locks a link that is set up, for good. lock: belongs to the caller, and stays where it is. From
 * now on a file is taken only if `tt_signed_open` accepts it, and whatever else changes what was
 * learned, or reads it out, is refused. TT_ERROR_SIGNATURE: the signer verifies nothing, or has a
 * longer tag than TT_LINK_TAG; the link is locked all the same, and takes no file. */
tt_status tt_link_set_lock(tt_link *link, tt_link_lock *lock);

/* Whether a file is on its way, in or out. A firmware that trains by itself then waits with its
 * next step, which needs the memory that the file lies in; it decides how long. */
int tt_link_receives(const tt_link *link);

/* Takes the bytes that have come, up to the end of one frame, and answers it. Returns 1 where it
 * has taken a frame, else 0. Call it as often as bytes may come, from where the model may run: a
 * question that trains takes as long as a training step. */
int tt_link_poll(tt_link *link);

/* Adds a training step that the application made itself to the figures of METRICS. label: as for
 * tt_metrics_add. ticks: of the port's clock. The step has used the arena, so that a sample or a
 * file that was on its way begins anew: call it behind every step of the application's own. */
void tt_link_saw(tt_link *link, const tt_result *result, int32_t label, uint32_t ticks);

#ifdef __cplusplus
}
#endif

#endif
