// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/error.h"
#include "manager/control/operation.h"

#define CERT_MARGIN_US (7 * G_TIME_SPAN_DAY)
#define CERT_LONGEST_US (90 * G_TIME_SPAN_DAY)

static SwarmNode *
find_node (SwarmOperation *self, GError **error)
{
  SwarmNode *node = swarm_store_get (self->control->store, SWARM_KIND_NODE, &self->id);
  if (node == NULL) {
    g_autofree char *id = swarm_id_dup_string (&self->id);
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_NOT_FOUND, "node %s not found", id);
  }
  return node;
}

/* Puts @spec (taken over) in place; nothing when it says the same. */
static void
change_node (SwarmTx *tx, const SwarmNode *node, SwarmNodeSpec *spec)
{
  g_autoptr (SwarmNodeSpec) own = spec;
  if (swarm_message_equal (node->spec, own))
    return;
  g_autoptr (SwarmNode) copy = swarm_node_copy (node);
  swarm_node_spec_unref (copy->spec);
  copy->spec = g_steal_pointer (&own);
  swarm_tx_update (tx, copy);
}

/* ---- availability, labels ---- */

static gboolean
apply_availability (SwarmNodeSpec *spec, const char *text, GError **error)
{
  SwarmAvailability availability;
  if (!swarm_availability_from_string (text, &availability)) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT,
                 "invalid availability \"%s\", only active, pause and drain are supported", text);
    return FALSE;
  }
  if (availability != spec->availability) {
    spec->drain_order = SWARM_DRAIN_UPDATE_ORDER;
    spec->drain_deadline = 0;
  }
  spec->availability = availability;
  return TRUE;
}

static gboolean
fill_drain (SwarmOperation *self, SwarmTx *tx, GError **error)
{
  const SwarmNode *node = find_node (self, error);
  if (node == NULL)
    return FALSE;
  SwarmNodeSpec *spec = swarm_node_spec_copy (node->spec);
  spec->availability = SWARM_AVAILABILITY_DRAIN;
  spec->drain_order = (SwarmDrainOrder) self->number;
  spec->drain_deadline = (gint64) self->version;
  change_node (tx, node, spec);
  return TRUE;
}

void
swarm_control_drain_node (SwarmControl *self, const SwarmId *id, SwarmDrainOrder order, gint64 deadline_us, const char *request_id,
                          SwarmControlFunc done, gpointer data)
{
  SwarmOperation *operation = swarm_operation_new (self, fill_drain, id, request_id, done, data);
  operation->number = order;
  operation->version = deadline_us > 0 ? (guint64) (swarm_store_now (self->store) + deadline_us) : 0;
  swarm_operation_run (operation);
}

static gboolean
apply_labels (GHashTable *labels, GHashTable *set, GPtrArray *remove, GError **error)
{
  GHashTableIter iter;
  gpointer key, value;
  for (guint i = 0; remove != NULL && i < remove->len; i++) {
    const char *gone = g_ptr_array_index (remove, i);
    if (!g_hash_table_remove (labels, gone)) {
      g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "key %s doesn't exist in node's labels", gone);
      return FALSE;
    }
  }
  if (set == NULL)
    return TRUE;
  g_hash_table_iter_init (&iter, set);
  while (g_hash_table_iter_next (&iter, &key, &value)) {
    if (*(char *) key == '\0') {
      g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "a label needs a key");
      return FALSE;
    }
    g_hash_table_insert (labels, g_strdup (key), g_strdup (value));
  }
  return TRUE;
}

static gboolean
fill_update (SwarmOperation *self, SwarmTx *tx, GError **error)
{
  const SwarmNode *node = find_node (self, error);
  if (node == NULL)
    return FALSE;
  g_autoptr (SwarmNodeSpec) spec = swarm_node_spec_copy (node->spec);
  if (self->text != NULL && !apply_availability (spec, self->text, error))
    return FALSE;
  if (spec->labels == NULL)
    spec->labels = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  if (!apply_labels (spec->labels, self->set, self->remove, error))
    return FALSE;
  if (g_hash_table_size (spec->labels) == 0)
    g_clear_pointer (&spec->labels, g_hash_table_unref);
  change_node (tx, node, g_steal_pointer (&spec));
  return TRUE;
}

static gpointer
dup_string (gconstpointer text, gpointer data)
{
  return g_strdup (text);
}

void
swarm_control_update_node (SwarmControl *self, const SwarmId *id, const char *availability, GHashTable *set, GPtrArray *remove,
                           const char *request_id, SwarmControlFunc done, gpointer data)
{
  SwarmOperation *operation = swarm_operation_new (self, fill_update, id, request_id, done, data);
  GHashTableIter iter;
  gpointer key, value;
  operation->text = g_strdup (availability);
  if (set != NULL) {
    operation->set = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
    g_hash_table_iter_init (&iter, set);
    while (g_hash_table_iter_next (&iter, &key, &value))
      g_hash_table_insert (operation->set, g_strdup (key), g_strdup (value));
  }
  if (remove != NULL) {
    operation->remove = g_ptr_array_copy (remove, dup_string, NULL);
    g_ptr_array_set_free_func (operation->remove, g_free);
  }
  swarm_operation_run (operation);
}

void
swarm_control_set_availability (SwarmControl *self, const SwarmId *id, const char *availability, const char *request_id,
                                SwarmControlFunc done, gpointer data)
{
  swarm_control_update_node (self, id, availability, NULL, NULL, request_id, done, data);
}

void
swarm_control_update_labels (SwarmControl *self, const SwarmId *id, GHashTable *set, GPtrArray *remove, const char *request_id,
                             SwarmControlFunc done, gpointer data)
{
  swarm_control_update_node (self, id, NULL, set, remove, request_id, done, data);
}

/* ---- role ---- */

static GArray *
list_members (SwarmControl *self)
{
  if (self->members == NULL || self->members->list == NULL)
    return g_array_new (FALSE, FALSE, sizeof (SwarmMember));
  return self->members->list (self->members->data);
}

static const SwarmMember *
find_member (GArray *members, const SwarmId *node)
{
  for (guint i = 0; i < members->len; i++) {
    const SwarmMember *member = &g_array_index (members, SwarmMember, i);
    if (swarm_id_equal (&member->node, node))
      return member;
  }
  return NULL;
}

static gboolean
count_manager (gpointer object, gpointer data)
{
  guint *n = data;
  *n += ((SwarmNode *) object)->spec->role == SWARM_ROLE_MANAGER;
  return TRUE;
}

/* swarm's rule: those reachable without it must be a majority of the rest. */
static gboolean
keeps_quorum (GArray *members, const SwarmMember *leaving)
{
  guint voters = 0, reachable = 0;
  for (guint i = 0; i < members->len; i++) {
    const SwarmMember *member = &g_array_index (members, SwarmMember, i);
    voters += member->voter;
    reachable += member->voter && member->reachable && member != leaving;
  }
  if (!leaving->voter || voters <= 1)
    return TRUE;
  return reachable >= (voters - 1) / 2 + 1;
}

static gboolean
may_demote (SwarmControl *self, const SwarmNode *node, GError **error)
{
  guint managers = 0;
  swarm_store_foreach (self->store, SWARM_KIND_NODE, count_manager, &managers);
  if (managers <= 1) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_FAILED_PRECONDITION, "attempting to demote the last manager of the swarm");
    return FALSE;
  }
  g_autoptr (GArray) members = list_members (self);
  const SwarmMember *member = find_member (members, &node->object.id);
  if (member == NULL && node->manager_status != NULL && members->len > 0) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_NOT_FOUND, "can't find manager in raft memberlist");
    return FALSE;
  }
  if (member != NULL && !keeps_quorum (members, member)) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_FAILED_PRECONDITION,
                 "can't remove member from the raft: this would result in a loss of quorum");
    return FALSE;
  }
  return TRUE;
}

static gboolean
fill_role (SwarmOperation *self, SwarmTx *tx, GError **error)
{
  const SwarmNode *node = find_node (self, error);
  SwarmRole role = (SwarmRole) self->number;
  if (node == NULL)
    return FALSE;
  if (node->spec->role == SWARM_ROLE_MANAGER && role == SWARM_ROLE_WORKER && !may_demote (self->control, node, error))
    return FALSE;
  SwarmNodeSpec *spec = swarm_node_spec_copy (node->spec);
  spec->role = role;
  change_node (tx, node, spec);
  return TRUE;
}

void
swarm_control_set_role (SwarmControl *self, const SwarmId *id, SwarmRole role, const char *request_id, SwarmControlFunc done,
                        gpointer data)
{
  SwarmOperation *operation = swarm_operation_new (self, fill_role, id, request_id, done, data);
  operation->number = role;
  swarm_operation_run (operation);
}

const char *
swarm_control_manager_status (SwarmControl *self, const SwarmId *node)
{
  g_autoptr (GArray) members = list_members (self);
  const SwarmMember *member = find_member (members, node);
  if (member == NULL)
    return "";
  if (member->leader)
    return "leader";
  if (!member->voter)
    return "unknown";
  return member->reachable ? "reachable" : "unreachable";
}

/* ---- remove, leave ---- */

/* The cluster refuses the node's certificates as long as one may be valid. */
static void
refuse_certificates (SwarmControl *self, const SwarmNode *node, SwarmTx *tx)
{
  const SwarmCluster *cluster = swarm_store_cluster (self->store);
  gint64 now = swarm_clock_now (self->clock);
  if (cluster == NULL)
    return;
  g_autoptr (SwarmCluster) copy = swarm_cluster_copy (cluster);
  g_autoptr (GPtrArray) list = g_ptr_array_new_with_free_func (swarm_message_unref);
  for (guint i = 0; cluster->removed_nodes != NULL && i < cluster->removed_nodes->len; i++) {
    SwarmRemovedNode *old = g_ptr_array_index (cluster->removed_nodes, i);
    if (old->until > now)
      g_ptr_array_add (list, swarm_removed_node_ref (old));
  }
  SwarmRemovedNode *entry = swarm_removed_node_new ();
  entry->node = node->object.id;
  entry->until = (node->cert_not_after > 0 ? node->cert_not_after : now + CERT_LONGEST_US) + CERT_MARGIN_US;
  g_ptr_array_add (list, entry);
  g_clear_pointer (&copy->removed_nodes, g_ptr_array_unref);
  copy->removed_nodes = g_steal_pointer (&list);
  swarm_tx_update (tx, copy);
}

static gboolean
fill_remove (SwarmOperation *self, SwarmTx *tx, GError **error)
{
  const SwarmNode *node = find_node (self, error);
  g_autofree char *id = swarm_id_dup_string (&self->id);
  if (node == NULL)
    return FALSE;
  g_autoptr (GArray) members = list_members (self->control);
  if (find_member (members, &self->id) != NULL) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_FAILED_PRECONDITION,
                 "node %s is a cluster manager and is a member of the raft cluster. It must be demoted to worker before removal", id);
    return FALSE;
  }
  if (!self->flag && node->status->state == SWARM_NODE_READY) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_FAILED_PRECONDITION, "node %s is not down and can't be removed", id);
    return FALSE;
  }
  refuse_certificates (self->control, node, tx);
  swarm_tx_remove (tx, SWARM_KIND_NODE, &self->id, 0);
  return TRUE;
}

void
swarm_control_remove_node (SwarmControl *self, const SwarmId *id, gboolean force, const char *request_id, SwarmControlFunc done,
                           gpointer data)
{
  SwarmOperation *operation = swarm_operation_new (self, fill_remove, id, request_id, done, data);
  operation->flag = force;
  swarm_operation_run (operation);
}

gboolean
swarm_control_may_leave (SwarmControl *self, const SwarmId *node, GError **error)
{
  g_autoptr (GArray) members = list_members (self);
  guint reachable = 0, unreachable = 0;
  gboolean has_leader = FALSE;
  if (find_member (members, node) == NULL)
    return TRUE;
  for (guint i = 0; i < members->len; i++) {
    const SwarmMember *member = &g_array_index (members, SwarmMember, i);
    reachable += member->reachable;
    unreachable += !member->reachable;
    has_leader |= member->leader;
  }
  g_autoptr (GString) text
      = g_string_new ("You are attempting to leave the swarm on a node that is participating as a manager. ");
  if (!has_leader) {
    g_string_append (text, "Doing so may lose the consensus of your cluster. ");
  } else if (reachable == 1 && unreachable == 0) {
    g_string_append (text, "Removing the last manager erases all current state of the swarm. Use `--force` to ignore this message. ");
    g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_FAILED_PRECONDITION, text->str);
    return FALSE;
  } else if ((gint) reachable - 2 <= (gint) unreachable) {
    g_string_append_printf (text,
                            "Removing this node leaves %u managers out of %u. Without a Raft quorum your swarm will be inaccessible. ",
                            reachable - 1, reachable + unreachable);
  }
  g_string_append (text, "The only way to restore a swarm that has lost consensus is to reinitialize it with `--force-new-cluster`. "
                         "Use `--force` to suppress this message.");
  g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_FAILED_PRECONDITION, text->str);
  return FALSE;
}
