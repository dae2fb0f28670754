// SPDX-License-Identifier: LGPL-2.1-or-later
/* The rows of the wanted state: one table of types says how each is read, checked and named. */
#pragma once
#include "netd/swarm-netd-batch.h"
#include <glib.h>

#define SWARM_NETD_N_TYPES (SWARM_NETD_TYPE_WIREGUARD + 1)

/* Immutable, reference-counted; @data is the struct of its type. */
typedef struct {
  gint refs;
  guint16 type;
  guint16 length; /* of data */
  guint8 data[] __attribute__ ((aligned (8)));
} SwarmNetdRow;

/* Reads one record's @data. Checks everything that the row shows by itself; with @remove only its key. */
SwarmNetdRow *swarm_netd_row_parse (guint16 type, const guint8 *data, gsize length, gboolean remove, GError **error);
SwarmNetdRow *swarm_netd_row_ref (SwarmNetdRow *row);
void swarm_netd_row_unref (SwarmNetdRow *row);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SwarmNetdRow, swarm_netd_row_unref)

/* Order by key (rows of one type). */
int swarm_netd_row_compare (const SwarmNetdRow *a, const SwarmNetdRow *b);
gboolean swarm_netd_row_equal (const SwarmNetdRow *a, const SwarmNetdRow *b);
/* How many of the first bytes of a row are its key; 0: the type has one row. */
gsize swarm_netd_row_key_size (guint16 type);
/* "interface 0a…z 4097", for people. Caller frees. */
char *swarm_netd_row_describe (const SwarmNetdRow *row);
const char *swarm_netd_type_to_string (guint16 type);
