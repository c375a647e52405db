// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Training a dictionary on samples, and the trial whether it is worth having. Pure memory; knows
// zstd.
#ifndef STORE_DICTIONARY_H
#define STORE_DICTIONARY_H

#include "error.h"
#include "values.h"

#include <stddef.h>

// Larger ones gained nothing on any of the kinds of payloads that tests/bench makes.
#define DICTIONARY_TRAIN_BYTES (16u * 1024u)

// Of so many samples one is kept back for the trial.
#define DICTIONARY_HELD_BACK 8u

// Samples, one behind the other.
struct dictionary_samples {
    const uint8_t *bytes;
    const uint32_t *lens;
    uint32_t count;
};

// Trains on seven of eight samples, and compresses the others at this level without a dictionary,
// with the one now in use (absent: none) and with the new one. *ret_dictionary tells what came out;
// its bytes belong to the caller, who frees them; its id is 0. STORE_ENOTFOUND: the samples are too
// few or too different to make a dictionary of. STORE_ENOMEM.
int dictionary_train(const struct dictionary_samples *samples, int level, struct span current,
                     struct dictionary *ret_dictionary, struct store_error *err);

// Whether the trial of a dictionary justifies to put it in the place of the one in use.
bool dictionary_gains(const struct dictionary *dictionary);

#endif
