/* COBS: S. Cheshire and M. Baker, "Consistent Overhead Byte Stuffing", IEEE/ACM Transactions on
 * Networking 7 (1999). */
#include "tt_link.h"

#include <string.h>

#include "tt_kernels.h"

/* A question of a known type: its body and how much follows, and where the answer's body goes. */
typedef struct {
    const uint8_t *body;
    const uint8_t *data; /* behind the body's structure */
    uint32_t size;       /* of data */
    uint8_t *answer;
} question;

enum { EXACT = 0, MORE = 1 };
enum { ALWAYS, UNLOCKED, LOCKED };

_Static_assert(TT_LINK_BODY >= sizeof(tt_link_hello), "TT_LINK_BODY is too small for HELLO");
_Static_assert(TT_LINK_BODY <= 65535, "the size of a body has 16 bits");
_Static_assert(sizeof(tt_link_header) == 8 && sizeof(tt_link_frame) == 8 + TT_LINK_BODY + 4,
               "a frame lies in memory as it is sent");

static void send_block(tt_link *link, const uint8_t *data, uint32_t size)
{
    const uint8_t code = (uint8_t)(size + 1U);
    link->port.write(link->port.context, &code, 1);
    if (size > 0) {
        link->port.write(link->port.context, data, size);
    }
}

/* COBS: each block is as long as its first byte says, less 1; a 0 follows it unless that is 255 or
 * the frame ends. */
static void send_encoded(tt_link *link, const uint8_t *data, uint32_t size)
{
    static const uint8_t zero = 0;
    uint32_t from = 0;
    link->port.write(link->port.context, &zero, 1);
    for (uint32_t at = 0; at < size; at++) {
        if (data[at] == 0) {
            send_block(link, data + from, at - from);
            from = at + 1U;
        } else if (at - from == 253U) {
            send_block(link, data + from, 254U);
            from = at + 1U;
            if (from == size) {
                link->port.write(link->port.context, &zero, 1);
                return;
            }
        }
    }
    send_block(link, data + from, size - from);
    link->port.write(link->port.context, &zero, 1);
}

/* Sends a frame whose body has `size` bytes: header, CRC and all. */
static void send_frame(tt_link *link, uint8_t *frame, const tt_link_header *header)
{
    const uint32_t size = (uint32_t)sizeof *header + header->size;
    memcpy(frame, header, sizeof *header);
    const tt_link_end end = {tt_crc32(0, frame, size)};
    memcpy(frame + size, &end, sizeof end);
    send_encoded(link, frame, size + (uint32_t)sizeof end);
}

static tt_link_header answer_to(const tt_link_header *header, uint8_t status, uint32_t size)
{
    tt_link_header answer = *header;
    answer.type = (uint8_t)(header->type | TT_LINK_ANSWER);
    answer.status = status;
    answer.size = (uint16_t)size;
    return answer;
}

/* Refuses a question that is not of this session, and keeps the last answer. */
static void refuse(tt_link *link, tt_link_status status)
{
    uint8_t frame[sizeof(tt_link_header) + sizeof(tt_link_end)];
    const tt_link_header header = answer_to(&link->in.header, (uint8_t)status, 0);
    link->refused++;
    send_frame(link, frame, &header);
}

static uint32_t ticks_of(tt_link *link)
{
    return link->port.clock == NULL ? 0 : link->port.clock(link->port.context);
}

static void answer(tt_link *link, const question *asked, const void *body, size_t size)
{
    memcpy(asked->answer, body, size);
    link->answer_size = (uint32_t)size;
}

static void forget_figures(tt_link *link)
{
    tt_metrics_reset(&link->trained);
    tt_metrics_reset(&link->evaluated);
}

static uint8_t do_hello(tt_link *link, const question *asked);

static uint8_t do_reset(tt_link *link, const question *asked)
{
    const tt_link_request done = {0};
    link->calls->init(link->model);
    link->sample_bytes = 0;
    forget_figures(link);
    answer(link, asked, &done, sizeof done);
    return TT_OK;
}

static uint8_t do_rate(tt_link *link, const question *asked)
{
    tt_link_rate rate;
    memcpy(&rate, asked->body, sizeof rate);
    if (link->calls->set_rate == NULL) {
        return TT_LINK_ERROR_UNKNOWN;
    }
    const tt_status status = link->calls->set_rate(link->model, rate.rate);
    rate.rate = link->calls->rate(link->model);
    answer(link, asked, &rate, sizeof rate);
    return (uint8_t)status;
}

/* Takes a piece of a sample, which is whole afterwards if it has `wanted` bytes. */
static uint8_t take_piece(tt_link *link, const question *asked)
{
    const tt_link_model *calls = link->calls;
    const uint32_t whole = calls->input_bytes + calls->target_bytes;
    tt_link_piece piece;
    memcpy(&piece, asked->body, sizeof piece);
    if (piece.offset == 0 && asked->size > 0) {
        link->sample_bytes = 0;
    }
    if (piece.offset != link->sample_bytes) {
        return TT_LINK_ERROR_GAP;
    }
    if (asked->size > whole - piece.offset) {
        return TT_LINK_ERROR_RANGE;
    }
    if (asked->size > 0) {
        link->file_bytes = 0;
        link->outputs = 0;
    }
    uint32_t inputs = piece.offset < calls->input_bytes ? calls->input_bytes - piece.offset : 0;
    inputs = inputs < asked->size ? inputs : asked->size;
    if (inputs > 0) {
        calls->put(link->model, piece.offset, asked->data, inputs);
    }
    if (asked->size > inputs) {
        const uint32_t at = piece.offset + inputs - calls->input_bytes;
        memcpy((uint8_t *)link->values + at, asked->data + inputs, asked->size - inputs);
    }
    link->sample_bytes += asked->size;
    return TT_OK;
}

static uint8_t do_sample(tt_link *link, const question *asked)
{
    const uint8_t status = take_piece(link, asked);
    const tt_link_place place = {link->sample_bytes, 0};
    answer(link, asked, &place, sizeof place);
    return status;
}

static uint8_t tell(tt_link *link, const question *asked, tt_status status, const tt_result *result,
                    uint32_t ticks)
{
    const tt_link_result found = {result->loss, result->prediction, ticks,
                                  link->calls->steps(link->model)};
    answer(link, asked, &found, sizeof found);
    return (uint8_t)status;
}

static void saw(tt_link *link, tt_status status, const tt_result *result, uint32_t ticks)
{
    int32_t label = -1;
    if (link->calls->has_label) {
        memcpy(&label, link->values, sizeof label);
    }
    if (status == TT_OK || status == TT_ERROR_LOSS || status == TT_ERROR_STOPPED) {
        tt_link_saw(link, result, label, ticks);
    }
}

/* Takes the last piece of a sample, and uses the sample up. needs_target: whether it has to be
 * there, too. */
static uint8_t take_sample(tt_link *link, const question *asked, int needs_target)
{
    const uint8_t status = take_piece(link, asked);
    const uint32_t inputs = link->calls->input_bytes;
    const uint32_t wanted = needs_target ? inputs + link->calls->target_bytes : inputs;
    if (status != TT_OK) {
        return status;
    }
    if (link->sample_bytes < wanted) {
        return TT_LINK_ERROR_PART;
    }
    link->sample_bytes = 0;
    link->file_bytes = 0;
    link->outputs = 0;
    return TT_OK;
}

static uint8_t infer_sample(tt_link *link, const question *asked,
                            tt_status (*infer)(void *, float *, tt_result *))
{
    tt_result result = {0.0f, -1};
    if (infer == NULL) {
        return TT_LINK_ERROR_UNKNOWN;
    }
    const uint8_t refusal = take_sample(link, asked, 0);
    if (refusal != TT_OK) {
        return refusal;
    }
    const uint32_t start = ticks_of(link);
    const tt_status status = infer(link->model, link->values, &result);
    const uint32_t ticks = ticks_of(link) - start;
    link->outputs = status == TT_OK ? link->calls->output_bytes : 0;
    return tell(link, asked, status, &result, ticks);
}

static uint8_t do_infer(tt_link *link, const question *asked)
{
    return infer_sample(link, asked, link->calls->infer);
}

static uint8_t do_follow(tt_link *link, const question *asked)
{
    return infer_sample(link, asked, link->calls->follow);
}

static uint8_t do_follow_reset(tt_link *link, const question *asked)
{
    const tt_link_request done = {0};
    if (link->calls->follow_reset == NULL) {
        return TT_LINK_ERROR_UNKNOWN;
    }
    link->calls->follow_reset(link->model);
    answer(link, asked, &done, sizeof done);
    return TT_OK;
}

static uint8_t do_evaluate(tt_link *link, const question *asked)
{
    tt_result result = {0.0f, -1};
    int32_t label = -1;
    const uint8_t refusal = take_sample(link, asked, 1);
    if (refusal != TT_OK) {
        return refusal;
    }
    const uint32_t start = ticks_of(link);
    const tt_status status = link->calls->evaluate(link->model, link->values, &result);
    const uint32_t ticks = ticks_of(link) - start;
    if (link->calls->has_label) {
        memcpy(&label, link->values, sizeof label);
    }
    if (status == TT_OK) {
        tt_metrics_add(&link->evaluated, &result, label);
    }
    return tell(link, asked, status, &result, ticks);
}

static uint8_t step_on_sample(tt_link *link, const question *asked,
                              tt_status (*step)(void *, const void *, tt_result *))
{
    tt_result result = {0.0f, -1};
    if (step == NULL) {
        return TT_LINK_ERROR_UNKNOWN;
    }
    const uint8_t refusal = take_sample(link, asked, 1);
    if (refusal != TT_OK) {
        return refusal;
    }
    const uint32_t start = ticks_of(link);
    const tt_status status = step(link->model, link->values, &result);
    const uint32_t ticks = ticks_of(link) - start;
    saw(link, status, &result, ticks);
    return tell(link, asked, status, &result, ticks);
}

static uint8_t do_train(tt_link *link, const question *asked)
{
    return step_on_sample(link, asked, link->calls->train);
}

static uint8_t do_learn(tt_link *link, const question *asked)
{
    return step_on_sample(link, asked, link->calls->learn);
}

static uint8_t do_remember(tt_link *link, const question *asked)
{
    const tt_result nothing = {0.0f, -1};
    if (link->calls->remember == NULL) {
        return TT_LINK_ERROR_UNKNOWN;
    }
    const uint8_t refusal = take_sample(link, asked, 1);
    if (refusal != TT_OK) {
        return refusal;
    }
    const uint32_t start = ticks_of(link);
    const tt_status status = link->calls->remember(link->model, link->values);
    return tell(link, asked, status, &nothing, ticks_of(link) - start);
}

/* A step on a sample that the model holds itself: what lies in the arena is gone. */
static uint8_t step_alone(tt_link *link, const question *asked,
                          tt_status (*step)(void *, tt_result *))
{
    tt_result result = {0.0f, -1};
    if (step == NULL) {
        return TT_LINK_ERROR_UNKNOWN;
    }
    link->sample_bytes = 0;
    link->file_bytes = 0;
    const uint32_t start = ticks_of(link);
    const tt_status status = step(link->model, &result);
    return tell(link, asked, status, &result, ticks_of(link) - start);
}

static uint8_t do_replay(tt_link *link, const question *asked)
{
    return step_alone(link, asked, link->calls->replay);
}

static uint8_t do_rehearse(tt_link *link, const question *asked)
{
    return step_alone(link, asked, link->calls->rehearse);
}

static uint8_t do_rehearsal(tt_link *link, const question *asked)
{
    tt_metrics found;
    if (link->calls->evaluate_rehearsal == NULL) {
        return TT_LINK_ERROR_UNKNOWN;
    }
    link->sample_bytes = 0;
    link->file_bytes = 0;
    tt_metrics_reset(&found);
    const tt_status status = link->calls->evaluate_rehearsal(link->model, &found, link->values);
    link->outputs = status == TT_OK ? link->calls->recall_bytes : 0;
    const tt_link_figures told = {found.count, found.correct, found.loss};
    answer(link, asked, &told, sizeof told);
    return (uint8_t)status;
}

static uint32_t room_behind(size_t body)
{
    return TT_LINK_BODY - (uint32_t)body;
}

static uint8_t do_output(tt_link *link, const question *asked)
{
    const uint32_t whole = link->outputs;
    tt_link_piece piece;
    memcpy(&piece, asked->body, sizeof piece);
    if (whole == 0) {
        return TT_LINK_ERROR_PART;
    }
    if (piece.offset > whole) {
        return TT_LINK_ERROR_RANGE;
    }
    const uint32_t left = whole - piece.offset;
    const uint32_t size = left < room_behind(sizeof piece) ? left : room_behind(sizeof piece);
    answer(link, asked, &piece, sizeof piece);
    memcpy(asked->answer + sizeof piece, (const uint8_t *)link->values + piece.offset, size);
    link->answer_size += size;
    return TT_OK;
}

static uint8_t do_metrics(tt_link *link, const question *asked)
{
    const tt_metrics *trained = &link->trained, *evaluated = &link->evaluated;
    const tt_link_metrics found = {trained->count,         trained->correct,   trained->loss,
                                   evaluated->count,       evaluated->correct, evaluated->loss,
                                   link->last_result.loss, link->last_ticks};
    tt_link_request request;
    memcpy(&request, asked->body, sizeof request);
    answer(link, asked, &found, sizeof found);
    if (request.flags == 1U) {
        forget_figures(link);
    }
    return TT_OK;
}

static uint8_t do_health(tt_link *link, const question *asked)
{
    tt_link_health found = {0};
    found.steps = link->calls->steps(link->model);
    if (link->calls->health != NULL) {
        link->calls->health(link->model, &found);
    }
    if (link->port.stack_used != NULL) {
        found.stack_used = link->port.stack_used(link->port.context);
    }
    found.damaged = link->damaged;
    found.refused = link->refused;
    found.repeated = link->repeated;
    found.rate = link->calls->rate == NULL ? 0.0f : link->calls->rate(link->model);
    answer(link, asked, &found, sizeof found);
    return TT_OK;
}

static uint8_t do_counters(tt_link *link, const question *asked)
{
    const uint32_t counts[] = {link->calls->gradients, link->calls->updates, link->calls->classes};
    tt_link_rows rows;
    memcpy(&rows, asked->body, sizeof rows);
    if (rows.table > 2U || rows.first >= counts[rows.table]) {
        return TT_LINK_ERROR_RANGE;
    }
    for (uint32_t i = rows.first; i < counts[rows.table]; i++) {
        tt_link_row row = {0, 0, 0, 0};
        if (link->answer_size + sizeof row > TT_LINK_BODY) {
            break;
        }
        link->calls->row(link->model, rows.table, i, &row);
        memcpy(asked->answer + link->answer_size, &row, sizeof row);
        link->answer_size += (uint32_t)sizeof row;
    }
    return TT_OK;
}

/* Where a byte of the file lies, and how many lie behind it without a gap. */
static uint8_t *file_at(const tt_link *link, uint32_t offset, uint32_t *left)
{
    int part = 0;
    while (offset >= link->file_sizes[part]) {
        offset -= link->file_sizes[part++];
    }
    *left = link->file_sizes[part] - offset;
    return link->file[part] + offset;
}

/* The caller has seen to it that the file holds them. */
static void copy_to_file(tt_link *link, uint32_t offset, const uint8_t *data, size_t size)
{
    while (size > 0) {
        uint32_t left;
        uint8_t *const to = file_at(link, offset, &left);
        const size_t part = size < left ? size : left;
        memcpy(to, data, part);
        data += part;
        offset += (uint32_t)part;
        size -= part;
    }
}

static void copy_from_file(const tt_link *link, uint32_t offset, uint8_t *data, size_t size)
{
    while (size > 0) {
        uint32_t left;
        const uint8_t *const from = file_at(link, offset, &left);
        const size_t part = size < left ? size : left;
        memcpy(data, from, part);
        data += part;
        offset += (uint32_t)part;
        size -= part;
    }
}

static uint32_t file_crc(const tt_link *link)
{
    uint32_t crc = 0;
    for (uint32_t offset = 0; offset < link->file_bytes;) {
        uint32_t left;
        const uint8_t *const from = file_at(link, offset, &left);
        const uint32_t wanted = link->file_bytes - offset;
        const uint32_t part = wanted < left ? wanted : left;
        crc = tt_crc32(crc, from, part);
        offset += part;
    }
    return crc;
}

static int save_to_file(void *context, const void *data, size_t size)
{
    tt_link *const link = context;
    if (size > link->calls->saved_bytes - link->file_bytes) {
        return -1;
    }
    copy_to_file(link, link->file_bytes, data, size);
    link->file_bytes += (uint32_t)size;
    return 0;
}

static int load_from_file(void *context, size_t offset, void *data, size_t size)
{
    const tt_link *const link = context;
    if (offset > link->file_bytes || size > link->file_bytes - offset) {
        return -1;
    }
    copy_from_file(link, (uint32_t)offset, data, size);
    return 0;
}

static uint8_t tell_file(tt_link *link, const question *asked, uint8_t status)
{
    const tt_link_place place = {link->file_bytes, file_crc(link)};
    answer(link, asked, &place, sizeof place);
    return status;
}

static uint8_t do_snapshot(tt_link *link, const question *asked)
{
    tt_status status = TT_OK;
    tt_link_request request;
    memcpy(&request, asked->body, sizeof request);
    if (request.flags != 1U) {
        link->sample_bytes = 0;
        link->file_bytes = 0;
        status = link->calls->save(link->model, save_to_file, link);
    }
    return tell_file(link, asked, (uint8_t)status);
}

static uint8_t do_read(tt_link *link, const question *asked)
{
    tt_link_piece piece;
    memcpy(&piece, asked->body, sizeof piece);
    if (link->file_bytes != link->calls->saved_bytes) {
        return TT_LINK_ERROR_PART;
    }
    if (piece.offset > link->file_bytes) {
        return TT_LINK_ERROR_RANGE;
    }
    const uint32_t left = link->file_bytes - piece.offset;
    const uint32_t size = left < room_behind(sizeof piece) ? left : room_behind(sizeof piece);
    answer(link, asked, &piece, sizeof piece);
    copy_from_file(link, piece.offset, asked->answer + sizeof piece, size);
    link->answer_size += size;
    return TT_OK;
}

static uint8_t do_write(tt_link *link, const question *asked)
{
    tt_link_piece piece;
    memcpy(&piece, asked->body, sizeof piece);
    if (asked->size == 0) {
        return tell_file(link, asked, TT_OK);
    }
    if (piece.offset == 0) {
        link->file_bytes = 0;
    }
    if (piece.offset != link->file_bytes) {
        return TT_LINK_ERROR_GAP;
    }
    /* A signed file is longer by what the lock has room for. */
    if (asked->size > link->calls->saved_bytes + link->file_sizes[2] - piece.offset) {
        return TT_LINK_ERROR_RANGE;
    }
    link->sample_bytes = 0;
    copy_to_file(link, piece.offset, asked->data, asked->size);
    link->file_bytes += asked->size;
    /* Of the piece alone: that of all would be computed again and again. */
    const tt_link_place place = {link->file_bytes, tt_crc32(0, asked->data, asked->size)};
    answer(link, asked, &place, sizeof place);
    return TT_OK;
}

static uint8_t do_load(tt_link *link, const question *asked)
{
    const tt_link_request done = {0};
    answer(link, asked, &done, sizeof done);
    const tt_status status = link->lock == NULL
                                 ? link->calls->load(link->model, load_from_file, link)
                                 : link->lock->load(link, load_from_file);
    if (link->lock == NULL && status == TT_ERROR_IO) {
        return TT_LINK_ERROR_PART;
    }
    link->file_bytes = 0;
    return (uint8_t)status;
}

static uint8_t do_signed(tt_link *link, const question *asked)
{
    const tt_link_signed wanted = {link->lock->least, (uint32_t)link->lock->signer->tag_size};
    answer(link, asked, &wanted, sizeof wanted);
    return TT_OK;
}

static uint8_t do_self_test(tt_link *link, const question *asked)
{
    const tt_link_request done = {0};
    if (link->calls->self_test == NULL) {
        return TT_LINK_ERROR_UNKNOWN;
    }
    link->sample_bytes = 0;
    link->file_bytes = 0;
    answer(link, asked, &done, sizeof done);
    return (uint8_t)link->calls->self_test(link->model);
}

/* By type. */
static const struct {
    uint8_t (*handle)(tt_link *link, const question *asked);
    uint16_t size;
    uint8_t more, when;
} messages[] = {
#define TT_LINK_ROW(type, NAME, name, question, more, answer, when) \
    [type] = {do_##name, (uint16_t)sizeof(tt_link_##question), more, when},
    TT_LINK_MESSAGES(TT_LINK_ROW)
#undef TT_LINK_ROW
};

enum { MESSAGES = sizeof messages / sizeof messages[0] };

/* TT_OK where messages of a type that there is are answered, as far as a lock decides. */
static uint8_t allows(const tt_link *link, uint32_t type)
{
    const uint8_t when = messages[type].when;
    if (when == UNLOCKED && link->lock != NULL) {
        return TT_LINK_ERROR_LOCKED;
    }
    return when == LOCKED && link->lock == NULL ? (uint8_t)TT_LINK_ERROR_UNKNOWN : (uint8_t)TT_OK;
}

/* Bit N: the link answers messages of type N, and the model has what they ask for. */
static uint32_t messages_of(const tt_link *link)
{
    const tt_link_model *calls = link->calls;
    uint32_t found = 0;
    for (uint32_t type = 1; type < MESSAGES; type++) {
        found |= allows(link, type) == TT_OK ? 1U << type : 0U;
    }
    found &= ~(calls->train == NULL ? 1U << TT_LINK_TRAIN : 0U);
    found &= ~(calls->set_rate == NULL ? 1U << TT_LINK_RATE : 0U);
    found &= ~(calls->remember == NULL ? 1U << TT_LINK_REMEMBER : 0U);
    found &= ~(calls->learn == NULL ? 1U << TT_LINK_LEARN : 0U);
    found &= ~(calls->replay == NULL ? 1U << TT_LINK_REPLAY : 0U);
    found &= ~(calls->rehearse == NULL ? 1U << TT_LINK_REHEARSE : 0U);
    found &= ~(calls->evaluate_rehearsal == NULL ? 1U << TT_LINK_REHEARSAL : 0U);
    found &= ~(calls->follow == NULL ? 3U << TT_LINK_FOLLOW : 0U); /* FOLLOW_RESET, too */
    found &= ~(calls->self_test == NULL ? 1U << TT_LINK_SELF_TEST : 0U);
    return found;
}

static void put_text(uint8_t *to, size_t size, const char *text)
{
    for (size_t i = 0; i < size && text[i] != '\0'; i++) {
        to[i] = (uint8_t)text[i];
    }
}

static uint8_t do_hello(tt_link *link, const question *asked)
{
    const tt_link_model *calls = link->calls;
    tt_link_hello found = {0};
    found.protocol = TT_LINK_PROTOCOL;
    found.body = TT_LINK_BODY;
    found.input_bytes = calls->input_bytes;
    found.target_bytes = calls->target_bytes;
    found.output_bytes = calls->output_bytes;
    found.saved_bytes = calls->saved_bytes;
    found.state_bytes = calls->state_bytes;
    found.link_bytes = calls->link_bytes;
    found.clock_hz = link->port.clock == NULL ? 0 : link->port.clock_hz;
    found.messages = messages_of(link);
    found.gradients = calls->gradients;
    found.updates = calls->updates;
    found.classes = calls->classes;
    found.has_label = (uint32_t)calls->has_label;
    found.settings = calls->settings;
    found.steps = calls->steps(link->model);
    memcpy(found.model_hash, calls->hash, sizeof found.model_hash);
    put_text(found.name, sizeof found.name, calls->name);
    put_text(found.version, sizeof found.version, calls->version);
    answer(link, asked, &found, sizeof found);
    return TT_OK;
}

/* Does what a whole frame of this session asks for, once. */
static void execute(tt_link *link)
{
    const tt_link_header *header = &link->in.header;
    uint8_t status = TT_LINK_ERROR_UNKNOWN;
    link->answer_size = 0;
    link->last = header->sequence;
    if (header->type < MESSAGES && messages[header->type].handle != NULL) {
        const uint32_t size = messages[header->type].size;
        const int fits = messages[header->type].more ? header->size >= size : header->size == size;
        const question asked = {link->in.rest, link->in.rest + size, header->size - size,
                                link->out.rest};
        status = fits ? allows(link, header->type) : (uint8_t)TT_LINK_ERROR_SIZE;
        if (status == TT_OK) {
            status = messages[header->type].handle(link, &asked);
        }
    }
    link->refused += status >= TT_LINK_ERROR_UNKNOWN;
    const tt_link_header out = answer_to(header, status, link->answer_size);
    send_frame(link, (uint8_t *)&link->out, &out);
}

/* A frame has come whole. */
static void take_frame(tt_link *link)
{
    const tt_link_header *header = &link->in.header;
    if (header->type == TT_LINK_HELLO && !(link->is_open && header->sequence == link->first)) {
        link->is_open = 1;
        link->first = header->sequence;
        execute(link);
    } else if (!link->is_open) {
        refuse(link, TT_LINK_ERROR_SESSION);
    } else if (header->sequence == link->last) {
        link->repeated++;
        const tt_link_header out = link->out.header;
        send_frame(link, (uint8_t *)&link->out, &out);
    } else if (header->sequence != link->last + 1U || header->type == TT_LINK_HELLO) {
        refuse(link, TT_LINK_ERROR_ORDER);
    } else {
        execute(link);
    }
}

/* The frame that has come ends here: whether it is one. */
static int is_frame(const tt_link *link)
{
    const uint32_t least = sizeof(tt_link_header) + sizeof(tt_link_end);
    if (link->is_bad || link->left != 0 || link->received < least) {
        return 0;
    }
    const uint8_t *bytes = (const uint8_t *)&link->in;
    const uint32_t size = link->received - (uint32_t)sizeof(tt_link_end);
    tt_link_end end;
    memcpy(&end, bytes + size, sizeof end);
    /* An answer is an echo of our own. */
    return end.crc == tt_crc32(0, bytes, size) && link->in.header.size + 8U == size &&
           link->in.header.type < TT_LINK_ANSWER;
}

static void put_byte(tt_link *link, uint8_t byte)
{
    if (link->received < sizeof link->in) {
        ((uint8_t *)&link->in)[link->received++] = byte;
    } else {
        link->is_bad = 1;
    }
}

static void begin_frame(tt_link *link)
{
    link->received = 0;
    link->left = 0;
    link->code = 0; /* before the first block */
    link->is_bad = 0;
}

/* The next byte of the stream. Returns 1 at the end of a frame. */
static int take_byte(tt_link *link, uint8_t byte)
{
    if (byte == 0) {
        const int is_empty = link->code == 0;
        if (!is_empty && is_frame(link)) {
            take_frame(link);
        } else if (!is_empty) {
            link->damaged++;
        }
        begin_frame(link);
        return !is_empty;
    }
    if (link->left == 0) {
        if (link->code != 0 && link->code != 255U) {
            put_byte(link, 0);
        }
        link->code = byte;
        link->left = (uint8_t)(byte - 1U);
    } else {
        put_byte(link, byte);
        link->left--;
    }
    return 0;
}

void tt_link_init(tt_link *link)
{
    link->lock = NULL;
    link->file_sizes[2] = 0;
    link->sample_bytes = 0;
    link->file_bytes = 0;
    link->answer_size = 0;
    link->first = 0;
    link->last = 0;
    link->is_open = 0;
    link->outputs = 0;
    link->damaged = 0;
    link->refused = 0;
    link->repeated = 0;
    link->last_result.loss = 0.0f;
    link->last_result.prediction = -1;
    link->last_ticks = 0;
    forget_figures(link);
    begin_frame(link);
}

int tt_link_receives(const tt_link *link)
{
    return link->file_bytes > 0;
}

int tt_link_poll(tt_link *link)
{
    int byte;
    while ((byte = link->port.read(link->port.context)) >= 0) {
        if (take_byte(link, (uint8_t)byte)) {
            return 1;
        }
    }
    return 0;
}

void tt_link_saw(tt_link *link, const tt_result *result, int32_t label, uint32_t ticks)
{
    link->sample_bytes = 0;
    link->file_bytes = 0;
    tt_metrics_add(&link->trained, result, label);
    link->last_result = *result;
    link->last_ticks = ticks;
}
