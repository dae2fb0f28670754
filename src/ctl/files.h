// SPDX-License-Identifier: LGPL-2.1-or-later
/* Files that are named on the command line. */
#pragma once
#include <glib.h>

/* The whole of a text file, of 4 MiB at most and without NUL bytes; "-": standard input. Error: CTL_ERROR_INVALID. Caller frees. */
char *ctl_file_read (const char *path, GError **error);
