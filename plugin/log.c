// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "log.h"

#include "broker.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

#define NOTICES_MAX 32

struct notice {
    enum store_notice_level level;
    char sentence[512];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct notice notices[NOTICES_MAX];
static unsigned notices_count; // under `lock`
static unsigned notices_lost;  // under `lock`
static atomic_bool notices_wait;

void log_line(enum log_level level, const char *format, ...)
{
    static const int levels[] = {MOSQ_LOG_ERR, MOSQ_LOG_WARNING, MOSQ_LOG_NOTICE, MOSQ_LOG_INFO};
    char line[900]; // the broker cuts at 1000, its timestamp included
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    mosquitto_log_printf(levels[level], "persist-lmdb: %s", n < 0 ? format : line);
}

void log_notice(void *user, enum store_notice_level level, const char *sentence)
{
    (void)user;
    pthread_mutex_lock(&lock);
    if (notices_count == NOTICES_MAX) {
        notices_lost++;
    } else {
        struct notice *notice = &notices[notices_count++];
        notice->level = level;
        snprintf(notice->sentence, sizeof(notice->sentence), "%s", sentence);
    }
    pthread_mutex_unlock(&lock);
    atomic_store_explicit(&notices_wait, true, memory_order_release);
}

void log_drain(void)
{
    static const enum log_level levels[] = {[STORE_NOTICE_INFO] = LOG_LEVEL_INFO,
                                            [STORE_NOTICE_WARNING] = LOG_LEVEL_WARNING,
                                            [STORE_NOTICE_ERROR] = LOG_LEVEL_ERROR};
    static struct notice taken[NOTICES_MAX];
    if (!atomic_load_explicit(&notices_wait, memory_order_acquire))
        return;

    // Logged with the lock free: a line to a topic can make the store say something itself.
    pthread_mutex_lock(&lock);
    unsigned count = notices_count, lost = notices_lost;
    for (unsigned i = 0; i < count; i++)
        taken[i] = notices[i];
    notices_count = notices_lost = 0;
    atomic_store_explicit(&notices_wait, false, memory_order_release);
    pthread_mutex_unlock(&lock);

    for (unsigned i = 0; i < count; i++)
        log_line(levels[taken[i].level], "%s", taken[i].sentence);
    if (lost)
        log_line(LOG_LEVEL_WARNING, "%u more notices came too fast to be kept", lost);
}
