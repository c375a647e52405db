// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Ctrl-C and SIGTERM for work that must tidy up before it ends.
#ifndef TOOLS_INTERRUPT_H
#define TOOLS_INTERRUPT_H

#include <stdbool.h>

// From here on the two signals only set a mark; calls that wait return early with EINTR.
void interrupt_catch(void);
bool interrupt_pending(void);

// Ends the process by the signal that came, if one did: after tidying up.
void interrupt_die(void);

// The point of no return: true if nobody has asked to stop, and from here on nobody is heard.
bool interrupt_shut(void);

#endif
