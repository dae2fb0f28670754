// SPDX-License-Identifier: LGPL-2.1-or-later
/* Small private files of tasks below one directory (in memory: /run), written and read on one thread, in the order asked for. */
#pragma once
#include "plugin/services.h"

#define SWARM_SCOPE_FILE_MAX (1024 * 1024)

typedef struct _SwarmScopeFiles SwarmScopeFiles;

SwarmScopeFiles *swarm_scope_files_new (const char *dir);
/* What is queued is still done; functions are called no more. */
void swarm_scope_files_free (SwarmScopeFiles *self);

/* The directory of @scope, newly allocated; NULL with INVALID_ARGUMENT when it is no plain name. */
char *swarm_scope_files_path (SwarmScopeFiles *self, const char *scope, GError **error);
/* Directory 0700, files 0600, each put in place atomically; all copied before this returns. */
void swarm_scope_files_write (SwarmScopeFiles *self, const char *scope, const SwarmPluginFile *files, gsize n_files, SwarmFileFunc func,
                              gpointer data);
void swarm_scope_files_read (SwarmScopeFiles *self, const char *scope, const char *name, gsize max, SwarmFileFunc func, gpointer data);
/* NULL @name: the directory with all in it. Absent is fine. */
void swarm_scope_files_remove (SwarmScopeFiles *self, const char *scope, const char *name, SwarmFileFunc func, gpointer data);
