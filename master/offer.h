/* What offers.c and accept.c share. Loop thread. */
#pragma once

#include "master/core.h"

/* Gives back what it holds; refuse_ns: see allocator_recover(). */
void offer_recover(const struct offer *o, uint64_t refuse_ns);
/* Out of the tables; what it holds stays booked. */
void offer_free(struct offer *o);
/* Withdraws and frees it; told: the framework hears a RESCIND. */
void offer_rescind(struct offer *o, bool told);
