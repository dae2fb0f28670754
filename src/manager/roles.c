// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/roles.h"
#include "base/log-ids.h"
#include "base/log.h"
#include "manager/dirty.h"
#include "manager/scan.h"

#define RETRY_FIRST_US (500 * G_TIME_SPAN_MILLISECOND)
#define RETRY_LAST_US (16 * G_TIME_SPAN_SECOND)

struct _SwarmRoles {
  const SwarmLeader *leader;
  guint loop;
  guint watch;
  SwarmScan all_nodes;
  SwarmDirty nodes;
  struct _Change *removal;   /* one at a time; it goes before a promotion */
  struct _Change *promotion; /* one at a time */
  SwarmId promoted_last;     /* not again before the others: one that never catches up holds up nobody */
  SwarmTimer *retry;
  gint64 retry_after; /* doubled while it does not come about */
};

/* A change of the membership under way. Outlives the loop when the answer is late. */
typedef struct _Change {
  SwarmRoles *roles; /* NULL: gone */
  SwarmId node;
  gboolean promotion;
} Change;

static gboolean
mark_node (gpointer object, gpointer data)
{
  SwarmRoles *self = data;
  swarm_dirty_mark (&self->nodes, &SWARM_OBJECT (object)->id);
  swarm_runner_mark (self->leader->runner, self->loop);
  return TRUE;
}

void
swarm_roles_look (SwarmRoles *self)
{
  swarm_scan_begin (&self->all_nodes, SWARM_KIND_NODE);
  swarm_runner_mark (self->leader->runner, self->loop);
}

static void
retry_due (gpointer data)
{
  SwarmRoles *self = data;
  self->retry = NULL;
  swarm_roles_look (self);
}

static void
retry_later (SwarmRoles *self)
{
  if (self->retry == NULL)
    self->retry = swarm_clock_timer (self->leader->clock, self->retry_after, SWARM_PRIORITY_NORMAL, retry_due, self);
  self->retry_after = MIN (2 * self->retry_after, RETRY_LAST_US);
}

static void
change_done (const GError *error, gpointer data)
{
  g_autofree Change *change = data;
  SwarmRoles *self = change->roles;
  if (self == NULL)
    return;
  *(change->promotion ? &self->promotion : &self->removal) = NULL;
  g_autofree char *node = swarm_id_dup_string (&change->node);
  if (error == NULL) {
    if (change->promotion)
      swarm_log (LOG_NOTICE, swarm_log_id_manager_votes, SWARM_LOG_FIELDS ({ "SWARM_NODE_ID", node }), "manager %s votes now", node);
    self->retry_after = RETRY_FIRST_US;
    swarm_roles_look (self);
    return;
  }
  swarm_log (change->promotion ? LOG_INFO : LOG_NOTICE, NULL, SWARM_LOG_FIELDS ({ "SWARM_NODE_ID", node }), "manager %s %s yet: %s", node,
             change->promotion ? "does not vote" : "is not demoted", error->message);
  retry_later (self);
}

static Change *
change_new (SwarmRoles *self, const SwarmId *node, gboolean promotion)
{
  Change *change = g_new0 (Change, 1);
  change->roles = self;
  change->node = *node;
  change->promotion = promotion;
  *(promotion ? &self->promotion : &self->removal) = change;
  return change;
}

/* Takes a demoted node out of the consensus; the leader first hands over, then the new leader does it. */
static void
remove_member (SwarmRoles *self, const SwarmId *node)
{
  const SwarmMembers *members = self->leader->members;
  if (self->removal != NULL || self->retry != NULL)
    return;
  if (swarm_id_equal (node, &self->leader->self))
    members->transfer (change_done, change_new (self, node, FALSE), members->data);
  else
    members->remove (node, change_done, change_new (self, node, FALSE), members->data);
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

/* A member whose node is gone: one that joined, and whose agent gave up before it was there. */
static void
remove_stray (SwarmRoles *self, GArray *members)
{
  if (swarm_store_cluster (self->leader->store) == NULL)
    return; /* it is being made */
  for (guint i = 0; i < members->len; i++) {
    const SwarmId *node = &g_array_index (members, SwarmMember, i).node;
    if (swarm_store_get (self->leader->store, SWARM_KIND_NODE, node) == NULL && !swarm_id_equal (node, &self->leader->self)) {
      remove_member (self, node);
      return;
    }
  }
}

/* Standbys that are to vote take turns: whoever was not tried last. */
static void
promote_members (SwarmRoles *self, GArray *members)
{
  const SwarmMember *next = NULL;
  if (self->promotion != NULL || self->removal != NULL || self->retry != NULL)
    return;
  for (guint i = 0; i < members->len; i++) {
    const SwarmMember *member = &g_array_index (members, SwarmMember, i);
    const SwarmNode *node = swarm_store_get (self->leader->store, SWARM_KIND_NODE, &member->node);
    if (!member->voter && node != NULL && node->spec->role == SWARM_ROLE_MANAGER
        && (next == NULL || swarm_id_equal (&next->node, &self->promoted_last)))
      next = member;
  }
  if (next == NULL)
    return;
  self->promoted_last = next->node;
  self->leader->members->promote (&next->node, change_done, change_new (self, &next->node, TRUE), self->leader->members->data);
}

/* The node's object as its membership says; NULL: it says so already. */
static SwarmNode *
reflect_membership (const SwarmNode *node, const SwarmMember *member)
{
  g_autoptr (SwarmNode) copy = swarm_node_copy (node);
  if (member == NULL) {
    swarm_manager_status_unref (copy->manager_status);
    copy->manager_status = NULL;
    if (node->spec->role == SWARM_ROLE_WORKER)
      copy->role = SWARM_ROLE_WORKER;
  } else if (member->voter) {
    SwarmManagerStatus *status = swarm_manager_status_new ();
    status->addr = g_strdup (member->addr);
    swarm_manager_status_unref (copy->manager_status);
    copy->manager_status = status;
    copy->role = SWARM_ROLE_MANAGER;
  }
  return swarm_message_equal (copy, node) ? NULL : g_steal_pointer (&copy);
}

static guint64
level_of (const SwarmNode *node)
{
  return node != NULL && node->description != NULL ? MAX (node->description->feature_level, 1) : 1;
}

/* The cluster's feature level is the lowest of its managers; of one that has not told its level it is the lowest there is. What the state holds
 * already, all of them know: others could not have read it. */
static void
keep_level (SwarmRoles *self, GArray *members, SwarmTx *tx)
{
  SwarmCluster *cluster = swarm_store_cluster (self->leader->store);
  guint64 level = G_MAXUINT64;
  for (guint i = 0; i < members->len; i++)
    level = MIN (level, level_of (swarm_store_get (self->leader->store, SWARM_KIND_NODE, &g_array_index (members, SwarmMember, i).node)));
  if (members->len > 0)
    level = MAX (level, swarm_store_level_used (self->leader->store));
  if (cluster == NULL || members->len == 0 || MAX (cluster->feature_level, 1) == level || !swarm_tx_has_room (tx, 1))
    return;
  swarm_notice ("The cluster's feature level is %" G_GUINT64_FORMAT " now, it was %" G_GUINT64_FORMAT, level, MAX (cluster->feature_level, 1));
  g_autoptr (SwarmCluster) copy = swarm_cluster_copy (cluster);
  copy->feature_level = level;
  swarm_tx_update (tx, copy);
}

/* Nearly all nodes: nothing of them has to do with membership. */
static gboolean
is_plain_worker (const SwarmNode *node)
{
  return node->spec->role == SWARM_ROLE_WORKER && node->role == SWARM_ROLE_WORKER && node->manager_status == NULL;
}

static gboolean
roles_pass (gpointer loop, SwarmTx *tx)
{
  SwarmRoles *self = loop;
  const SwarmMembers *hooks = self->leader->members;
  SwarmId id;
  if (hooks == NULL || hooks->list == NULL) {
    while (swarm_dirty_take (&self->nodes, &id))
      ;
    return FALSE;
  }
  if (swarm_scan_step (&self->all_nodes, self->leader->store, self->leader->runner, mark_node, self))
    return TRUE;
  g_autoptr (GArray) members = hooks->list (hooks->data);
  while (swarm_tx_has_room (tx, 1) && !swarm_runner_time_is_up (self->leader->runner) && swarm_dirty_take (&self->nodes, &id)) {
    const SwarmNode *node = swarm_store_get (self->leader->store, SWARM_KIND_NODE, &id);
    const SwarmMember *member = find_member (members, &id);
    if (node == NULL || (member == NULL && is_plain_worker (node)))
      continue;
    if (node->spec->role == SWARM_ROLE_WORKER && member != NULL) {
      remove_member (self, &id);
      continue;
    }
    g_autoptr (SwarmNode) copy = reflect_membership (node, member);
    if (copy != NULL)
      swarm_tx_update (tx, copy);
  }
  keep_level (self, members, tx);
  remove_stray (self, members);
  promote_members (self, members);
  return swarm_dirty_n_waiting (&self->nodes) > 0;
}

static void
roles_settle (gpointer loop, guint64 index, const GError *error)
{
  SwarmRoles *self = loop;
  swarm_dirty_settle (&self->nodes, error == NULL);
}

static const SwarmLoopOps roles_ops = { "roles", roles_pass, roles_settle };

static void
roles_event (const SwarmEvent *event, gpointer data)
{
  SwarmRoles *self = data;
  if (event->event == SWARM_EVENT_RESET)
    swarm_roles_look (self);
  else if (event->event == SWARM_EVENT_CREATE
           || (event->event == SWARM_EVENT_UPDATE
               && ((SwarmNode *) event->object)->spec->role != ((SwarmNode *) event->previous)->spec->role))
    mark_node (event->object, self);
  else if (event->event == SWARM_EVENT_REMOVE || level_of (event->object) != level_of (event->previous))
    swarm_runner_mark (self->leader->runner, self->loop);
}

SwarmRoles *
swarm_roles_new (const SwarmLeader *leader)
{
  SwarmRoles *self = g_new0 (SwarmRoles, 1);
  self->leader = leader;
  self->retry_after = RETRY_FIRST_US;
  swarm_dirty_init (&self->nodes);
  self->loop = swarm_runner_add (leader->runner, &roles_ops, self);
  self->watch = swarm_store_watch (leader->store, 1 << SWARM_KIND_NODE, roles_event, self);
  swarm_roles_look (self);
  return self;
}

void
swarm_roles_free (SwarmRoles *self)
{
  if (self == NULL)
    return;
  if (self->removal != NULL)
    self->removal->roles = NULL;
  if (self->promotion != NULL)
    self->promotion->roles = NULL;
  swarm_store_unwatch (self->leader->store, self->watch);
  swarm_clock_clear_timer (self->leader->clock, &self->retry);
  swarm_dirty_clear (&self->nodes);
  g_free (self);
}
