// SPDX-License-Identifier: LGPL-2.1-or-later
/* What the files of swarm-podman share. */
#pragma once
#include <glib.h>

/* The strings of a file that ends each with a zero byte; NULL: there is no such file. */
GPtrArray *helper_read_list (const char *dir, const char *name);
/* CRUN DIR FILE CONTAINER MS BYTES (helper-exec.c). Standard output gets "exit N\n" or "timeout\n", then the command's output. Returns the program's exit code. */
int helper_exec (char **arguments);
