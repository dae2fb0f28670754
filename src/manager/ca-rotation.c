// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/ca-rotation.h"
#include "base/error.h"
#include "base/log-ids.h"
#include "base/log.h"
#include "manager/control/control.h"

/* So many nodes renew at once, and so often is it looked how far they are. */
#define BATCH 20
#define LOOK_US (250 * G_TIME_SPAN_MILLISECOND)
#define FORMER_MAX 4

struct _SwarmCARotation {
  const SwarmLeader *leader;
  guint loop;
  guint watch;
  SwarmTimer *timer;
  gboolean ending; /* the transaction under way ends it */
};

static void
look_due (gpointer data)
{
  SwarmCARotation *self = data;
  self->timer = NULL;
  swarm_runner_mark (self->leader->runner, self->loop);
}

static void
look_soon (SwarmCARotation *self)
{
  if (self->timer == NULL)
    self->timer = swarm_clock_timer (self->leader->clock, LOOK_US, SWARM_PRIORITY_NORMAL, look_due, self);
}

/* ---- a look at all nodes ---- */

typedef struct {
  const char *digest; /* of the next root */
  guint waiting;      /* nodes that were told to renew, or do not use their new certificate yet */
  GPtrArray *next;    /* SwarmNode, borrowed: to be told */
} Survey;

/* Who is down, or was never here, is not waited for. */
static gboolean
is_here (const SwarmNode *node)
{
  return node->status->state != SWARM_NODE_DOWN && node->description != NULL;
}

static gboolean
is_renewed (const SwarmNode *node, const char *digest)
{
  return g_strcmp0 (node->cert_issuer, digest) == 0;
}

/* It uses the certificate that it was given. */
static gboolean
is_in_use (const SwarmNode *node)
{
  return node->description->tls != NULL && g_strcmp0 (node->description->tls->cert_serial, node->cert_serial) == 0;
}

static gboolean
survey_node (gpointer object, gpointer data)
{
  const SwarmNode *node = object;
  Survey *survey = data;
  if (!is_here (node) || (is_renewed (node, survey->digest) && is_in_use (node)))
    return TRUE;
  if (is_renewed (node, survey->digest) || node->cert_due)
    survey->waiting++;
  else
    g_ptr_array_add (survey->next, object);
  return TRUE;
}

static void
tell_nodes (SwarmCARotation *self, Survey *survey, SwarmTx *tx)
{
  for (guint i = 0; i < survey->next->len && survey->waiting < BATCH && swarm_tx_has_room (tx, 1); i++) {
    g_autoptr (SwarmNode) copy = swarm_node_copy (survey->next->pdata[i]);
    copy->cert_due = TRUE;
    swarm_tx_update (tx, copy);
    survey->waiting++;
  }
}

/* ---- the end ---- */

static GPtrArray *
former_roots (SwarmCARotation *self, const SwarmCluster *cluster)
{
  const SwarmRootCA *root = cluster->root_ca;
  const SwarmCAConfig *config = cluster->spec->ca_config;
  gint64 now = swarm_clock_now (self->leader->clock);
  GPtrArray *former = swarm_messages_new ();
  SwarmFormerRoot *last = swarm_former_root_new ();
  last->cert = g_strdup (root->cert);
  last->cross_cert = g_strdup (root->rotation->cross_cert);
  last->until = now + (config->node_cert_expiry + config->expired_renewal) / 1000;
  g_ptr_array_add (former, last);
  for (guint i = 0; root->former != NULL && i < root->former->len && former->len < FORMER_MAX; i++) {
    const SwarmFormerRoot *one = root->former->pdata[i];
    if (now < one->until)
      g_ptr_array_add (former, swarm_former_root_ref (one));
  }
  return former;
}

static SwarmRootCA *
next_root (SwarmCARotation *self, const SwarmCluster *cluster, GError **error)
{
  const SwarmRootRotation *rotation = cluster->root_ca->rotation;
  SwarmRandom *random = self->leader->random;
  g_autoptr (SwarmRootCA) root = swarm_root_ca_new ();
  root->cert = g_strdup (rotation->cert);
  root->key = rotation->key != NULL ? g_bytes_ref (rotation->key) : NULL;
  root->digest = g_strdup (rotation->digest);
  root->issuer_subject = rotation->issuer_subject != NULL ? g_bytes_ref (rotation->issuer_subject) : NULL;
  root->issuer_public_key = rotation->issuer_public_key != NULL ? g_bytes_ref (rotation->issuer_public_key) : NULL;
  root->last_forced = cluster->root_ca->last_forced;
  root->former = former_roots (self, cluster);
  root->tokens = swarm_join_tokens_new ();
  root->tokens->worker = swarm_control_token_under (random, rotation->digest, error);
  root->tokens->manager = root->tokens->worker != NULL ? swarm_control_token_under (random, rotation->digest, error) : NULL;
  return root->tokens->manager != NULL ? g_steal_pointer (&root) : NULL;
}

static void
end_rotation (SwarmCARotation *self, const SwarmCluster *cluster, SwarmTx *tx)
{
  g_autoptr (GError) error = NULL;
  SwarmRootCA *root = next_root (self, cluster, &error);
  if (root == NULL) {
    swarm_error_log ("the root rotation cannot end: %s", error->message);
    return;
  }
  g_autoptr (SwarmCluster) copy = swarm_cluster_copy (cluster);
  swarm_root_ca_unref (copy->root_ca);
  copy->root_ca = root;
  swarm_tx_update (tx, copy);
  self->ending = TRUE;
}

/* ---- the loop ---- */

static gboolean
rotation_pass (gpointer loop, SwarmTx *tx)
{
  SwarmCARotation *self = loop;
  const SwarmCluster *cluster = swarm_store_cluster (self->leader->store);
  const SwarmRootRotation *rotation = cluster != NULL && cluster->root_ca != NULL ? cluster->root_ca->rotation : NULL;
  if (rotation == NULL || !swarm_tx_has_room (tx, 1))
    return rotation != NULL;
  g_autoptr (GPtrArray) next = g_ptr_array_new ();
  Survey survey = { rotation->digest, 0, next };
  swarm_store_foreach (self->leader->store, SWARM_KIND_NODE, survey_node, &survey);
  if (survey.waiting == 0 && next->len == 0)
    end_rotation (self, cluster, tx);
  else
    tell_nodes (self, &survey, tx);
  return FALSE;
}

static void
rotation_settle (gpointer loop, guint64 index, const GError *error)
{
  SwarmCARotation *self = loop;
  if (error != NULL)
    look_soon (self);
  else if (self->ending)
    swarm_log (LOG_NOTICE, swarm_log_id_root_rotation_done, NULL, "The root rotation is complete: new join tokens are in force");
  self->ending = FALSE;
}

static const SwarmLoopOps rotation_ops = { "root rotation", rotation_pass, rotation_settle };

static void
tell_begin (const SwarmCluster *before, const SwarmCluster *cluster)
{
  if (before->root_ca == NULL || cluster->root_ca == NULL || before->root_ca->rotation != NULL || cluster->root_ca->rotation == NULL)
    return;
  swarm_log (LOG_NOTICE, swarm_log_id_root_rotation_begun, SWARM_LOG_FIELDS ({ "SWARM_DIGEST", cluster->root_ca->rotation->digest }),
             "A root rotation began: all nodes get certificates under the root with digest %s", cluster->root_ca->rotation->digest);
}

static void
rotation_event (const SwarmEvent *event, gpointer data)
{
  SwarmCARotation *self = data;
  const SwarmCluster *cluster = swarm_store_cluster (self->leader->store);
  if (event->event == SWARM_EVENT_UPDATE && event->kind == SWARM_KIND_CLUSTER)
    tell_begin (event->previous, event->object);
  if (event->event != SWARM_EVENT_COMMIT && cluster != NULL && cluster->root_ca != NULL && cluster->root_ca->rotation != NULL)
    look_soon (self);
}

SwarmCARotation *
swarm_ca_rotation_new (const SwarmLeader *leader)
{
  SwarmCARotation *self = g_new0 (SwarmCARotation, 1);
  self->leader = leader;
  self->loop = swarm_runner_add (leader->runner, &rotation_ops, self);
  self->watch = swarm_store_watch (leader->store, 1 << SWARM_KIND_CLUSTER | 1 << SWARM_KIND_NODE, rotation_event, self);
  look_soon (self);
  return self;
}

void
swarm_ca_rotation_free (SwarmCARotation *self)
{
  if (self == NULL)
    return;
  swarm_store_unwatch (self->leader->store, self->watch);
  swarm_clock_clear_timer (self->leader->clock, &self->timer);
  g_free (self);
}
