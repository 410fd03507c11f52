#include "tt_link.h"

/* The file that has come, by the code that opens every signed file. */
static tt_status load_signed(tt_link *link, tt_read_fn read)
{
    tt_link_lock *lock = link->lock;
    tt_signed file;
    tt_status status =
        tt_signed_open(&file, lock->signer, lock->least, read, link, link->file_bytes);
    if (status != TT_OK) {
        return status;
    }
    status = link->calls->load(link->model, tt_signed_read, &file);
    if (status == TT_OK && tt_signed_close(&file) != TT_OK) {
        link->calls->init(link->model);
        status = TT_ERROR_RESET;
    }
    if (status == TT_OK) {
        lock->least = file.counter < UINT32_MAX ? file.counter + 1U : UINT32_MAX;
    }
    return status;
}

tt_status tt_link_set_lock(tt_link *link, tt_link_lock *lock)
{
    const tt_signer *signer = lock->signer;
    lock->load = load_signed;
    link->lock = lock;
    link->file[2] = lock->end;
    link->file_sizes[2] = (uint32_t)sizeof lock->end;
    link->file_bytes = 0;
    return signer->verify != NULL && signer->tag_size <= TT_LINK_TAG ? TT_OK : TT_ERROR_SIGNATURE;
}
