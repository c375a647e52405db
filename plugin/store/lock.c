// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "lock.h"

#include "seeded.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TAKES_MAX 100u
#define POLL_MS 20
#define TEXT_MS 200u
#define NAMES_MS 10000u

struct lock {
    struct os_file *file;
};

static void holder_format(const char *holder, char *dst)
{
    char host[64] = "", when[32] = "";
    time_t now = (time_t)(os_realtime_ms() / 1000);
    struct tm tm;
    if (gethostname(host, sizeof(host) - 1) != 0)
        host[0] = '\0';
    if (gmtime_r(&now, &tm))
        strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
    snprintf(dst, LOCK_HOLDER_BYTES, "%s, process %ld on %s, since %s", holder, (long)getpid(),
             host, when);
}

static void holder_read(struct os_file *file, char *dst)
{
    size_t len = 0;
    if (os_file_read(file, 0, dst, LOCK_HOLDER_BYTES - 1, &len, NULL))
        len = 0;
    dst[len] = '\0';
    // It is shown to a person: nothing but printable characters, whoever wrote the file.
    for (char *at = dst; *at; at++) {
        if (*at == '\n')
            *at = '\0';
        if (*at == '\0')
            break;
        if ((unsigned char)*at < 0x20 || (unsigned char)*at > 0x7e)
            *at = '?';
    }
    if (!dst[0])
        snprintf(dst, LOCK_HOLDER_BYTES, "another process");
}

// Opens and locks the file that has the name then. STORE_EHELD: somebody else has.
static int file_take(struct os_file **ret_file, struct os_dir *dir, struct store_error *err)
{
    for (unsigned tries = 0; tries < TAKES_MAX; tries++) {
        struct os_file *file = NULL;
        bool has_name = false;
        int rc = os_file_open(&file, dir, LOCK_NAME, OS_READ | OS_WRITE | OS_CREATE, err);
        if (rc == 0 && !SEEDED(LOCK_NOT_TAKEN))
            rc = os_file_lock(file, err);
        if (rc == 0)
            rc = os_file_has_name(file, &has_name, err);
        *ret_file = file;
        if (rc || has_name)
            return rc;
        // A restore that failed has removed it: who makes the next one would have that locked.
        os_file_close(file);
        *ret_file = NULL;
    }
    return error_set(err, STORE_EHELD, "%s/" LOCK_NAME " is made and removed all the time",
                     os_dir_path(dir));
}

int lock_open(struct lock **ret_lock, struct os_dir *dir, const char *holder,
              struct store_error *err)
{
    char text[LOCK_HOLDER_BYTES];
    struct lock *lock = calloc(1, sizeof(*lock));
    if (!lock)
        return error_set(err, STORE_ENOMEM, "out of memory");
    int rc = file_take(&lock->file, dir, err);
    if (rc == STORE_EHELD && lock->file) {
        holder_read(lock->file, text);
        error_set(err, STORE_EHELD,
                  "the store %s is held by %s; stop that first, or use another folder",
                  os_dir_path(dir), text);
    }
    if (rc == 0) {
        holder_format(holder, text);
        // On a full disk the lock holds all the same, and only its holder has no name.
        if (os_file_truncate(lock->file, 0, NULL) == 0)
            (void)os_file_write(lock->file, 0, text, strlen(text), NULL);
    }
    if (rc) {
        lock_close(lock);
        return rc;
    }
    *ret_lock = lock;
    return 0;
}

int lock_wait(struct lock **ret_lock, struct os_dir *dir, const char *holder, uint32_t wait_ms,
              void (*waits)(void *user, const char *text), void *user, struct store_error *err)
{
    const struct timespec pause = {.tv_nsec = POLL_MS * 1000000};
    uint64_t from_ms = os_monotonic_ms();
    bool told = false;
    for (;;) {
        char text[LOCK_HOLDER_BYTES] = "";
        int rc = lock_open(ret_lock, dir, holder, err);
        uint64_t waited_ms = os_monotonic_ms() - from_ms;
        if (rc != STORE_EHELD || waited_ms >= wait_ms || lock_holder(dir, text, NULL))
            return rc;
        bool brief = strncmp(text, LOCK_BRIEF_HOLDER, strlen(LOCK_BRIEF_HOLDER)) == 0;
        // Who has just taken it says so a moment later.
        if (text[0] && !brief && waited_ms >= TEXT_MS)
            return rc;
        if (brief && !told) {
            told = true;
            waits(user, text);
        }
        nanosleep(&pause, NULL);
    }
}

int lock_names(struct os_dir *dir, bool alone, struct store_error *err)
{
    const struct timespec pause = {.tv_nsec = POLL_MS * 1000000};
    uint64_t until_ms = os_monotonic_ms() + NAMES_MS;
    int rc;
    while ((rc = os_dir_lock(dir, alone, err)) == STORE_EHELD && os_monotonic_ms() < until_ms)
        nanosleep(&pause, NULL);
    return rc == STORE_EHELD
               ? error_set(err, STORE_EHELD,
                           "another program opens or exchanges the files of %s and does not come "
                           "to an end; try again",
                           os_dir_path(dir))
               : rc;
}

void lock_names_end(struct os_dir *dir)
{
    os_dir_unlock(dir);
}

void lock_close(struct lock *lock)
{
    if (!lock)
        return;
    os_file_close(lock->file);
    free(lock);
}

int lock_holder(struct os_dir *dir, char *dst, struct store_error *err)
{
    struct os_file *file = NULL;
    bool held = false;
    dst[0] = '\0';
    struct store_error reason = {0};
    int rc = os_file_open(&file, dir, LOCK_NAME, OS_READ, &reason);
    if (rc == STORE_ENOTFOUND)
        return 0;
    if (rc == 0)
        rc = os_file_lock_held(file, &held, &reason);
    if (rc == 0 && held)
        holder_read(file, dst);
    os_file_close(file);
    if (rc && err)
        *err = reason;
    return rc;
}
