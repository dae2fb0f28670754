// SPDX-License-Identifier: LGPL-2.1-or-later
/* The commands of swarm-sim. Each gets its arguments and returns the program's exit code. */
#pragma once
#include <glib.h>

enum { SIM_EXIT_OK = 0, SIM_EXIT_FAILED = 1, SIM_EXIT_USAGE = 2 };

int sim_command_run (int argc, char **argv);
int sim_command_fuzz (int argc, char **argv);
int sim_command_bench (int argc, char **argv);
int sim_command_man (void);
int sim_usage (const char *format, ...) G_GNUC_PRINTF (1, 2);
/* The same about the argument @i of @command and its value. */
int sim_usage_of (const char *command, int argc, char **argv, int i);
const char *sim_version (void);
/* The number after option argv[*i], which is moved on; FALSE: none there. */
gboolean sim_option_number (int argc, char **argv, int *i, double *ret);
