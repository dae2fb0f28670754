// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/dispatcher/node-writer.h"
#include "base/error.h"

typedef struct {
  SwarmId node;
  gboolean has_state;
  SwarmNodeState state;
  char *text;
  char *addr;
  SwarmNodeDescription *description;
  gboolean has_clock;
  gint64 clock_offset;
  GPtrArray *tickets; /* of SwarmTicket *; settled, not freed */
  gboolean missing;   /* found out in the pass */
} Wish;

struct _SwarmNodeWriter {
  const SwarmLeader *leader;
  guint loop;
  GHashTable *wishes; /* node id → Wish */
  GPtrArray *flying;  /* of Wish: in the transaction under way */
};

static void
wish_free (gpointer data)
{
  Wish *wish = data;
  g_free (wish->text);
  g_free (wish->addr);
  swarm_node_description_unref (wish->description);
  g_ptr_array_unref (wish->tickets);
  g_free (wish);
}

static Wish *
writer_wish (SwarmNodeWriter *self, const SwarmId *node)
{
  Wish *wish = g_hash_table_lookup (self->wishes, node);
  if (wish == NULL) {
    wish = g_new0 (Wish, 1);
    wish->node = *node;
    wish->tickets = g_ptr_array_new ();
    g_hash_table_insert (self->wishes, &wish->node, wish);
  }
  return wish;
}

void
swarm_node_writer_set (SwarmNodeWriter *self, const SwarmId *node, SwarmNodeState state, const char *text, const char *addr,
                       const SwarmNodeDescription *description, SwarmTicket *ticket)
{
  Wish *wish = writer_wish (self, node);
  wish->has_state = TRUE;
  wish->state = state;
  g_free (wish->text);
  wish->text = g_strdup (text);
  if (addr != NULL) {
    g_free (wish->addr);
    wish->addr = g_strdup (addr);
  }
  if (description != NULL) {
    swarm_node_description_unref (wish->description);
    wish->description = swarm_node_description_ref (description);
  }
  if (ticket != NULL)
    g_ptr_array_add (wish->tickets, swarm_ticket_add (ticket));
  swarm_runner_mark (self->leader->runner, self->loop);
}

/* From when on a node is silent is kept while it stays down. */
static void
set_state (SwarmNodeWriter *self, SwarmNode *node, const Wish *wish)
{
  gboolean silent = wish->state == SWARM_NODE_DOWN && g_strcmp0 (wish->text, SWARM_TEXT_SHUTDOWN) != 0;
  gint64 since = node->status != NULL ? node->status->silent_since : 0;
  swarm_node_set_state (node, wish->state, wish->text); /* with a status of its own */
  node->status->silent_since = !silent ? 0 : since != 0 ? since : swarm_store_now (self->leader->store);
}

void
swarm_node_writer_describe (SwarmNodeWriter *self, const SwarmId *node, const SwarmNodeDescription *description, SwarmTicket *ticket)
{
  Wish *wish = writer_wish (self, node);
  swarm_message_set_pointer (&wish->description, description);
  g_ptr_array_add (wish->tickets, swarm_ticket_add (ticket));
  swarm_runner_mark (self->leader->runner, self->loop);
}

void
swarm_node_writer_set_clock (SwarmNodeWriter *self, const SwarmId *node, gint64 offset_ns)
{
  Wish *wish = writer_wish (self, node);
  wish->has_clock = TRUE;
  wish->clock_offset = offset_ns;
  swarm_runner_mark (self->leader->runner, self->loop);
}

static void
write_wish (SwarmNodeWriter *self, Wish *wish, SwarmTx *tx)
{
  const SwarmNode *node = swarm_store_get (self->leader->store, SWARM_KIND_NODE, &wish->node);
  wish->missing = node == NULL;
  if (wish->missing)
    return;
  g_autoptr (SwarmNode) copy = swarm_node_copy (node);
  if (wish->has_state)
    set_state (self, copy, wish);
  if (wish->has_clock)
    copy->clock_offset = wish->clock_offset;
  if (wish->addr != NULL && g_strcmp0 (copy->status->addr, wish->addr) != 0) {
    SwarmNodeStatus *status = swarm_node_status_copy (copy->status);
    g_free (status->addr);
    status->addr = g_strdup (wish->addr);
    swarm_node_status_unref (copy->status);
    copy->status = status;
  }
  if (wish->description != NULL && !swarm_message_equal (wish->description, copy->description)) {
    swarm_node_description_unref (copy->description);
    copy->description = swarm_node_description_ref (wish->description);
  }
  if (!swarm_message_equal (copy, node))
    swarm_tx_update (tx, copy);
}

static gboolean
writer_pass (gpointer loop, SwarmTx *tx)
{
  SwarmNodeWriter *self = loop;
  GHashTableIter iter;
  gpointer wish;
  g_hash_table_iter_init (&iter, self->wishes);
  while (swarm_tx_has_room (tx, 1) && g_hash_table_iter_next (&iter, NULL, &wish)) {
    write_wish (self, wish, tx);
    g_hash_table_iter_steal (&iter);
    g_ptr_array_add (self->flying, wish);
  }
  return g_hash_table_size (self->wishes) > 0;
}

/* The transaction failed: the wish stands, unless a newer one came meanwhile. */
static void
writer_put_back (SwarmNodeWriter *self, Wish *wish)
{
  Wish *newer = g_hash_table_lookup (self->wishes, &wish->node);
  if (newer == NULL) {
    g_hash_table_insert (self->wishes, &wish->node, wish);
    return;
  }
  if (!newer->has_state && wish->has_state) {
    newer->has_state = TRUE;
    newer->state = wish->state;
    newer->text = g_steal_pointer (&wish->text);
  }
  if (!newer->has_clock) {
    newer->has_clock = wish->has_clock;
    newer->clock_offset = wish->clock_offset;
  }
  if (newer->addr == NULL)
    newer->addr = g_steal_pointer (&wish->addr);
  if (newer->description == NULL)
    newer->description = g_steal_pointer (&wish->description);
  g_ptr_array_extend (newer->tickets, wish->tickets, NULL, NULL);
  wish_free (wish);
}

static void
writer_settle (gpointer loop, guint64 index, const GError *error)
{
  SwarmNodeWriter *self = loop;
  g_autoptr (GPtrArray) flying = g_steal_pointer (&self->flying);
  self->flying = g_ptr_array_new ();
  for (guint i = 0; i < flying->len; i++) {
    Wish *wish = g_ptr_array_index (flying, i);
    if (error != NULL) {
      writer_put_back (self, wish);
      continue;
    }
    g_autoptr (GError) gone = wish->missing ? g_error_new (SWARM_ERROR, SWARM_ERROR_NOT_FOUND, "this node is not part of the cluster any more") : NULL;
    swarm_tickets_settle (wish->tickets, gone);
    wish_free (wish);
  }
}

static const SwarmLoopOps writer_ops = { "node status", writer_pass, writer_settle };

SwarmNodeWriter *
swarm_node_writer_new (const SwarmLeader *leader)
{
  SwarmNodeWriter *self = g_new0 (SwarmNodeWriter, 1);
  self->leader = leader;
  self->wishes = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, NULL, NULL);
  self->flying = g_ptr_array_new ();
  self->loop = swarm_runner_add (leader->runner, &writer_ops, self);
  return self;
}

void
swarm_node_writer_free (SwarmNodeWriter *self)
{
  if (self == NULL)
    return;
  g_autoptr (GError) cancelled = g_error_new (SWARM_ERROR, SWARM_ERROR_CANCELLED, "this manager does not lead any more");
  g_autoptr (GHashTable) wishes = g_steal_pointer (&self->wishes);
  GHashTableIter iter;
  gpointer wish;
  g_hash_table_iter_init (&iter, wishes);
  while (g_hash_table_iter_next (&iter, NULL, &wish))
    g_ptr_array_add (self->flying, wish);
  for (guint i = 0; i < self->flying->len; i++) {
    wish = g_ptr_array_index (self->flying, i);
    swarm_tickets_settle (((Wish *) wish)->tickets, cancelled);
    wish_free (wish);
  }
  g_ptr_array_unref (self->flying);
  g_free (self);
}
