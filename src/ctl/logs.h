// SPDX-License-Identifier: LGPL-2.1-or-later
/* Lines of `service logs`. */
#pragma once
#include <glib.h>

/* One record as the agent writes it: "µs task_id node stream service.slot text", text with \\ and \n escaped. */
typedef struct {
  gint64 time_us;
  char *task_id;
  char *node;
  guint stream; /* 1 stdout, 2 stderr */
  char *name;   /* service.slot */
  char *text;
} CtlLogRecord;

/* FALSE: not such a line. */
gboolean ctl_log_record_parse (const char *line, CtlLogRecord *ret);
void ctl_log_record_clear (CtlLogRecord *record);

typedef struct {
  gboolean raw, timestamps, no_trunc, no_task_ids;
  guint slot_width; /* digits of the highest slot: shorter ones are padded */
} CtlLogOptions;

/* The line to print, without the newline. Caller frees. */
char *ctl_log_record_format (const CtlLogRecord *record, const CtlLogOptions *options);
