// SPDX-License-Identifier: LGPL-2.1-or-later
/* One batch on its way in: its parts' records, read and checked as they come, until the last part is there. */
#pragma once
#include "netd/row.h"

typedef struct _SwarmNetdBatch SwarmNetdBatch;

/* Checks the header of a message from a client. */
gboolean swarm_netd_header_check (const SwarmNetdHeader *header, GError **error);

SwarmNetdBatch *swarm_netd_batch_new (const SwarmNetdHeader *header);
void swarm_netd_batch_free (SwarmNetdBatch *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SwarmNetdBatch, swarm_netd_batch_free)

/* Takes a part. FALSE: the batch is refused; @bad_record says where (G_MAXUINT32: nowhere). Nothing more may be added then. */
gboolean swarm_netd_batch_add (SwarmNetdBatch *self, const SwarmNetdHeader *header, const guint8 *records, guint32 *bad_record, GError **error);
/* The last part is there. */
gboolean swarm_netd_batch_is_whole (SwarmNetdBatch *self);
guint64 swarm_netd_batch_number (SwarmNetdBatch *self);
guint64 swarm_netd_batch_base (SwarmNetdBatch *self);
gboolean swarm_netd_batch_is_full (SwarmNetdBatch *self);
/* SwarmNetdEdit, one a record. */
GArray *swarm_netd_batch_edits (SwarmNetdBatch *self);

/* The inverse, for the state file and tests: appends one record. */
void swarm_netd_record_append (GByteArray *bytes, guint16 type, guint16 op, const void *data, gsize length);
