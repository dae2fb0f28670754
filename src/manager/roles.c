// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/roles.h"
#include "base/log.h"
#include "manager/dirty.h"

#define RETRY_FIRST_US (500 * G_TIME_SPAN_MILLISECOND)
#define RETRY_LAST_US (16 * G_TIME_SPAN_SECOND)

struct _SwarmRoles {
  const SwarmLeader *leader;
  guint loop;
  guint watch;
  SwarmDirty nodes;
  struct _Removal *removal; /* one change of the membership at a time */
  SwarmTimer *retry;
  gint64 retry_after; /* doubled while it does not come about */
};

/* Outlives the loop when the answer is late. */
typedef struct _Removal {
  SwarmRoles *roles; /* NULL: gone */
  SwarmId node;
} Removal;

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
  swarm_store_foreach (self->leader->store, SWARM_KIND_NODE, mark_node, self);
}

static void
retry_due (gpointer data)
{
  SwarmRoles *self = data;
  self->retry = NULL;
  swarm_roles_look (self);
}

static void
removal_done (const GError *error, gpointer data)
{
  g_autofree Removal *removal = data;
  SwarmRoles *self = removal->roles;
  if (self == NULL)
    return;
  self->removal = NULL;
  if (error == NULL) {
    self->retry_after = RETRY_FIRST_US;
    swarm_roles_look (self);
    return;
  }
  g_autofree char *node = swarm_id_dup_string (&removal->node);
  swarm_log (LOG_NOTICE, NULL, SWARM_LOG_FIELDS ({ "SWARM_NODE_ID", node }), "manager %s is not demoted yet: %s", node, error->message);
  if (self->retry == NULL)
    self->retry = swarm_clock_timer (self->leader->clock, self->retry_after, SWARM_PRIORITY_NORMAL, retry_due, self);
  self->retry_after = MIN (2 * self->retry_after, RETRY_LAST_US);
}

/* Takes a demoted node out of the consensus; the leader first hands over, then the new leader does it. */
static void
remove_member (SwarmRoles *self, const SwarmId *node)
{
  const SwarmMembers *members = self->leader->members;
  if (self->removal != NULL || self->retry != NULL)
    return;
  Removal *removal = g_new0 (Removal, 1);
  removal->roles = self;
  removal->node = *node;
  self->removal = removal;
  if (swarm_id_equal (node, &self->leader->self))
    members->transfer (removal_done, removal, members->data);
  else
    members->remove (node, removal_done, removal, members->data);
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
  g_autoptr (GArray) members = hooks->list (hooks->data);
  while (swarm_tx_has_room (tx, 1) && swarm_dirty_take (&self->nodes, &id)) {
    const SwarmNode *node = swarm_store_get (self->leader->store, SWARM_KIND_NODE, &id);
    const SwarmMember *member = find_member (members, &id);
    if (node == NULL)
      continue;
    if (node->spec->role == SWARM_ROLE_WORKER && member != NULL) {
      remove_member (self, &id);
      continue;
    }
    g_autoptr (SwarmNode) copy = reflect_membership (node, member);
    if (copy != NULL)
      swarm_tx_update (tx, copy);
  }
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
  swarm_store_unwatch (self->leader->store, self->watch);
  swarm_clock_clear_timer (self->leader->clock, &self->retry);
  swarm_dirty_clear (&self->nodes);
  g_free (self);
}
