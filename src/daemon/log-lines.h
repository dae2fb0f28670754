// SPDX-License-Identifier: LGPL-2.1-or-later
/* The lines of a service's logs on their way from the nodes to a reader. Pure. */
#pragma once
#include "base/id.h"

/* What a page of lines is made of: those after a cursor. */
typedef struct {
  guint64 after; /* µs: the cursor's moment … */
  guint skip;    /* … and how many lines of that moment the reader has */
  guint64 until; /* lines of a later moment are left out: some node may have more before them */
  guint max;
  gsize max_bytes; /* of text; one line is taken however long it is */
} SwarmLogPage;

/* A cursor as ReadLogs gave it, "" for the beginning; FALSE: it is none. */
gboolean swarm_log_cursor_parse (const char *cursor, SwarmLogPage *page);
/* (aa{sv}s): the oldest of @lines ("µs task node stream service.slot text" each, in any order) that the page takes, and the next cursor,
 * "" when it takes none. Floating. */
GVariant *swarm_log_page (const char *lines, const SwarmLogPage *page);

/* Whose task it is. */
typedef struct {
  SwarmId node;
  guint slot;
} SwarmLogTask;
/* Appends what @node sent ("µs task stream text") as readers get it: "µs task node stream service.slot text". FALSE, and nothing is appended: it is no
 * such line, or speaks of a task that is not one of @node's (@tasks: SwarmId → SwarmLogTask). */
gboolean swarm_log_line_append (GString *out, const char *line, GHashTable *tasks, const SwarmId *node, const char *hostname, const char *service);

/* @ids (char *) in parts of at most @size each, @max parts at most: arrays of borrowed char * that end with NULL. @ret_left: how many found no room. */
GPtrArray *swarm_log_parts (GPtrArray *ids, guint size, guint max, guint *ret_left);
