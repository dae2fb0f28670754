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
#define CROSS_RETRY_US (5 * G_TIME_SPAN_SECOND)

/* Somebody else is asked to sign the next root. */
typedef struct {
  SwarmCARotation *rotation; /* NULL: nobody waits for it any more */
  char *digest;
} Crossing;

struct _SwarmCARotation {
  const SwarmLeader *leader;
  guint loop;
  guint watch;
  SwarmTimer *timer;
  gboolean ending; /* the transaction under way ends it */
  SwarmExternalSigner signer;
  Crossing *crossing; /* under way */
  gint64 not_before;  /* boottime: so long it is not asked again */
  char *cross_cert;   /* its answer, to be written */
  char *cross_digest; /* of the root that it is for */
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

/* ---- the way from an external CA's root ---- */

static void
crossed (const char *cert_pem, const GError *error, gpointer data)
{
  Crossing *crossing = data;
  SwarmCARotation *self = crossing->rotation;
  if (self != NULL) {
    self->crossing = NULL;
    swarm_string_set (&self->cross_cert, error == NULL ? cert_pem : NULL);
    swarm_string_set (&self->cross_digest, crossing->digest);
    self->not_before = swarm_clock_boottime (self->leader->clock) + CROSS_RETRY_US;
    if (error != NULL)
      swarm_warning ("The root rotation waits for the external CA, which has to sign the next root: %s", error->message);
    look_soon (self);
  }
  g_free (crossing->digest);
  g_free (crossing);
}

static void
ask_to_cross (SwarmCARotation *self, const SwarmCluster *cluster)
{
  const SwarmRootCA *root = cluster->root_ca;
  const SwarmExternalCA *external = swarm_control_external_ca (cluster->spec->ca_config, root->cert, root->cert);
  if (self->crossing != NULL || swarm_clock_boottime (self->leader->clock) < self->not_before) {
    look_soon (self);
    return;
  }
  if (external == NULL || self->signer.cross_sign == NULL) {
    swarm_warning ("The root rotation waits for an external CA among the cluster's that signs under the present root, and the next one");
    self->not_before = swarm_clock_boottime (self->leader->clock) + 12 * CROSS_RETRY_US;
    look_soon (self);
    return;
  }
  self->crossing = g_new0 (Crossing, 1);
  *self->crossing = (Crossing){ self, g_strdup (root->rotation->digest) };
  self->signer.cross_sign (external, root->cert, root->rotation->cert, root->rotation->key, crossed, self->crossing, self->signer.data);
}

/* Until there is a way from the present root to the next nothing is issued under it. */
static void
find_way (SwarmCARotation *self, const SwarmCluster *cluster, SwarmTx *tx)
{
  if (self->cross_cert == NULL || g_strcmp0 (self->cross_digest, cluster->root_ca->rotation->digest) != 0) {
    ask_to_cross (self, cluster);
    return;
  }
  g_autoptr (SwarmCluster) copy = swarm_cluster_copy (cluster);
  g_autoptr (SwarmRootCA) root = swarm_root_ca_copy (cluster->root_ca);
  g_autoptr (SwarmRootRotation) rotation = swarm_root_rotation_copy (root->rotation);
  rotation->cross_cert = g_strdup (self->cross_cert);
  swarm_message_set_pointer (&root->rotation, rotation);
  swarm_message_set_pointer (&copy->root_ca, root);
  swarm_tx_update (tx, copy);
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
  if (rotation->cross_cert == NULL) {
    find_way (self, cluster, tx);
    return FALSE;
  }
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
swarm_ca_rotation_new (const SwarmLeader *leader, const SwarmExternalSigner *signer)
{
  SwarmCARotation *self = g_new0 (SwarmCARotation, 1);
  self->leader = leader;
  self->signer = *signer;
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
  if (self->crossing != NULL)
    self->crossing->rotation = NULL;
  g_free (self->cross_cert);
  g_free (self->cross_digest);
  g_free (self);
}
