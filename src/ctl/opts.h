// SPDX-License-Identifier: LGPL-2.1-or-later
/* The command line: options as pflag (docker's parser) reads them, checked while they are read. */
#pragma once
#include "ctl/command.h"

/* Exit code 2. USAGE adds the usage line to the message; INVALID is the bare text. */
#define CTL_ERROR (ctl_error_quark ())
typedef enum { CTL_ERROR_USAGE, CTL_ERROR_INVALID, CTL_ERROR_FAILED /* exit code 1 */ } CtlError;
GQuark ctl_error_quark (void);

/* Sets CTL_ERROR_INVALID and returns FALSE: a bad value. */
gboolean ctl_invalid (GError **error, const char *format, ...) G_GNUC_PRINTF (2, 3);

typedef struct _CtlArgs CtlArgs;

/* Reads @argv (after the command's own words; @argc elements). Secret values are overwritten in place. */
CtlArgs *ctl_args_parse (const CtlCommand *command, int argc, char **argv, GError **error);
void ctl_args_free (CtlArgs *args);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (CtlArgs, ctl_args_free)

/* @name must be in the command's tables: anything else is a programming error and aborts. */
gboolean ctl_args_given (CtlArgs *args, const char *name);
/* The last value; NULL when not given. Borrowed. */
const char *ctl_args_string (CtlArgs *args, const char *name);
/* Is nothing given but these options (NULL-terminated)? */
gboolean ctl_args_only (CtlArgs *args, const char *const *names);
/* All values in order (possibly empty). Borrowed. */
GPtrArray *ctl_args_list (CtlArgs *args, const char *name);
gboolean ctl_args_bool (CtlArgs *args, const char *name);
guint64 ctl_args_uint (CtlArgs *args, const char *name);
/* INT: the number, DURATION: ns, BYTES: bytes, DECIMAL: billionths. */
gint64 ctl_args_int (CtlArgs *args, const char *name);
double ctl_args_double (CtlArgs *args, const char *name);
/* Positional arguments. Borrowed. */
GPtrArray *ctl_args_positional (CtlArgs *args);
/* --help was given; the rest may be incomplete. */
gboolean ctl_args_help (CtlArgs *args);
/* -H USER@HOST; NULL when not given. */
const char *ctl_args_host (CtlArgs *args);

/* Exactly what docker's argument checks say. */
gboolean ctl_args_check_count (CtlArgs *args, GError **error);
