// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "seqset.h"

#include "load_error.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void seqset_release(struct seqset *set)
{
    free(set->words);
    memset(set, 0, sizeof *set);
}

static void grow(struct seqset *set, size_t word_count)
{
    size_t wanted = set->word_count ? set->word_count : 64;
    while (wanted < word_count)
        wanted *= 2;
    uint64_t *words = realloc(set->words, wanted * sizeof *words);
    if (!words)
        load_die("out of memory for a set of sequence numbers");
    memset(words + set->word_count, 0, (wanted - set->word_count) * sizeof *words);
    set->words = words;
    set->word_count = wanted;
}

bool seqset_add(struct seqset *set, uint64_t seq)
{
    size_t word = (size_t)(seq / 64);
    uint64_t bit = (uint64_t)1 << (seq % 64);
    if (word >= set->word_count)
        grow(set, word + 1);
    if (set->words[word] & bit)
        return false;
    set->words[word] |= bit;
    set->count++;
    return true;
}

bool seqset_has(const struct seqset *set, uint64_t seq)
{
    size_t word = (size_t)(seq / 64);
    return word < set->word_count && (set->words[word] >> (seq % 64) & 1);
}

uint64_t seqset_missing(const struct seqset *set, const struct seqset *wanted)
{
    uint64_t missing = 0;
    for (size_t i = 0; i < wanted->word_count; i++) {
        uint64_t have = i < set->word_count ? set->words[i] : 0;
        missing += (uint64_t)__builtin_popcountll(wanted->words[i] & ~have);
    }
    return missing;
}

void seqset_write(const struct seqset *set, unsigned number, FILE *out)
{
    uint64_t end = (uint64_t)set->word_count * 64;
    for (uint64_t first = 0; first < end; first++) {
        if (!seqset_has(set, first))
            continue;
        uint64_t last = first;
        while (seqset_has(set, last + 1))
            last++;
        fprintf(out, "%u %" PRIu64 " %" PRIu64 "\n", number, first, last);
        first = last;
    }
}

bool seqset_read(struct seqset *sets, unsigned set_count, FILE *in)
{
    char line[128];
    while (fgets(line, sizeof line, in)) {
        unsigned number;
        uint64_t first, last;
        char rest;
        if (sscanf(line, "%u %" SCNu64 " %" SCNu64 "%c", &number, &first, &last, &rest) != 4 ||
            rest != '\n' || number >= set_count || first > last || last >> 40)
            return false;
        for (uint64_t seq = first; seq <= last; seq++)
            seqset_add(&sets[number], seq);
    }
    return !ferror(in);
}
