// SPDX-License-Identifier: LGPL-2.1-or-later
/* Says on stderr what a join waits for. */
#pragma once
#include "ctl/client.h"

typedef struct _CtlWaiting CtlWaiting;

/* While a call lets the main loop run: when it takes more than a second the agent is asked why, and what it says is told once; when it gives no
 * reason, that @remote is waited for. Nothing is said while the agent has not begun, for then somebody may be typing a password. */
CtlWaiting *ctl_waiting_start (CtlContext *context, const char *remote);
void ctl_waiting_stop (CtlWaiting *self);
