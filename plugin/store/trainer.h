// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Which messages a dictionary is trained on, and when. Keeps a bounded number of samples, spread
// evenly over all that came since the last training. One thread.
#ifndef STORE_TRAINER_H
#define STORE_TRAINER_H

#include "dictionary.h"

// Memory for samples. Longer contents are no samples: they would crowd the others out.
#define TRAINER_SAMPLES_BYTES (1024u * 1024u)
#define TRAINER_SAMPLES_MAX 8192u
#define TRAINER_SAMPLE_MAX_BYTES (8u * 1024u)
// The first training comes after so many bytes of contents, each further one after four times as
// many as the one before, up to the last: what does not change is not trained on for ever.
#define TRAINER_FIRST_BYTES (256u * 1024u)
#define TRAINER_LAST_BYTES (256u * 1024u * 1024u)

struct trainer;

struct trainer *trainer_new(void);          // NULL: out of memory
void trainer_free(struct trainer *trainer); // NULL is fine

// Offers a content of so many bytes. Gives the place for its copy if it is to be a sample, else
// NULL.
uint8_t *trainer_offer(struct trainer *trainer, size_t bytes);

bool trainer_is_due(const struct trainer *trainer);

// Trains on the samples that there are and forgets them. True if the trial justifies to take what
// came out, which then waits in trainer_made. `current` is in use now, absent: none.
bool trainer_train(struct trainer *trainer, int level, struct span current);

// As above, but gives the trial's figures, and forgets nothing. The bytes of *ret_made are absent
// if it does not gain; else they belong to the trainer.
int trainer_train_now(struct trainer *trainer, int level, struct span current,
                      struct dictionary *ret_made, struct store_error *err);

// What was made and is not in the tables yet; NULL if there is none. It belongs to the trainer.
const struct dictionary *trainer_made(const struct trainer *trainer);

// It is in the tables, durably.
void trainer_taken(struct trainer *trainer);

#endif
