// SPDX-License-Identifier: LGPL-2.1-or-later
/* init, join and leave: one job at a time, each a chain of asynchronous steps. The membership's files are written last, so that a power
 * cut leaves this host either in the cluster or in none. */
#include "api/private.h"
#include "base/difference.h"
#include "base/error.h"
#include "base/log-ids.h"
#include "base/log.h"
#include "ca/cert.h"
#include "ca/token.h"
#include "daemon/address.h"
#include "daemon/agent-private.h"
#include "daemon/leftovers.h"
#include <string.h>

#define CALL_TIMEOUT_US (10 * G_USEC_PER_SEC)
#define JOIN_ANSWER_S 20
/* An external CA that is away: tries at growing distances, for less than what a caller waits for the answer. */
#define JOIN_TRIES_US (15 * G_USEC_PER_SEC)
#define JOIN_PAUSE_MS 250
#define JOIN_LONGEST_PAUSE_MS 4000
#define WITHDRAW_TIMEOUT_US (5 * G_USEC_PER_SEC)
#define LEAVE_DRAIN_US (20 * G_USEC_PER_SEC)

typedef enum { JOB_INIT, JOB_JOIN, JOB_LEAVE } JobKind;

struct _SwarmAgentJob {
  SwarmAgent *agent;
  JobKind kind;
  SwarmInvocation *invocation; /* NULL: from the command line, or answered already */
  gboolean from_command_line;
  guint timeout;
  guint next_try;      /* source: asks for the certificate again */
  guint tries;         /* of that */
  gint64 tries_end;    /* boottime */
  char *availability;
  SwarmClusterSpec *spec; /* NULL: the default */
  char **address_pool;    /* NULL: docker's */
  guint subnet_size;
  char *token;
  char *csr;
  GPtrArray *remotes; /* char *: not asked yet */
  char *asked;        /* the last of them */
  GBytes *root_key;
  gboolean cluster_made;
  gboolean let_in;    /* the cluster has an object of this node */
  gboolean waits_for_session;
  gboolean has_session;
  GError *error;
};

/* ---- jobs ---- */

static void
job_free (SwarmAgentJob *job)
{
  if (job->timeout != 0)
    g_source_remove (job->timeout);
  if (job->next_try != 0)
    g_source_remove (job->next_try);
  job->agent->job = NULL;
  if (job->agent->stopping)
    swarm_agent_quit (job->agent, 0); /* its end was waited for, or took the worker along that was to say goodbye */
  g_free (job->availability);
  g_clear_pointer (&job->spec, swarm_cluster_spec_unref);
  g_strfreev (job->address_pool);
  if (job->token != NULL)
    explicit_bzero (job->token, strlen (job->token));
  g_free (job->token);
  g_free (job->csr);
  g_free (job->asked);
  g_clear_pointer (&job->remotes, g_ptr_array_unref);
  g_clear_pointer (&job->root_key, g_bytes_unref);
  g_clear_error (&job->error);
  g_free (job);
}

static SwarmAgentJob *
job_new (SwarmAgent *self, JobKind kind, SwarmInvocation *invocation)
{
  SwarmAgentJob *job = g_new0 (SwarmAgentJob, 1);
  job->agent = self;
  job->kind = kind;
  job->invocation = invocation;
  job->from_command_line = invocation == NULL;
  self->job = job;
  return job;
}

gboolean
swarm_agent_is_leaving (SwarmAgent *self)
{
  return self->job != NULL && self->job->kind == JOB_LEAVE;
}

/* Files of all three directories go; then @done. */
typedef struct {
  SwarmAgent *agent;
  guint waiting;
  void (*done) (gpointer data);
  gpointer data;
} Forget;

static void
files_gone (const GError *error, gpointer data)
{
  Forget *forget = data;
  if (error != NULL && !forget->agent->gone)
    swarm_error_log ("Node state cannot be removed: %s", error->message);
  if (--forget->waiting > 0)
    return;
  if (forget->agent->gone) {
    g_free (forget);
    return;
  }
  swarm_api_set_identity (forget->agent->api, &SWARM_ID_NIL, &SWARM_ID_NIL, NULL);
  swarm_api_set_state (forget->agent->api, SWARM_LOCAL_INACTIVE, NULL);
  swarm_agent_update_status (forget->agent);
  forget->done (forget->data);
  g_free (forget);
}

void
swarm_agent_forget_cluster (SwarmAgent *self, void (*done) (gpointer data), gpointer data)
{
  Forget *forget = g_new0 (Forget, 1);
  *forget = (Forget){ self, 3, done, data };
  swarm_agent_stop_cluster (self);
  if (self->network != NULL) /* a host of no cluster has none of its networks */
    swarm_network_host_picture (self->network, &(SwarmPluginPicture){ .flags = SWARM_PLUGIN_PICTURE_WHOLE });
  swarm_agent_forget_epoch (self);
  g_clear_pointer (&self->membership, swarm_membership_free);
  swarm_leftovers_drop_log (self->config->state_dir);
  swarm_membership_erase (self->node_disk, files_gone, forget);
  swarm_agent_wipe_disk (self->log_disk, files_gone, forget);
  swarm_agent_wipe_disk (self->worker_disk, files_gone, forget);
}

static void
job_failed (gpointer data)
{
  SwarmAgentJob *job = data;
  if (job->invocation != NULL)
    swarm_invocation_fail (job->invocation, job->error);
  if (job->from_command_line)
    swarm_agent_quit (job->agent, 1);
  job_free (job);
}

static void
withdrawn (GVariant *reply, const GError *error, gpointer data)
{
  SwarmAgentJob *job = data;
  if (job->agent->gone)
    return;
  if (error != NULL)
    swarm_notice ("The cluster was not told that this node does not join after all: %s; remove node %s there", error->message,
                  swarm_id_string (&job->agent->membership->node).str);
  swarm_agent_forget_cluster (job->agent, job_failed, job);
}

/* The cluster has let this node in, which fails to come: there shall be no node there that never was. */
static void
withdraw (SwarmAgentJob *job)
{
  SwarmAgent *self = job->agent;
  job->let_in = FALSE;
  swarm_oneshot_call_any (swarm_rpc_transport (self->rpc), self->membership->managers, "org.swarmagent1.CA", "Withdraw",
                          g_variant_new ("(@ay)", g_variant_new_array (G_VARIANT_TYPE_BYTE, NULL, 0)), "()", WITHDRAW_TIMEOUT_US, withdrawn, job);
}

static void
job_fail (SwarmAgentJob *job, const GError *error)
{
  static const char *const names[] = { "Init", "Join", "Leave" };
  if (job->agent->gone)
    return; /* it is abandoned in a moment */
  swarm_warning ("%s failed: %s", names[job->kind], error->message);
  job->error = g_error_copy (error);
  job->waits_for_session = FALSE;
  if (job->timeout != 0)
    g_source_remove (job->timeout);
  job->timeout = 0;
  if (job->kind == JOB_LEAVE)
    job_failed (job);
  else if (job->let_in)
    withdraw (job);
  else
    swarm_agent_forget_cluster (job->agent, job_failed, job);
}

static void
job_succeed (SwarmAgentJob *job)
{
  SwarmAgent *self = job->agent;
  const char *role = self->membership != NULL && self->membership->manager ? "manager" : "worker";
  SwarmIdString node = self->membership != NULL ? swarm_id_string (&self->membership->node) : swarm_id_string (&SWARM_ID_NIL);
  if (job->kind != JOB_LEAVE) {
    swarm_api_set_state (self->api, SWARM_LOCAL_ACTIVE, NULL);
    SwarmIdString cluster = swarm_id_string (&self->membership->cluster);
    swarm_log (LOG_NOTICE, swarm_log_id_joined, SWARM_LOG_FIELDS ({ "SWARM_NODE_ID", node.str }, { "SWARM_CLUSTER_ID", cluster.str }),
               "This node is %s %s of cluster %s", role, node.str, cluster.str);
  }
  if (job->invocation != NULL && job->kind == JOB_INIT)
    swarm_invocation_return (job->invocation, g_variant_new ("(s)", node.str));
  else if (job->invocation != NULL && job->kind == JOB_JOIN)
    swarm_invocation_return (job->invocation, g_variant_new ("(ss)", node.str, role));
  else if (job->invocation != NULL)
    swarm_invocation_return (job->invocation, NULL);
  swarm_agent_update_status (self);
  job_free (job);
}

void
swarm_agent_job_abandon (SwarmAgent *self)
{
  if (self->job == NULL)
    return;
  if (self->job->invocation != NULL)
    swarm_invocation_fail_literal (self->job->invocation, SWARM_ERROR_CANCELLED, "The agent stops.");
  job_free (self->job);
}

gboolean
swarm_agent_may_begin (SwarmAgent *self, SwarmInvocation *invocation)
{
  const char *text = NULL;
  if (self->job != NULL || self->recovery != NULL || swarm_agent_is_restoring (self))
    text = "Another init, join or leave is under way on this node; wait for it to end.";
  else if (self->membership != NULL || self->api->state != SWARM_LOCAL_INACTIVE)
    text = "This node is already part of a swarm. Use \"swarmctl leave\" to leave this swarm and join another one.";
  if (text != NULL)
    swarm_invocation_fail_literal (invocation, SWARM_ERROR_FAILED_PRECONDITION, text);
  return text == NULL;
}

/* ---- the last steps of init and join: write, start the worker, wait for its session ---- */

static gboolean
session_timeout (gpointer data)
{
  SwarmAgentJob *job = data;
  job->timeout = 0;
  if (job->kind == JOB_INIT && job->waits_for_session) { /* the cluster is made; its first worker is slow */
    job_succeed (job);
    return G_SOURCE_REMOVE;
  }
  /* Steps are under way and answer to the job: it goes on without its caller. */
  if (job->invocation != NULL)
    swarm_invocation_fail_literal (job->invocation, SWARM_ERROR_TIMED_OUT,
                                   job->kind == JOB_INIT
                                       ? "Timeout was reached before the cluster was made. The attempt will continue in the background. "
                                         "Use the \"swarmctl info\" command to see the current swarm status of your node."
                                       : "Timeout was reached before node joined. The attempt to join the swarm will continue in the background. "
                                         "Use the \"swarmctl info\" command to see the current swarm status of your node.");
  job->invocation = NULL;
  return G_SOURCE_REMOVE;
}

/* Does this manager vote? A cluster of three stands the loss of one only then. */
static gboolean
votes (SwarmAgent *self)
{
  g_autoptr (GArray) members = swarm_consensus_members (swarm_stack_consensus (self->stack));
  for (guint i = 0; i < members->len; i++) {
    const SwarmConsensusMember *member = &g_array_index (members, SwarmConsensusMember, i);
    if (member->voter && swarm_id_equal (&member->node, &self->membership->node))
      return TRUE;
  }
  return FALSE;
}

/* Init and join are done when the node has its session and, as a manager, votes. */
static void
job_settle (SwarmAgentJob *job)
{
  if (job->waits_for_session && job->has_session && (job->agent->stack == NULL || votes (job->agent)))
    job_succeed (job);
}

void
swarm_agent_job_session (SwarmAgent *self, SwarmSessionState state, const GError *error)
{
  if (self->job != NULL && self->job->waits_for_session && state == SWARM_SESSION_REGISTERED) {
    self->job->has_session = TRUE;
    job_settle (self->job);
  } else if (self->job == NULL && state == SWARM_SESSION_REGISTERED && self->api->state == SWARM_LOCAL_PENDING)
    swarm_api_set_state (self->api, SWARM_LOCAL_ACTIVE, NULL);
}

static void
membership_written (const GError *error, gpointer data)
{
  SwarmAgentJob *job = data;
  SwarmAgent *self = job->agent;
  g_autoptr (GError) local = NULL;
  if (self->gone)
    return;
  if (error != NULL) {
    job_fail (job, error);
    return;
  }
  job->waits_for_session = TRUE;
  if (job->kind == JOB_INIT && job->timeout == 0)
    job->timeout = g_timeout_add_seconds (JOIN_ANSWER_S, session_timeout, job);
  if (!swarm_agent_start_worker (self, &local))
    job_fail (job, local);
}

static void
write_membership (SwarmAgentJob *job)
{
  SwarmAgent *self = job->agent;
  swarm_membership_store (self->membership, self->node_disk, self->crypto, self->random, membership_written, job);
}

/* ---- init ---- */

static void
cluster_made (const SwarmControlReply *reply, const GError *error, gpointer data)
{
  SwarmAgentJob *job = data;
  if (error != NULL)
    job_fail (job, error);
  else
    write_membership (job);
}

static void
make_cluster (SwarmAgentJob *job)
{
  SwarmAgent *self = job->agent;
  g_autoptr (SwarmNodeDescription) description = swarm_describe_node (self->hostname, self->config->labels, self->config->things, self->network);
  SwarmCertInfo info;
  g_autoptr (GError) error = NULL;
  SwarmInitCluster init = {
    .cluster = self->membership->cluster,
    .root_cert_pem = self->membership->root_cert,
    .root_key_pem = job->root_key,
    .node = self->membership->node,
    .addr = self->membership->advertise,
    .availability = SWARM_AVAILABILITY_ACTIVE,
    .description = description,
    .address_pool = (const char *const *) job->address_pool,
    .subnet_size = job->subnet_size,
  };
  g_autofree char *digest = NULL;
  init.spec = job->spec;
  g_auto (SwarmRootInfo) root_info = { 0 };
  if (!swarm_cert_parse (self->membership->cert, &info, &error)
      || !self->crypto->inspect_root (self->crypto, init.root_cert_pem, job->root_key, swarm_clock_now (self->clock), &root_info, &error)) {
    job_fail (job, error);
    return;
  }
  memcpy (init.root_digest_bytes, root_info.digest, sizeof init.root_digest_bytes);
  digest = swarm_hex_encode (init.root_digest_bytes, sizeof init.root_digest_bytes);
  init.root_subject = root_info.subject;
  init.root_public_key = root_info.public_key;
  init.root_digest = digest;
  init.cert_serial = info.peer.serial;
  init.cert_key = info.key;
  init.cert_not_before = info.not_before;
  init.cert_not_after = info.not_after;
  swarm_availability_from_string (job->availability, &init.availability);
  swarm_control_init_cluster (swarm_manager_control (swarm_stack_manager (self->stack)), &init, NULL, cluster_made, job);
}

void
swarm_agent_job_stack_changed (SwarmAgent *self)
{
  SwarmAgentJob *job = self->job;
  if (job != NULL && job->kind == JOB_JOIN) {
    job_settle (job); /* may free it */
    return;
  }
  if (job == NULL || job->kind != JOB_INIT || job->cluster_made || !swarm_consensus_is_leader (swarm_stack_consensus (self->stack)))
    return;
  job->cluster_made = TRUE;
  make_cluster (job);
}

/* Ids, root, own certificate. */
static gboolean
found_cluster (SwarmAgentJob *job, GError **error)
{
  SwarmAgent *self = job->agent;
  SwarmMembership *membership = self->membership;
  SwarmAuthority authority = { self->crypto, self->clock, self->random };
  g_autofree char *csr = NULL;
  g_auto (SwarmIssued) issued = { 0 };
  membership->node = swarm_random_id (self->random);
  membership->cluster = swarm_random_id (self->random);
  membership->manager = TRUE;
  swarm_membership_make_keys (membership, self->random);
  if (!self->crypto->create_root (self->crypto, swarm_clock_now (self->clock), &membership->root_cert, &job->root_key, error)
      || (membership->key = swarm_cert_create_key (error)) == NULL || (csr = swarm_cert_create_csr (membership->key, error)) == NULL)
    return FALSE;
  const SwarmCAConfig *config = job->spec != NULL ? job->spec->ca_config : NULL;
  SwarmAuthorityState state = { .cluster = membership->cluster, .root_cert_pem = membership->root_cert, .root_key_pem = job->root_key,
                                .validity_us = config != NULL ? config->node_cert_expiry / 1000 : 0 };
  if (!swarm_authority_issue (&authority, &state, &membership->node, SWARM_PEER_MANAGER, csr, &issued, error))
    return FALSE;
  membership->cert = g_steal_pointer (&issued.cert_pem);
  return TRUE;
}

static gboolean
check_availability (const char *text, GError **error)
{
  SwarmAvailability value;
  if (text == NULL || swarm_availability_from_string (text, &value))
    return TRUE;
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "invalid availability \"%s\", only active, pause and drain are supported",
               text);
  return FALSE;
}

static SwarmMembership *
new_membership (SwarmAgent *self, const char *listen, const char *advertise, const char *towards, GError **error)
{
  g_autoptr (SwarmMembership) membership = swarm_membership_new ();
  membership->listen = swarm_address_listen (listen != NULL && *listen != '\0' ? listen : self->config->listen, error);
  if (membership->listen == NULL)
    return NULL;
  membership->advertise = swarm_address_advertise (advertise != NULL ? advertise : self->config->advertise, membership->listen, towards, error);
  g_autofree char *host = NULL;
  guint port;
  membership->own_address = membership->advertise != NULL && swarm_address_split (membership->advertise, SWARM_DEFAULT_PORT, &host, &port, NULL)
                            && swarm_address_is_own (host);
  return membership->advertise != NULL ? g_steal_pointer (&membership) : NULL;
}

static void
begin_init (SwarmAgentJob *job, const char *listen, const char *advertise, const char *availability)
{
  SwarmAgent *self = job->agent;
  g_autoptr (GError) error = NULL;
  job->availability = g_strdup (availability != NULL && *availability != '\0' ? availability : "active");
  if (!check_availability (job->availability, &error)
      || (self->membership = new_membership (self, listen, advertise, NULL, &error)) == NULL || !found_cluster (job, &error)) {
    job_fail (job, error);
    return;
  }
  swarm_api_set_state (self->api, SWARM_LOCAL_PENDING, NULL);
  job->timeout = g_timeout_add_seconds (JOIN_ANSWER_S, session_timeout, job);
  g_autofree char *host = NULL;
  guint port;
  swarm_address_split (self->membership->advertise, SWARM_DEFAULT_PORT, &host, &port, NULL);
  swarm_api_set_identity (self->api, &self->membership->node, &self->membership->cluster, host);
  if (!swarm_agent_use_credentials (self, &error) || !swarm_agent_start_manager (self, TRUE, &error))
    job_fail (job, error);
}

/* What the cluster is to be like: Spec, or what is said by itself. NULL: wrong. */
static SwarmClusterSpec *
spec_of_options (GVariant *options, GError **error)
{
  g_autoptr (GVariant) given = g_variant_lookup_value (options, "Spec", G_VARIANT_TYPE_VARDICT);
  g_autoptr (SwarmClusterSpec) spec = given != NULL ? swarm_message_from_variant (&swarm_cluster_spec_type, given, SWARM_FORM_FROM_USER, error) : swarm_cluster_spec_new ();
  if (spec == NULL)
    return NULL;
  g_autoptr (SwarmEncryptionConfig) encryption
      = spec->encryption != NULL ? swarm_encryption_config_copy (spec->encryption) : swarm_encryption_config_new ();
  g_variant_lookup (options, "AutoLockManagers", "b", &encryption->auto_lock_managers);
  g_variant_lookup (options, "Seal", "s", &encryption->seal);
  swarm_message_set_pointer (&spec->encryption, encryption);
  const SwarmCAConfig *config = spec->ca_config;
  if (config != NULL && (config->signing_ca_cert != NULL || config->signing_ca_key != NULL || config->force_rotate != 0)) {
    g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "a new cluster makes its own root certificate; give another one by a rotation");
    return NULL;
  }
  return swarm_message_validate (spec, error) ? g_steal_pointer (&spec) : NULL;
}

void
swarm_agent_init (gpointer agent, GVariant *options, SwarmInvocation *invocation)
{
  static const char *const allowed[]
      = { "AdvertiseAddr:s", "ListenAddr:s", "Availability:s", "AutoLockManagers:b", "Seal:s", "Spec:a{sv}", "ForceNewCluster:b",
          "DefaultAddrPool:as", "SubnetSize:u", NULL };
  SwarmAgent *self = agent;
  const char *listen = NULL, *advertise = NULL, *availability = NULL;
  g_autoptr (SwarmClusterSpec) spec = NULL;
  gboolean force = FALSE;
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) pool = NULL;
  guint size = SWARM_DEFAULT_SUBNET_SIZE;
  g_variant_lookup (options, "SubnetSize", "u", &size);
  g_variant_lookup (options, "DefaultAddrPool", "^as", &pool);
  g_variant_lookup (options, "ForceNewCluster", "b", &force);
  if (!force && !swarm_agent_may_begin (self, invocation))
    return;
  if (!swarm_api_check_options (options, allowed, &error) || (spec = spec_of_options (options, &error)) == NULL
      || !swarm_control_check_pool ((const char *const *) pool, size, &error)) {
    swarm_invocation_fail (invocation, error);
    return;
  }
  g_variant_lookup (options, "ListenAddr", "&s", &listen);
  g_variant_lookup (options, "AdvertiseAddr", "&s", &advertise);
  g_variant_lookup (options, "Availability", "&s", &availability);
  if (force) {
    swarm_agent_force_new_cluster (self, listen, advertise, invocation);
    return;
  }
  SwarmAgentJob *job = job_new (self, JOB_INIT, invocation);
  job->spec = g_steal_pointer (&spec);
  job->address_pool = g_steal_pointer (&pool);
  job->subnet_size = size;
  begin_init (job, listen, advertise, availability);
}

void
swarm_agent_init_from_command_line (SwarmAgent *self)
{
  begin_init (job_new (self, JOB_INIT, NULL), NULL, NULL, NULL);
}

/* ---- join ---- */

static void
join_finish (SwarmAgentJob *job)
{
  SwarmAgent *self = job->agent;
  g_autoptr (GError) error = NULL;
  if (self->membership->manager && !swarm_agent_start_manager (self, FALSE, &error)) {
    job_fail (job, error);
    return;
  }
  g_autofree char *host = NULL;
  guint port;
  swarm_address_split (self->membership->advertise, SWARM_DEFAULT_PORT, &host, &port, NULL);
  swarm_api_set_identity (self->api, &self->membership->node, &self->membership->cluster, host);
  write_membership (job);
}

static void
join_consensus (GVariant *reply, const GError *error, gpointer data)
{
  SwarmAgentJob *job = data;
  SwarmAgent *self = job->agent;
  if (error != NULL) {
    job_fail (job, error);
    return;
  }
  swarm_agent_take_members (self, reply);
  join_finish (job);
}

static gboolean
take_certificate (SwarmAgentJob *job, GVariant *reply, SwarmCertInfo *info, GError **error)
{
  SwarmMembership *membership = job->agent->membership;
  const char *cert, *root;
  g_variant_get (reply, "(&s&s@ay)", &cert, &root, NULL);
  if (!swarm_cert_verify (cert, membership->root_cert, swarm_clock_now (job->agent->clock), error)
      || !swarm_cert_matches_key (cert, membership->key, error) || !swarm_cert_parse (cert, info, error)) {
    g_prefix_error (error, "the manager's answer is not usable: ");
    return FALSE;
  }
  membership->cert = g_strdup (cert);
  membership->node = info->peer.node;
  membership->cluster = info->peer.cluster;
  membership->manager = info->peer.role == SWARM_PEER_MANAGER;
  if (membership->manager)
    swarm_membership_make_keys (membership, job->agent->random);
  return swarm_agent_use_credentials (job->agent, error);
}

static gboolean ask_for_certificate (gpointer data);

/* Nothing was done, for a reason that may be over in a moment: waits, and says for what. FALSE: it has waited long enough. */
static gboolean
join_waits (SwarmAgentJob *job, const GError *error)
{
  SwarmAgent *self = job->agent;
  gint64 now = swarm_clock_boottime (self->clock);
  guint longest = MIN (JOIN_PAUSE_MS << MIN (job->tries, 8), JOIN_LONGEST_PAUSE_MS);
  guint pause_ms = longest / 2 + swarm_random_below (self->random, longest / 2); /* not all that join at once */
  if (job->tries++ == 0)
    job->tries_end = now + JOIN_TRIES_US;
  if (now + (gint64) pause_ms * 1000 > job->tries_end)
    return FALSE;
  g_autofree char *text = g_strdup_printf ("waiting to be let in: %s", error->message);
  swarm_api_set_state (self->api, SWARM_LOCAL_PENDING, text);
  swarm_warning ("The join waits: %s; next try in %.1f s", error->message, pause_ms / 1000.0);
  job->next_try = g_timeout_add (pause_ms, ask_for_certificate, job);
  return TRUE;
}

static void
join_refused (SwarmAgentJob *job, const GError *error)
{
  if (!g_error_matches (error, SWARM_ERROR, SWARM_ERROR_TRY_AGAIN)) {
    job_fail (job, error);
  } else if (!join_waits (job, error)) {
    g_autoptr (GError) told = g_error_new (error->domain, error->code, "%s (%u tries)", error->message, job->tries);
    job_fail (job, told);
  }
}

static void
join_issued (GVariant *reply, const GError *error, gpointer data)
{
  SwarmAgentJob *job = data;
  SwarmAgent *self = job->agent;
  g_autoptr (GError) local = NULL;
  SwarmCertInfo info;
  if (error != NULL || !take_certificate (job, reply, &info, &local)) {
    join_refused (job, error != NULL ? error : local);
    return;
  }
  swarm_api_set_state (self->api, SWARM_LOCAL_PENDING, NULL); /* it waits no more */
  job->let_in = TRUE;
  if (self->membership->manager)
    swarm_oneshot_call_any (swarm_rpc_transport (self->rpc), self->membership->managers, "org.swarmagent1.Consensus", "Join",
                            swarm_agent_join_args (self),
                            "(ta(ays))", CALL_TIMEOUT_US, join_consensus, job);
  else
    join_finish (job);
}

static gboolean
ask_for_certificate (gpointer data)
{
  SwarmAgentJob *job = data;
  SwarmAgent *self = job->agent;
  job->next_try = 0;
  swarm_oneshot_call_any (swarm_rpc_transport (self->rpc), self->membership->managers, "org.swarmagent1.CA", "Issue",
                          g_variant_new ("(ssss)", job->csr, job->token, job->availability, self->membership->advertise), "(ssay)",
                          CALL_TIMEOUT_US, join_issued, job);
  return G_SOURCE_REMOVE;
}

/* Certificates are back-dated by an hour: a clock that is slower fails, one that is much faster will. */
static gboolean
check_clock (SwarmAgent *self, gint64 time_us, GError **error)
{
  gint64 ahead = swarm_difference (swarm_clock_now (self->clock), time_us);
  if (ABS (ahead) < SWARM_AUTHORITY_BACKDATE_US)
    return TRUE;
  g_autofree char *text = swarm_agent_clock_problem (self, ahead);
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_FAILED_PRECONDITION, "%s Then join again.", text);
  return FALSE;
}

static void
join_got_root (GVariant *reply, const GError *error, gpointer data)
{
  SwarmAgentJob *job = data;
  SwarmAgent *self = job->agent;
  g_autoptr (GError) local = NULL;
  const char *root;
  gint64 time_us;
  if (error != NULL) {
    job_fail (job, error);
    return;
  }
  g_variant_get (reply, "(&sx)", &root, &time_us);
  if (!swarm_authority_check_root (self->crypto, job->token, root, &local) || !check_clock (self, time_us, &local)) {
    job_fail (job, local);
    return;
  }
  self->membership->root_cert = g_strdup (root);
  SwarmRpcCredentials credentials = { .roots_pem = root };
  if (!swarm_rpc_set_credentials (self->rpc, &credentials, &local) || (self->membership->key = swarm_cert_create_key (&local)) == NULL
      || (job->csr = swarm_cert_create_csr (self->membership->key, &local)) == NULL) {
    job_fail (job, local);
    return;
  }
  ask_for_certificate (job);
}

/* Asks each manager in turn for the root. */
static void
join_next_root (GVariant *reply, const GError *error, gpointer data)
{
  SwarmAgentJob *job = data;
  if (error == NULL || job->remotes->len == 0) {
    if (error != NULL) {
      g_autoptr (GError) told = g_error_new (SWARM_ERROR, SWARM_ERROR_UNAVAILABLE, "cannot join through %s: %s", job->asked, error->message);
      join_got_root (NULL, told, job);
      return;
    }
    join_got_root (reply, error, job);
    return;
  }
  g_free (job->asked);
  job->asked = g_ptr_array_steal_index (job->remotes, 0);
  swarm_oneshot_call_unverified (job->agent->rpc, job->asked, "org.swarmagent1.CA", "GetRootCA", NULL, "(sx)", CALL_TIMEOUT_US,
                      join_next_root, job);
}

static gboolean
parse_remotes (SwarmAgentJob *job, const char *const *remotes, GPtrArray *managers, GError **error)
{
  job->remotes = g_ptr_array_new_with_free_func (g_free);
  for (guint i = 0; remotes[i] != NULL; i++) {
    g_autofree char *host = NULL;
    guint port;
    if (!swarm_address_split (remotes[i], SWARM_DEFAULT_PORT, &host, &port, error))
      return FALSE;
    g_ptr_array_add (job->remotes, swarm_address_join (host, port));
    g_ptr_array_add (managers, swarm_address_join (host, port));
  }
  if (managers->len > 0)
    return TRUE;
  g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "at least 1 RemoteAddr is required to join");
  return FALSE;
}

static void
begin_join (SwarmAgentJob *job, const char *const *remotes, const char *listen, const char *advertise)
{
  SwarmAgent *self = job->agent;
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) managers = g_ptr_array_new_with_free_func (g_free);
  SwarmToken token;
  if (!check_availability (job->availability, &error) || !swarm_token_parse (job->token, &token, &error)
      || !parse_remotes (job, remotes, managers, &error)
      || (self->membership = new_membership (self, listen, advertise, managers->pdata[0], &error)) == NULL) {
    job_fail (job, error);
    return;
  }
  g_ptr_array_unref (self->membership->managers);
  self->membership->managers = g_steal_pointer (&managers);
  swarm_api_set_state (self->api, SWARM_LOCAL_PENDING, NULL);
  job->timeout = g_timeout_add_seconds (JOIN_ANSWER_S, session_timeout, job);
  swarm_agent_ensure_rpc (self);
  g_autoptr (GError) first = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_UNAVAILABLE, "not asked yet");
  join_next_root (NULL, first, job);
}

void
swarm_agent_join (gpointer agent, GVariant *options, SwarmInvocation *invocation)
{
  static const char *const allowed[] = { "RemoteAddrs:as", "JoinToken:s", "AdvertiseAddr:s", "ListenAddr:s", "Availability:s", NULL };
  static const char *const none[] = { NULL };
  SwarmAgent *self = agent;
  const char *listen = NULL, *advertise = NULL, *token = "", *availability = "active";
  g_autofree const char **remotes = NULL;
  g_autoptr (GError) error = NULL;
  if (!swarm_agent_may_begin (self, invocation))
    return;
  if (!swarm_api_check_options (options, allowed, &error)) {
    swarm_invocation_fail (invocation, error);
    return;
  }
  g_variant_lookup (options, "RemoteAddrs", "^a&s", &remotes);
  g_variant_lookup (options, "JoinToken", "&s", &token);
  g_variant_lookup (options, "ListenAddr", "&s", &listen);
  g_variant_lookup (options, "AdvertiseAddr", "&s", &advertise);
  g_variant_lookup (options, "Availability", "&s", &availability);
  SwarmAgentJob *job = job_new (self, JOB_JOIN, invocation);
  job->token = g_strdup (token);
  job->availability = g_strdup (*availability != '\0' ? availability : "active");
  begin_join (job, remotes != NULL ? remotes : (const char **) none, listen, advertise);
}

void
swarm_agent_join_from_command_line (SwarmAgent *self)
{
  const char *remotes[] = { self->config->join, NULL };
  SwarmAgentJob *job = job_new (self, JOB_JOIN, NULL);
  g_autoptr (GError) error = NULL;
  job->availability = g_strdup ("active");
  if (!g_file_get_contents (self->config->token_file, &job->token, NULL, &error)) {
    job_fail (job, error);
    return;
  }
  g_strstrip (job->token);
  begin_join (job, remotes, NULL, NULL);
}

/* ---- leave ---- */

static void
end_join (SwarmAgentJob *job)
{
  if (job->invocation != NULL)
    swarm_invocation_fail_literal (job->invocation, SWARM_ERROR_CANCELLED, "This node left before its first session with a manager.");
  job_free (job);
}

static void
leave_forgotten (gpointer data)
{
  swarm_log (LOG_NOTICE, swarm_log_id_left, NULL, "This node left its cluster");
  job_succeed (data);
}

static void
leave_said (gpointer data)
{
  SwarmAgentJob *job = data;
  swarm_agent_forget_cluster (job->agent, leave_forgotten, job);
}

/* The tasks are replaced from now on, and not before: none runs twice. */
static void
leave_drained (gpointer data)
{
  SwarmAgentJob *job = data;
  if (job->agent->worker != NULL)
    swarm_worker_goodbye (job->agent->worker, TRUE, leave_said, job);
  else
    leave_said (job);
}

void
swarm_agent_leave (gpointer agent, gboolean force, SwarmInvocation *invocation)
{
  SwarmAgent *self = agent;
  g_autoptr (GError) error = NULL;
  if (self->job != NULL && self->job->kind == JOB_JOIN && self->job->waits_for_session) {
    /* A join that waits for its first session has nothing under way: it ends here, the leave goes on. */
    end_join (self->job);
  }
  if (self->job != NULL || self->recovery != NULL || swarm_agent_is_restoring (self))
    error = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_FAILED_PRECONDITION,
                                 "Another init, join or leave is under way on this node; wait for it to end.");
  else if (self->api->state == SWARM_LOCAL_LOCKED && !force)
    error = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_LOCKED,
                                 "Swarm is encrypted and locked. Please unlock it first or use `--force` to ignore this message.");
  else if (self->api->state == SWARM_LOCAL_ERROR && !force)
    error = g_error_new (SWARM_ERROR, SWARM_ERROR_FAILED_PRECONDITION,
                         "The cluster state of this node cannot be used. Use `--force` to remove it and start over. The reason: %s",
                         self->api->error != NULL ? self->api->error : "unknown reason");
  else if (self->membership == NULL && self->api->state != SWARM_LOCAL_ERROR)
    error = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_FAILED_PRECONDITION, "This node is not part of a swarm");
  else if (self->stack != NULL && !force)
    swarm_control_may_leave (swarm_manager_control (swarm_stack_manager (self->stack)), &self->membership->node, &error);
  if (error != NULL) {
    swarm_invocation_fail (invocation, error);
    return;
  }
  SwarmAgentJob *job = job_new (self, JOB_LEAVE, invocation);
  if (self->worker != NULL)
    swarm_worker_drain (self->worker, LEAVE_DRAIN_US, leave_drained, job);
  else
    swarm_agent_purge_tasks (self, LEAVE_DRAIN_US, leave_drained, job);
}
