// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// The engine's threads, one at a time, in an order that a seed decides.
//
// Linked with -Wl,--wrap for the pthread calls below, a program inside a schedule runs its threads
// as real ones of which only one moves: the others wait for their turn. The turn changes where the
// engine could notice: at a lock, an unlock, a condition, a join, and at each call of os.h. Time is
// os_memory.c's clock and passes only when every thread waits for it. A deadlock is found at once.
//
// Outside of a schedule the wrapped calls are the real ones.
#ifndef TESTS_SCHEDULE_H
#define TESTS_SCHEDULE_H

#include <stdint.h>

// Wrapped: pthread_create, pthread_join, pthread_mutex_lock, pthread_mutex_trylock,
// pthread_mutex_unlock, pthread_cond_wait, pthread_cond_timedwait, pthread_cond_signal,
// pthread_cond_broadcast.

// Begins a schedule of which the caller is the first thread. At each place one in `restless` times
// the turn goes to another thread, drawn by the seed; 0: only when the thread must wait. Schedules
// nest: the threads of the outer one stand still.
void schedule_begin(uint64_t seed, unsigned restless);

// Ends it; all its other threads have been joined.
void schedule_end(void);

// A place where the turn may change.
void schedule_point(void);

// Lets the others run for so long, by the clock of os_memory.c.
void schedule_sleep_ms(uint64_t ms);

// The next call of pthread_create but `skip` fails. -1: none does.
void schedule_fail_create(int skip);

#endif
