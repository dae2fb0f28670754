// SPDX-License-Identifier: LGPL-2.1-or-later
/* This node's next certificate: when its time has come, or when the node is promoted or demoted; then the manager's part comes up or goes. */
#include "base/error.h"
#include "base/log-ids.h"
#include "base/log.h"
#include "ca/authority.h"
#include "ca/cert.h"
#include "daemon/agent-private.h"
#include "daemon/leftovers.h"
#include "daemon/decisions.h"
#include <string.h>

#define CALL_TIMEOUT_US (10 * G_USEC_PER_SEC)
#define REFUSED_RETRY_US (60 * G_USEC_PER_SEC)
#define RETRY_S 2
#define RETRY_MAX_S 60
#define RETRY_EXPIRED_S 5
#define RENEWAL_LOOK_US (G_GINT64_CONSTANT (3600) * G_USEC_PER_SEC) /* certificates go by the wall clock, which may be set */
#define RENEWAL_RETRY_US (G_GINT64_CONSTANT (300) * G_USEC_PER_SEC)
#define UNHEARD_US (15 * G_USEC_PER_SEC) /* a standby has heard of the leader by then */

static gboolean change_role (gpointer data);
static void begin (SwarmAgent *self);

/* A call of one membership: its answer means nothing to the next one. */
typedef struct {
  SwarmAgent *agent;
  guint membership;
} RoleCall;

static RoleCall *
role_call_new (SwarmAgent *self)
{
  RoleCall *call = g_new (RoleCall, 1);
  *call = (RoleCall){ self, self->memberships };
  return call;
}

/* NULL: that membership is over. */
static SwarmAgent *
role_call_end (gpointer data)
{
  g_autofree RoleCall *call = data;
  gboolean holds = !call->agent->gone && call->membership == call->agent->memberships && call->agent->membership != NULL;
  return holds ? call->agent : NULL;
}

static void
stop_waiting (SwarmAgent *self)
{
  self->unheard = FALSE;
  swarm_clock_clear_timer (self->clock, &self->unheard_timer);
}

void
swarm_agent_forget_role_change (SwarmAgent *self)
{
  self->memberships++;
  self->changing_role = self->keep_key = self->to_join = FALSE;
  g_clear_pointer (&self->next_key, g_bytes_unref);
  self->role_tries = 0;
  g_clear_pointer (&self->told_node, swarm_node_unref);
  swarm_clock_clear_timer (self->clock, &self->renewal);
  stop_waiting (self);
  if (self->role_source != 0)
    g_source_remove (self->role_source);
  self->role_source = 0;
}

/* The role is looked at again after a while, whatever went wrong. */
static void
retry (SwarmAgent *self, const char *what, const GError *error)
{
  swarm_warning ("%s: %s; trying again", what, error->message);
  SwarmCertInfo info;
  /* A manager whose certificate has expired may be the one without whom there is no leader. */
  gboolean expired = swarm_cert_parse (self->membership->cert, &info, NULL) && swarm_clock_now (self->clock) >= info.not_after;
  guint delay = MIN (RETRY_S << MIN (self->role_tries, 8), expired ? RETRY_EXPIRED_S : RETRY_MAX_S);
  if (g_error_matches (error, SWARM_ERROR, SWARM_ERROR_LIMIT_EXCEEDED)) /* too early, nothing else */
    delay = RETRY_S;
  else
    self->role_tries++;
  if (self->role_source == 0)
    self->role_source = g_timeout_add_seconds (delay, change_role, self);
}

/* The manager that runs here is none any more, whatever this node is to be next. */
static gboolean
is_let_go (SwarmAgent *self)
{
  if (self->stack == NULL)
    return FALSE;
  SwarmId leader = swarm_consensus_leader (swarm_stack_consensus (self->stack));
  return swarm_consensus_is_removed (swarm_stack_consensus (self->stack)) || (self->unheard && swarm_id_is_nil (&leader));
}

static void
ended (SwarmAgent *self)
{
  g_autoptr (SwarmNode) told = g_steal_pointer (&self->told_node);
  self->changing_role = FALSE;
  self->role_tries = 0;
  swarm_agent_update_status (self);
  if (is_let_go (self)) /* meanwhile */
    swarm_agent_demoted (self);
  if (told != NULL)
    swarm_agent_node_changed (self, told);
}

static void
written (const GError *error, gpointer data)
{
  SwarmAgent *self = role_call_end (data);
  if (self != NULL && error != NULL)
    swarm_agent_node_disk_failed (self, error);
  if (self != NULL)
    ended (self);
}

static void
write_state (SwarmAgent *self)
{
  swarm_membership_store (self->membership, self->node_disk, self->crypto, self->random, written, role_call_new (self));
}

/* ---- up ---- */

/* The keys of the log are on the disk: only now may it be written. */
static void
manager_written (const GError *error, gpointer data)
{
  SwarmAgent *self = role_call_end (data);
  g_autoptr (GError) local = NULL;
  if (self == NULL)
    return;
  self->to_join = FALSE;
  if (error == NULL && swarm_agent_start_manager (self, FALSE, &local)) {
    swarm_log (LOG_NOTICE, swarm_log_id_became_manager, NULL, "This node is a manager now");
    ended (self);
    return;
  }
  self->membership->manager = FALSE;
  retry (self, "The manager cannot start", error != NULL ? error : local);
}

static void
become_manager (SwarmAgent *self)
{
  self->membership->manager = TRUE;
  swarm_membership_make_keys (self->membership, self->random);
  swarm_membership_store (self->membership, self->node_disk, self->crypto, self->random, manager_written, role_call_new (self));
}

static void
log_of_before_gone (const GError *error, gpointer data)
{
  SwarmAgent *self = role_call_end (data);
  if (self != NULL && error != NULL)
    retry (self, "The log of before cannot be removed", error);
  else if (self != NULL)
    become_manager (self);
}

static void
joined_consensus (GVariant *reply, const GError *error, gpointer data)
{
  SwarmAgent *self = role_call_end (data);
  if (self == NULL)
    return;
  if (error != NULL) {
    self->to_join = !g_error_matches (error, SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED); /* it is to be something else now */
    retry (self, "This node cannot become a manager yet", error);
    return;
  }
  swarm_agent_take_members (self, reply);
  if (self->stack != NULL) {
    swarm_notice ("This manager was let go and promoted again meanwhile: it begins with a new log");
    swarm_agent_stop_manager (self);
    g_clear_pointer (&self->membership->keys, swarm_keys_free);
  }
  /* It joins without a log: what is left of one, also by a try that failed, is not its own any more. */
  swarm_agent_wipe_disk (self->log_disk, log_of_before_gone, role_call_new (self));
}

/* ---- down ---- */

static void
log_gone (const GError *error, gpointer data)
{
  SwarmAgent *self = role_call_end (data);
  if (self != NULL)
    write_state (self);
}

/* What was being written is on the disk. */
static void
log_quiet (const GError *error, gpointer data)
{
  SwarmAgent *self = role_call_end (data);
  g_autoptr (GError) local = NULL;
  if (self == NULL)
    return;
  g_autofree char *kept = swarm_leftovers_keep_log (self->config->state_dir, swarm_clock_now (self->clock), &local);
  if (kept != NULL)
    swarm_notice ("What this manager had of the cluster of before is kept in %s, until this node leaves", kept);
  else
    swarm_error_log ("What this manager had of the cluster of before is not kept: %s", local->message);
  swarm_agent_wipe_disk (self->log_disk, log_gone, role_call_new (self));
}

static void
step_down (SwarmAgent *self)
{
  gboolean made_anew = self->later_epoch > self->membership->epoch;
  swarm_agent_stop_manager (self);
  self->membership->manager = FALSE;
  self->membership->raft_id = 0;
  self->membership->epoch = MAX (self->membership->epoch, self->later_epoch);
  g_clear_pointer (&self->membership->keys, swarm_keys_free);
  swarm_log (LOG_NOTICE, swarm_log_id_became_worker, NULL, "This node is a worker now");
  swarm_agent_forget_epoch (self);
  if (self->api->state != SWARM_LOCAL_ACTIVE) /* its manager's part had failed */
    swarm_api_set_state (self->api, SWARM_LOCAL_ACTIVE, NULL);
  if (self->worker != NULL) {
    g_autoptr (GPtrArray) managers = g_ptr_array_new_with_free_func ((GDestroyNotify) swarm_manager_address_free);
    for (guint i = 0; i < self->membership->managers->len; i++)
      if (g_strcmp0 (self->membership->managers->pdata[i], self->membership->advertise) != 0)
        g_ptr_array_add (managers, swarm_manager_address_new (&SWARM_ID_NIL, self->membership->managers->pdata[i]));
    swarm_worker_set_managers (self->worker, managers);
  }
  if (made_anew)
    self->log_disk->submit (self->log_disk, swarm_disk_ops_new (), log_quiet, role_call_new (self));
  else
    swarm_agent_wipe_disk (self->log_disk, log_gone, role_call_new (self));
}

/* ---- certificate ---- */

static void
tell_renewed (const SwarmCertInfo *info)
{
  g_autoptr (GDateTime) until = g_date_time_new_from_unix_utc (info->not_after / G_USEC_PER_SEC);
  g_autofree char *text = until != NULL ? g_date_time_format_iso8601 (until) : g_strdup ("an unknown date");
  swarm_info ("This node has a new certificate, valid until %s", text);
}

/* No manager may renew it, nor any other's: they do not believe each other any more. */
static gboolean
all_are_late (SwarmAgent *self, const SwarmCertInfo *info)
{
  if (self->stack == NULL || swarm_clock_now (self->clock) - info->not_after < self->membership->expired_renewal_us)
    return FALSE;
  SwarmId leader = swarm_consensus_leader (swarm_stack_consensus (self->stack));
  return swarm_id_is_nil (&leader);
}

/* Who knows us does not want us any more, or not like this; or nobody is there who could. */
static void
tell_refused (SwarmAgent *self, const GError *error)
{
  SwarmCertInfo info;
  g_autofree char *text = NULL;
  if (!g_error_matches (error, SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED) || !swarm_cert_parse (self->membership->cert, &info, NULL))
    return;
  gboolean expired = swarm_clock_now (self->clock) >= info.not_after;
  if (strstr (error->message, SWARM_CERT_REPLACED) != NULL)
    text = g_strdup_printf ("This node's certificate was replaced by a newer one, which was used: by this node before its disk was set back, or by "
                            "somebody else. Leave the swarm and join again. The manager says: %s", error->message);
  else if (expired && strstr (error->message, SWARM_RENEWAL_REFUSED) != NULL) /* and not what we make of the manager's own certificate */
    text = g_strdup_printf ("Swarm certificates have expired. To replace them, leave the swarm and join again. The manager says: %s", error->message);
  else if (expired && all_are_late (self, &info))
    text = g_strdup ("Swarm certificates have expired, longer ago than this cluster allows: its managers do not believe each other any more. Make the "
                     "cluster anew on one of them (swarmctl init --force-new-cluster); the other nodes leave it (swarmctl leave --force) and join again.");
  if (text != NULL)
    swarm_agent_tell_trouble (self, text);
}

/* The certificate that is being written, with what this node had before. */
typedef struct {
  SwarmAgent *agent;
  guint membership;
  SwarmCertInfo info;
  char *cert;
  char *root;
  GBytes *key;
} Renewal;

static void
renewal_swap (Renewal *renewal, SwarmMembership *membership)
{
  char *cert = membership->cert, *root = membership->root_cert;
  GBytes *key = membership->key;
  membership->cert = renewal->cert;
  membership->root_cert = renewal->root;
  membership->key = renewal->key;
  membership->new_key |= key != renewal->key;
  renewal->cert = cert;
  renewal->root = root;
  renewal->key = key;
}

static void
renewal_free (Renewal *renewal)
{
  g_free (renewal->cert);
  g_free (renewal->root);
  g_bytes_unref (renewal->key);
  g_free (renewal);
}

static void
join_consensus (SwarmAgent *self)
{
  self->to_join = TRUE;
  swarm_oneshot_call_any (swarm_rpc_transport (self->rpc), self->membership->managers, "org.swarmagent1.Consensus", "Join",
                          swarm_agent_join_args (self), "(ta(ays))", CALL_TIMEOUT_US, joined_consensus, role_call_new (self));
}

/* Only now the managers may hear that the new one is in use: from then on the one before is worth nothing. */
static void
renewal_written (const GError *error, gpointer data)
{
  Renewal *renewal = data;
  SwarmAgent *self = renewal->agent;
  gboolean manager = renewal->info.peer.role == SWARM_PEER_MANAGER;
  g_autoptr (GError) local = NULL;
  if (self->gone || renewal->membership != self->memberships || self->membership == NULL) {
    renewal_free (renewal);
    return;
  }
  if (error != NULL) {
    renewal_swap (renewal, self->membership);
    renewal_free (renewal);
    retry (self, "The new certificate cannot be written", error);
    return;
  }
  self->keep_key = FALSE;
  self->asked_after_refusal = 0;
  if (!swarm_agent_use_credentials (self, &local)) {
    renewal_free (renewal);
    retry (self, "The new certificate cannot be used", local);
    return;
  }
  tell_renewed (&renewal->info);
  renewal_free (renewal);
  if (self->worker != NULL)
    swarm_worker_describe (self->worker);
  if (manager && (self->stack == NULL || is_let_go (self)))
    join_consensus (self);
  else if (!manager && self->membership->manager)
    step_down (self);
  else
    ended (self);
}

static void
renewed (GVariant *reply, const GError *error, gpointer data)
{
  SwarmAgent *self = role_call_end (data);
  g_autoptr (GError) local = NULL;
  const char *cert, *root;
  SwarmCertInfo info;
  if (self == NULL)
    return;
  g_autoptr (GBytes) key = g_steal_pointer (&self->next_key);
  if (error != NULL) {
    tell_refused (self, error);
    retry (self, "No new certificate", error);
    return;
  }
  g_variant_get (reply, "(&s&s)", &cert, &root);
  /* Under the root that we trust, or under the one that a manager, whom we trust by it, names now. */
  if (!swarm_cert_verify (cert, root, swarm_clock_now (self->clock), &local) || !swarm_cert_matches_key (cert, key, &local)
      || !swarm_cert_parse (cert, &info, &local)) {
    retry (self, "The new certificate is not usable", local);
    return;
  }
  Renewal *renewal = g_new (Renewal, 1);
  *renewal = (Renewal){ self, self->memberships, info, g_strdup (cert), g_strdup (root), g_bytes_ref (key) };
  renewal_swap (renewal, self->membership);
  swarm_membership_store (self->membership, self->node_disk, self->crypto, self->random, renewal_written, renewal);
}

static void
root_written (const GError *error, gpointer data)
{
  SwarmAgent *self = role_call_end (data);
  if (self != NULL && error != NULL)
    swarm_agent_node_disk_failed (self, error);
}

void
swarm_agent_root_changed (SwarmAgent *self, const char *pem)
{
  g_autoptr (GError) error = NULL;
  guint8 digest[32];
  if (self->membership == NULL || g_strcmp0 (pem, self->membership->root_cert) == 0)
    return;
  if (!self->crypto->root_digest (self->crypto, pem, digest, &error)
      || !swarm_cert_verify (self->membership->cert, pem, swarm_clock_now (self->clock), &error)) {
    swarm_info ("The cluster has another root certificate, which this node's is not under yet: %s", error->message);
    self->keep_key = TRUE;
    begin (self);
    return;
  }
  g_free (self->membership->root_cert);
  self->membership->root_cert = g_strdup (pem);
  if (!swarm_agent_use_credentials (self, &error)) {
    swarm_error_log ("The cluster's root certificate cannot be used: %s", error->message);
    return;
  }
  swarm_log (LOG_NOTICE, swarm_log_id_root_taken_over, SWARM_LOG_FIELDS ({ "SWARM_DIGEST", self->trust_digest }),
             "This node trusts the cluster's new root certificate, with digest %s", self->trust_digest);
  swarm_membership_store (self->membership, self->node_disk, self->crypto, self->random, root_written, role_call_new (self));
  if (self->worker != NULL)
    swarm_worker_describe (self->worker);
}

/* A new one each time, so that a key that was stolen once is worth nothing after the next renewal. But a certificate that managers do not take
 * any more is only renewed for the key that it is for. */
static GBytes *
choose_key (SwarmAgent *self, GError **error)
{
  SwarmCertInfo info;
  gboolean fresh = !self->keep_key && self->role_tries == 0 && swarm_cert_parse (self->membership->cert, &info, NULL)
                   && swarm_clock_now (self->clock) < info.not_after;
  return fresh ? swarm_cert_create_key (error) : g_bytes_ref (self->membership->key);
}

/* Our own stack last, unless it leads: a demoted manager must ask those that remain. */
static GPtrArray *
whom_to_ask (SwarmAgent *self)
{
  GPtrArray *managers = g_ptr_array_new ();
  gboolean own = FALSE;
  for (guint i = 0; i < self->membership->managers->len; i++) {
    char *address = self->membership->managers->pdata[i];
    if (g_strcmp0 (address, self->membership->advertise) == 0)
      own = TRUE;
    else
      g_ptr_array_add (managers, address);
  }
  if (own && self->stack != NULL) {
    gboolean leads = swarm_consensus_is_leader (swarm_stack_consensus (self->stack));
    g_ptr_array_insert (managers, leads ? 0 : -1, self->membership->advertise);
  }
  return managers;
}

static gboolean
change_role (gpointer data)
{
  SwarmAgent *self = data;
  g_autoptr (GError) error = NULL;
  self->role_source = 0;
  if (self->membership != NULL && (self->stack == NULL || is_let_go (self)) && self->to_join) {
    join_consensus (self);
    return G_SOURCE_REMOVE;
  }
  self->to_join = FALSE;
  g_clear_pointer (&self->next_key, g_bytes_unref);
  self->next_key = self->membership != NULL ? choose_key (self, &error) : NULL;
  g_autofree char *csr = self->next_key != NULL ? swarm_cert_create_csr (self->next_key, &error) : NULL;
  if (self->membership == NULL) {
    ended (self);
    return G_SOURCE_REMOVE;
  }
  if (csr == NULL) {
    retry (self, "A new certificate cannot be asked for", error);
    return G_SOURCE_REMOVE;
  }
  g_autoptr (GPtrArray) managers = whom_to_ask (self);
  /* Itself it asks in place: its own certificate may be what nobody believes any more. */
  swarm_oneshot_call_any (&self->transport, managers, "org.swarmagent1.CA", "Renew", g_variant_new ("(s)", csr), "(ss)", CALL_TIMEOUT_US, renewed,
                          role_call_new (self));
  return G_SOURCE_REMOVE;
}

static void
begin (SwarmAgent *self)
{
  if (self->changing_role || self->membership == NULL)
    return;
  self->changing_role = TRUE;
  change_role (self);
}

void
swarm_agent_renew_refused (SwarmAgent *self)
{
  gint64 now = swarm_clock_boottime (self->clock);
  if (self->asked_after_refusal != 0 && now - self->asked_after_refusal < REFUSED_RETRY_US)
    return;
  self->asked_after_refusal = now;
  self->keep_key = TRUE;
  begin (self);
}

/* ---- in time ---- */

static void
look_at_renewal (gpointer data)
{
  SwarmAgent *self = data;
  self->renewal = NULL;
  swarm_agent_plan_renewal (self);
}

static void
renew (gpointer data)
{
  SwarmAgent *self = data;
  /* Until the next certificate is there, and its own plan replaces this one. */
  self->renewal = swarm_clock_timer (self->clock, RENEWAL_RETRY_US, SWARM_PRIORITY_NORMAL, renew, self);
  swarm_info ("This node's certificate is due to be renewed");
  begin (self);
}

void
swarm_agent_plan_renewal (SwarmAgent *self)
{
  SwarmCertInfo info;
  swarm_clock_clear_timer (self->clock, &self->renewal);
  if (!swarm_cert_parse (self->membership->cert, &info, NULL))
    return;
  if (g_strcmp0 (self->renewal_serial, info.peer.serial) != 0) {
    g_free (self->renewal_serial);
    self->renewal_serial = g_strdup (info.peer.serial);
    self->renewal_at = swarm_authority_renewal_time (self->random, &info);
  }
  gint64 left = MAX (self->renewal_at - swarm_clock_now (self->clock), 0);
  if (left > RENEWAL_LOOK_US)
    self->renewal = swarm_clock_timer (self->clock, RENEWAL_LOOK_US, SWARM_PRIORITY_NORMAL, look_at_renewal, self);
  else
    self->renewal = swarm_clock_timer (self->clock, left, SWARM_PRIORITY_NORMAL, renew, self);
}

/* ---- what the cluster says ---- */

/* What the next try waits for may have come: a demoted manager is a worker only when the leader knows that the consensus has let it go. */
static void
ask_now (SwarmAgent *self, const SwarmNode *node)
{
  gboolean goes = self->stack != NULL && node->spec->role == SWARM_ROLE_WORKER && node->manager_status == NULL;
  if (self->role_source == 0 || !goes)
    return;
  g_source_remove (self->role_source);
  self->role_source = g_idle_add (change_role, self);
}

/* A manager that was demoted and promoted again before it heard of it has a log in which it votes, and no leader speaks to it any more. */
static void
look_at_leader (gpointer data)
{
  SwarmAgent *self = data;
  SwarmId leader = self->stack != NULL ? swarm_consensus_leader (swarm_stack_consensus (self->stack)) : SWARM_ID_NIL;
  self->unheard_timer = NULL;
  if (self->stack == NULL)
    return;
  self->unheard_timer = swarm_clock_timer (self->clock, UNHEARD_US, SWARM_PRIORITY_NORMAL, look_at_leader, self);
  self->unheard = swarm_id_is_nil (&leader);
  if (self->unheard)
    begin (self);
}

/* The leader says that this node is to be a manager, and does not count it as one: it has just joined, or was let go. */
static void
watch_standing (SwarmAgent *self, const SwarmNode *node)
{
  if (self->stack == NULL || node->spec->role != SWARM_ROLE_MANAGER || node->manager_status != NULL)
    stop_waiting (self);
  else if (self->unheard_timer == NULL)
    self->unheard_timer = swarm_clock_timer (self->clock, UNHEARD_US, SWARM_PRIORITY_NORMAL, look_at_leader, self);
}

void
swarm_agent_node_changed (SwarmAgent *self, const SwarmNode *node)
{
  watch_standing (self, node);
  if (self->changing_role) { /* promoted anew while it steps down, or the other way round */
    swarm_message_set_pointer (&self->told_node, node);
    ask_now (self, node);
    return;
  }
  SwarmCertInfo info;
  gboolean known = self->membership != NULL && swarm_cert_parse (self->membership->cert, &info, NULL);
  SwarmRoleFacts facts = { known ? info.peer.serial : NULL, self->stack != NULL, self->api->state == SWARM_LOCAL_ERROR };
  if (swarm_role_is_due (node, &facts))
    begin (self);
}

static gboolean
demoted_idle (gpointer data)
{
  SwarmAgent *self = data;
  self->role_source = 0;
  begin (self);
  return G_SOURCE_REMOVE;
}

void
swarm_agent_demoted (SwarmAgent *self)
{
  /* From idle: the log calls this and must not be freed inside. */
  if (self->role_source == 0)
    self->role_source = g_idle_add (demoted_idle, self);
}
