// SPDX-License-Identifier: LGPL-2.1-or-later
/* Lets polkit ask for a password on this terminal while a call waits, as systemctl does. */
#pragma once

/* Starts pkttyagent once, when we are not root and stdin is a terminal; a missing program is no error. */
void ctl_polkit_agent_open (void);
void ctl_polkit_agent_close (void);
