// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// The plugin's options as a file of them; and again, as SIGHUP does.
#include "fuzz.h"
#include "options.h"

#include <string.h>

static void on_change(void *user, const char *key, const char *from, const char *to,
                      bool changeable)
{
    (void)changeable;
    ++*(unsigned *)user;
    FUZZ_REQUIRE(key && from && to && strcmp(from, to) != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct options options, defaults, taken;
    struct store_error err = {0};
    struct store_options store = {0};
    unsigned changes = 0;
    options_init(&options);
    options_init(&defaults);
    int rc = options_read_file(&options, fuzz_file("options", data, size), &err);
    fuzz_file_remove("options");
    FUZZ_REQUIRE(rc == 0 || err.sentence[0]);
    if (rc == 0 && options_check(&options, &err) == 0) {
        options_for_store(&options, &store);
        FUZZ_REQUIRE(store.sync_interval_ms >= 1 && store.sync_interval_ms <= 60000);
        FUZZ_REQUIRE(store.journal_segment_bytes >= 65536);
        FUZZ_REQUIRE(store.compression_level >= 1 && store.compression_level <= 19);
    }
    options_compare(&defaults, &options, on_change, &changes);
    taken = defaults;
    options_take_changeable(&taken, &options);
    FUZZ_REQUIRE(strcmp(taken.path, defaults.path) == 0);
    changes = 0;
    options_compare(&options, &options, on_change, &changes);
    FUZZ_REQUIRE(changes == 0);
    return 0;
}
