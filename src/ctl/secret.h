// SPDX-License-Identifier: LGPL-2.1-or-later
/* Keys and passphrases: never from the command line. */
#pragma once
#include "ctl/command.h"

/* The first line of @file ("-": standard input), or what is typed at @prompt without being shown; from standard input when that is no terminal.
 * Empty: CTL_ERROR_INVALID. Caller frees with ctl_secret_free(). */
char *ctl_secret_read (const char *file, const char *prompt, GError **error);
void ctl_secret_free (char *secret);
/* Text that says how managers are unlocked with @key. */
void ctl_print_unlock_command (const char *key);
/* The present unlock key; empty: autolock is off. */
char *ctl_get_unlock_key (CtlContext *context, GError **error);
