// SPDX-License-Identifier: LGPL-2.1-or-later
/* The journal's native protocol (https://systemd.io/JOURNAL_NATIVE_PROTOCOL) without ever waiting: libsystemd's functions block the caller
 * while journald does not read, and a main loop that waits for a journal misses its heartbeats. For log.c. */
#pragma once
#include <glib.h>

#define SWARM_JOURNAL_SOCKET "/run/systemd/journal/socket"
/* What waits for a journal that does not read; then entries are dropped and counted. */
#define SWARM_JOURNAL_WAITING_MAX (1024 * 1024)

typedef struct _SwarmJournal SwarmJournal;

/* NULL: there is no journal at @path. */
SwarmJournal *swarm_journal_new (const char *path);
void swarm_journal_free (SwarmJournal *self);
/* Appends a field to @entry; a NULL value: nothing. */
void swarm_journal_field (GString *entry, const char *name, const char *value);
/* Sends what waits, then @entry. FALSE: the journal is gone. */
gboolean swarm_journal_send (SwarmJournal *self, const GString *entry);
/* Sends what waits; TRUE when nothing is left. */
gboolean swarm_journal_flush (SwarmJournal *self);
/* How many entries were dropped since this was asked last. */
guint swarm_journal_take_lost (SwarmJournal *self);
