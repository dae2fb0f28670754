// SPDX-License-Identifier: LGPL-2.1-or-later
/* What clients saw of registers, and whether there is an order of all calls, each at one moment between its beginning and its end, that explains
 * it: linearizability, checked as Wing and Gong do with Lowe's cache of states seen (as Porcupine does). One register at a time, for each is
 * linearizable exactly when all are. Values of writes must be unique; 0 is the value of a register at first. */
#pragma once
#include <glib.h>

typedef struct _History History;

History *history_new (guint n_registers);
void history_free (History *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (History, history_free)

/* A call begins: a write of @value, or a read. Its number is used below; a call that is never ended may have been done at any later moment, or not. */
guint history_write (History *self, guint key, guint64 value, gint64 now);
guint history_read (History *self, guint key, gint64 now);
/* It ends; @value: what was read. */
void history_done (History *self, guint call, guint64 value, gint64 now);
/* It was refused: it had no effect, ever. */
void history_refused (History *self, guint call);

guint history_n_calls (const History *self);
/* NULL: there is such an order. Else what could not be explained; caller frees. */
char *history_check (const History *self);
