// SPDX-License-Identifier: LGPL-2.1-or-later
/* sd_notify and the watchdog, fed from the main loop at half its interval. */
#pragma once
#include <glib.h>

void swarm_notify_ready (void);
void swarm_notify_stopping (void);
/* One line for `systemctl status`; repeated texts are not sent again. */
void swarm_notify_status (const char *format, ...) G_GNUC_PRINTF (1, 2);
/* Starts feeding when systemd asked for it; stop with swarm_notify_watchdog_stop(). */
void swarm_notify_watchdog_start (void);
void swarm_notify_watchdog_stop (void);
