// SPDX-License-Identifier: LGPL-2.1-or-later
/* Structured logging to the journal (or stderr), object first. Library code does not log: the caller that decides
 * to go on or to give up logs once. */
#pragma once
#include <glib.h>
#include <syslog.h>

typedef struct {
  const char *name;  /* journal field, e.g. "SWARM_SERVICE_ID" */
  const char *value; /* may be NULL: the field is left out */
} SwarmLogField;

/* Where lines go; the default writes to the journal when stderr is connected to it, else to stderr. For tests and the simulator. The last of
 * @fields is the MESSAGE_ID, if the line has one. */
typedef void (*SwarmLogFunc) (int priority, const SwarmLogField *fields, const char *message, gpointer data);
void swarm_log_set_handler (SwarmLogFunc func, gpointer data);
/* Highest priority number that is written (LOG_INFO unless set). */
void swarm_log_set_level (int priority);

/* Never waits: lines that the journal does not take at once are kept for a while (1 MiB of them), then counted. Texts are cut at 4 KiB.
 * @fields may be NULL or ends with {NULL}. @message_id may be NULL (a constant of base/log-ids.h). */
void swarm_log_full (int priority, const char *file, int line, const char *func, const char *message_id,
                     const SwarmLogField *fields, const char *format, ...) G_GNUC_PRINTF (7, 8);

#define SWARM_LOG_FIELDS(...) ((const SwarmLogField[]){ __VA_ARGS__, { NULL, NULL } })
#define swarm_log(priority, message_id, fields, ...) \
  swarm_log_full ((priority), __FILE__, __LINE__, __func__, (message_id), (fields), __VA_ARGS__)
#define swarm_error_log(...) swarm_log (LOG_ERR, NULL, NULL, __VA_ARGS__)
#define swarm_warning(...) swarm_log (LOG_WARNING, NULL, NULL, __VA_ARGS__)
#define swarm_notice(...) swarm_log (LOG_NOTICE, NULL, NULL, __VA_ARGS__)
#define swarm_info(...) swarm_log (LOG_INFO, NULL, NULL, __VA_ARGS__)
#define swarm_debug(...) swarm_log (LOG_DEBUG, NULL, NULL, __VA_ARGS__)
