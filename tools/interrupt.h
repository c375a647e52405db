// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Ctrl-C and SIGTERM for work that must tidy up before it ends.
#ifndef TOOLS_INTERRUPT_H
#define TOOLS_INTERRUPT_H

#include <stdbool.h>
#include <sys/types.h>

// From here on the two signals only set a mark, which a child inherits; calls that wait return
// early with EINTR.
void interrupt_catch(void);
bool interrupt_pending(void);

// Sends a signal that came on to a child that may have been made before.
void interrupt_pass_on(pid_t child);

// Ends the process by the signal that came, if one did: after tidying up.
void interrupt_die(void);

// The point of no return: true if nobody has asked to stop, and from here on nobody is heard.
bool interrupt_shut(void);

#endif
