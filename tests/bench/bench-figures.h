// SPDX-License-Identifier: LGPL-2.1-or-later
/* What a benchmark measured: series of numbers by name, told as medians: lines for people, one JSON object as the last line. */
#pragma once
#include <glib.h>

/* One more measurement of @name ("vip.keepalive.cpu_us"). */
void figure_add (double value, const char *name, ...) G_GNUC_PRINTF (2, 3);
/* The median; 0: nothing was measured. */
double figure_median (const char *name, ...) G_GNUC_PRINTF (1, 2);
/* A line of the report that tests/run takes over. */
void figure_say (const char *format, ...) G_GNUC_PRINTF (1, 2);
/* All medians, in the order in which they were measured first. */
void figure_print_json (void);
