/*
 * RecordIO: decimal length, one '\n', that many bytes. An incremental decoder with a bound; feeding any split
 * gives the same records.
 */
#pragma once

#include "lib/base/error.h"

struct recordio_decoder;
struct recordio_decoder *recordio_decoder_new(size_t max_record_bytes);
struct recordio_decoder *recordio_decoder_free(struct recordio_decoder *d);
/* Calls on_record per whole record; stops when it returns false (-ECANCELED). -EPROTO on malformed length,
 * -EMSGSIZE above the bound. */
int recordio_decode(struct recordio_decoder *d, const void *data, size_t len,
        bool (*on_record)(const void *data, size_t len, void *userdata), void *userdata) WARN_UNUSED;
/* Inside a record? (The stream must not end here.) */
bool recordio_decoder_partial(const struct recordio_decoder *d);
