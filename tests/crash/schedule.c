// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "schedule.h"

#include "os_memory.h"
#include "support.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define THREADS_MAX 8
#define HELD_MAX 16

int __real_pthread_create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
int __real_pthread_join(pthread_t, void **);
int __real_pthread_mutex_lock(pthread_mutex_t *);
int __real_pthread_mutex_trylock(pthread_mutex_t *);
int __real_pthread_mutex_unlock(pthread_mutex_t *);
int __real_pthread_cond_wait(pthread_cond_t *, pthread_mutex_t *);
int __real_pthread_cond_timedwait(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
int __real_pthread_cond_signal(pthread_cond_t *);
int __real_pthread_cond_broadcast(pthread_cond_t *);
int __wrap_pthread_create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
int __wrap_pthread_join(pthread_t, void **);
int __wrap_pthread_mutex_lock(pthread_mutex_t *);
int __wrap_pthread_mutex_trylock(pthread_mutex_t *);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *);
int __wrap_pthread_cond_wait(pthread_cond_t *, pthread_mutex_t *);
int __wrap_pthread_cond_timedwait(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
int __wrap_pthread_cond_signal(pthread_cond_t *);
int __wrap_pthread_cond_broadcast(pthread_cond_t *);

enum state { UNUSED, READY, WAITS_FOR_MUTEX, WAITS_FOR_COND, WAITS_FOR_THREAD, SLEEPS, DONE };

struct thread {
    struct schedule *schedule;
    enum state state;
    const void *waits_for;
    bool has_deadline, timed_out;
    uint64_t deadline_ms;
    pthread_t id;
    void *(*run)(void *);
    void *arg;
    sem_t turn;
};

struct schedule {
    struct thread threads[THREADS_MAX];
    struct thread *current;
    uint64_t seed;
    unsigned restless;
    struct {
        const void *mutex;
        const struct thread *owner;
    } held[HELD_MAX];
    struct schedule *outer;
};

static struct schedule *active;
static int create_failure = -1;

static const struct thread *mutex_owner(const void *mutex)
{
    for (unsigned i = 0; i < HELD_MAX; i++) {
        if (active->held[i].mutex == mutex)
            return active->held[i].owner;
    }
    return NULL;
}

static void mutex_take(const void *mutex)
{
    for (unsigned i = 0; i < HELD_MAX; i++) {
        if (!active->held[i].mutex) {
            active->held[i].mutex = mutex;
            active->held[i].owner = active->current;
            return;
        }
    }
    abort();
}

static void mutex_give(const void *mutex)
{
    for (unsigned i = 0; i < HELD_MAX; i++) {
        if (active->held[i].mutex == mutex) {
            if (active->held[i].owner != active->current) {
                fprintf(stderr, "a thread unlocks a mutex that it does not hold\n");
                abort();
            }
            active->held[i].mutex = NULL;
            return;
        }
    }
    fprintf(stderr, "a thread unlocks a mutex that nobody holds\n");
    abort();
}

static bool thread_can_run(const struct thread *thread)
{
    switch (thread->state) {
    case READY:
        return true;
    case WAITS_FOR_MUTEX:
        return mutex_owner(thread->waits_for) == NULL;
    case WAITS_FOR_THREAD:
        return ((const struct thread *)thread->waits_for)->state == DONE;
    default:
        return false;
    }
}

// The thread whose turn is next; when all wait, the clock moves to the nearest deadline.
static struct thread *thread_choose(void)
{
    struct thread *can[THREADS_MAX], *nearest = NULL;
    uint32_t count = 0;
    for (unsigned i = 0; i < THREADS_MAX; i++) {
        struct thread *thread = &active->threads[i];
        if (thread_can_run(thread))
            can[count++] = thread;
        if ((thread->state == WAITS_FOR_COND || thread->state == SLEEPS) && thread->has_deadline &&
            (!nearest || thread->deadline_ms < nearest->deadline_ms))
            nearest = thread;
    }
    if (count)
        return can[seed_next(&active->seed, count)];
    if (!nearest) {
        fprintf(stderr, "deadlock: every thread waits for another\n");
        abort();
    }
    memory_clock_reach(nearest->deadline_ms);
    for (unsigned i = 0; i < THREADS_MAX; i++) {
        struct thread *thread = &active->threads[i];
        if ((thread->state == WAITS_FOR_COND || thread->state == SLEEPS) && thread->has_deadline &&
            thread->deadline_ms <= memory_clock_ms()) {
            thread->timed_out = true;
            thread->state = READY;
        }
    }
    return thread_choose();
}

static void turn_wait(struct thread *self)
{
    while (sem_wait(&self->turn) != 0) {
    }
}

static void turn_give(struct thread *self, struct thread *next)
{
    if (next == self)
        return;
    bool done = self->state == DONE; // then its place may be taken as soon as the turn is given
    active->current = next;
    sem_post(&next->turn);
    if (!done)
        turn_wait(self);
}

// Waits until the calling thread, whose state says for what, can go on.
static void thread_wait(void)
{
    struct thread *self = active->current;
    turn_give(self, thread_choose());
    self->state = READY;
}

void schedule_point(void)
{
    if (active && active->restless && seed_next(&active->seed, active->restless) == 0)
        turn_give(active->current, thread_choose());
}

void schedule_begin(uint64_t seed, unsigned restless)
{
    struct schedule *schedule = calloc(1, sizeof(*schedule));
    if (!schedule)
        abort();
    schedule->seed = seed;
    schedule->restless = restless;
    schedule->outer = active;
    schedule->current = &schedule->threads[0];
    schedule->current->schedule = schedule;
    schedule->current->state = READY;
    sem_init(&schedule->current->turn, 0, 0);
    active = schedule;
}

void schedule_end(void)
{
    struct schedule *schedule = active;
    for (unsigned i = 1; i < THREADS_MAX; i++) {
        if (schedule->threads[i].state != UNUSED) {
            fprintf(stderr, "a thread was not joined\n");
            abort();
        }
    }
    sem_destroy(&schedule->threads[0].turn);
    active = schedule->outer;
    free(schedule);
}

void schedule_sleep_ms(uint64_t ms)
{
    struct thread *self = active->current;
    self->state = SLEEPS;
    self->has_deadline = true;
    self->deadline_ms = memory_clock_ms() + ms;
    thread_wait();
    self->has_deadline = false;
}

void schedule_fail_create(int skip)
{
    create_failure = skip;
}

static void *thread_main(void *arg)
{
    struct thread *self = arg;
    turn_wait(self);
    self->run(self->arg);
    self->state = DONE;
    turn_give(self, thread_choose());
    return NULL;
}

int __wrap_pthread_create(pthread_t *id, const pthread_attr_t *attr, void *(*run)(void *),
                          void *arg)
{
    if (!active)
        return __real_pthread_create(id, attr, run, arg);
    if (create_failure >= 0 && create_failure-- == 0)
        return EAGAIN;
    struct thread *thread = active->threads;
    while (thread->state != UNUSED) {
        if (++thread == active->threads + THREADS_MAX)
            abort();
    }
    *thread = (struct thread){.schedule = active, .state = READY, .run = run, .arg = arg};
    sem_init(&thread->turn, 0, 0);
    int failed = __real_pthread_create(&thread->id, attr, thread_main, thread);
    if (failed)
        thread->state = UNUSED;
    *id = thread->id;
    schedule_point();
    return failed;
}

int __wrap_pthread_join(pthread_t id, void **ret)
{
    if (!active)
        return __real_pthread_join(id, ret);
    struct thread *thread = active->threads;
    while (thread->state == UNUSED || !pthread_equal(thread->id, id)) {
        if (++thread == active->threads + THREADS_MAX)
            abort();
    }
    active->current->state = WAITS_FOR_THREAD;
    active->current->waits_for = thread;
    thread_wait();
    int failed = __real_pthread_join(id, ret);
    sem_destroy(&thread->turn);
    thread->state = UNUSED;
    return failed;
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
    if (!active)
        return __real_pthread_mutex_lock(mutex);
    schedule_point();
    if (mutex_owner(mutex) == active->current) {
        fprintf(stderr, "a thread locks a mutex that it holds\n");
        abort();
    }
    while (mutex_owner(mutex)) {
        active->current->state = WAITS_FOR_MUTEX;
        active->current->waits_for = mutex;
        thread_wait();
    }
    mutex_take(mutex);
    return 0;
}

int __wrap_pthread_mutex_trylock(pthread_mutex_t *mutex)
{
    if (!active)
        return __real_pthread_mutex_trylock(mutex);
    schedule_point();
    if (mutex_owner(mutex))
        return EBUSY;
    mutex_take(mutex);
    return 0;
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    if (!active)
        return __real_pthread_mutex_unlock(mutex);
    mutex_give(mutex);
    schedule_point();
    return 0;
}

static int cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *until)
{
    struct thread *self = active->current;
    mutex_give(mutex);
    self->state = WAITS_FOR_COND;
    self->waits_for = cond;
    self->timed_out = false;
    self->has_deadline = until != NULL;
    if (until)
        self->deadline_ms = (uint64_t)until->tv_sec * 1000 + (uint64_t)until->tv_nsec / 1000000;
    if (until && self->deadline_ms <= memory_clock_ms()) {
        self->timed_out = true;
        self->state = READY;
        schedule_point();
    } else {
        thread_wait();
    }
    self->has_deadline = false;
    bool timed_out = self->timed_out;
    while (mutex_owner(mutex)) {
        self->state = WAITS_FOR_MUTEX;
        self->waits_for = mutex;
        thread_wait();
    }
    mutex_take(mutex);
    return timed_out ? ETIMEDOUT : 0;
}

int __wrap_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
    return active ? cond_wait(cond, mutex, NULL) : __real_pthread_cond_wait(cond, mutex);
}

int __wrap_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
                                  const struct timespec *until)
{
    return active ? cond_wait(cond, mutex, until)
                  : __real_pthread_cond_timedwait(cond, mutex, until);
}

static void cond_wake(const pthread_cond_t *cond, bool all)
{
    for (unsigned i = 0; i < THREADS_MAX; i++) {
        struct thread *thread = &active->threads[i];
        if (thread->state != WAITS_FOR_COND || thread->waits_for != cond)
            continue;
        thread->state = READY;
        if (!all)
            break;
    }
}

int __wrap_pthread_cond_signal(pthread_cond_t *cond)
{
    if (!active)
        return __real_pthread_cond_signal(cond);
    cond_wake(cond, false);
    schedule_point();
    return 0;
}

int __wrap_pthread_cond_broadcast(pthread_cond_t *cond)
{
    if (!active)
        return __real_pthread_cond_broadcast(cond);
    cond_wake(cond, true);
    schedule_point();
    return 0;
}
