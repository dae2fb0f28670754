// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/dispatcher/dispatcher.h"
#include "base/error.h"
#include "base/log.h"
#include "manager/dispatcher/node.h"
#include "manager/dispatcher/status-report.h"
#include "manager/dispatcher/status-writer.h"
#include <string.h>

/* What an agent sends is far below; what is far above would fit into no transaction. */
#define MAX_DESCRIPTION_BYTES (256 * 1024)
#define REFUSED_PAUSE_US G_TIME_SPAN_MINUTE
#define MAX_ADDRESS 300

struct _SwarmDispatcher {
  SwarmStore *store;
  SwarmClock *clock;
  SwarmRandom *random;
  const SwarmMembers *members;
  /* While leading: */
  const SwarmLeader *leader;
  SwarmNodeWriter *node_writer;
  SwarmStatusWriter *status_writer;
  GHashTable *nodes; /* node id → SwarmNodeRecord */
  gint64 returned_at; /* boottime: when the last one came back of those that were there when this manager began to lead */
  SwarmPictures *pictures;
  guint watch;
};

/* A registration that waits for its commit. */
typedef struct {
  SwarmDispatcher *dispatcher;
  SwarmId node;
  GBytes *session;
  SwarmRegisteredFunc done;
  gpointer data;
} Pending;

SwarmDispatcher *
swarm_dispatcher_new (SwarmStore *store, SwarmClock *clock, SwarmRandom *random, const SwarmMembers *members)
{
  SwarmDispatcher *self = g_new0 (SwarmDispatcher, 1);
  self->store = store;
  self->clock = clock;
  self->random = random;
  self->members = members;
  self->returned_at = -G_TIME_SPAN_HOUR;
  return self;
}

void
swarm_dispatcher_free (SwarmDispatcher *self)
{
  if (self == NULL)
    return;
  swarm_dispatcher_unlead (self);
  g_free (self);
}

/* ---- who leads ---- */

static GVariant *
id_to_variant (const SwarmId *id)
{
  gsize n = swarm_id_is_nil (id) ? 0 : sizeof id->bytes;
  return g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, id->bytes, n, 1);
}

/* Both are new, not floating. */
static void
describe_managers (SwarmDispatcher *self, GVariant **ret_managers, GVariant **ret_leader)
{
  g_autoptr (GArray) members = self->members != NULL && self->members->list != NULL
                                   ? self->members->list (self->members->data)
                                   : g_array_new (FALSE, FALSE, sizeof (SwarmMember));
  GVariantBuilder builder;
  SwarmId leader = SWARM_ID_NIL;
  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a(ays)"));
  for (guint i = 0; i < members->len; i++) {
    const SwarmMember *member = &g_array_index (members, SwarmMember, i);
    g_variant_builder_add (&builder, "(@ays)", id_to_variant (&member->node), member->addr);
    if (member->leader)
      leader = member->node;
  }
  *ret_managers = g_variant_ref_sink (g_variant_builder_end (&builder));
  *ret_leader = g_variant_ref_sink (id_to_variant (&leader));
}

void
swarm_dispatcher_managers_changed (SwarmDispatcher *self)
{
  if (self->leader == NULL)
    return;
  g_autoptr (GVariant) managers = NULL, leader = NULL;
  describe_managers (self, &managers, &leader);
  GHashTableIter iter;
  gpointer record;
  g_hash_table_iter_init (&iter, self->nodes);
  while (g_hash_table_iter_next (&iter, NULL, &record)) {
    SwarmNodeRecord *node = record;
    if (node->session != NULL && node->link_up)
      swarm_session_send_managers (node->session, managers, leader);
  }
}

/* ---- sessions ---- */

static SwarmNodeRecord *
dispatcher_record (SwarmDispatcher *self, const SwarmId *node)
{
  SwarmNodeRecord *record = g_hash_table_lookup (self->nodes, node);
  if (record == NULL) {
    record = swarm_node_record_new (self->leader, self->node_writer, node, &self->returned_at);
    g_hash_table_insert (self->nodes, &record->id, record);
  }
  return record;
}

/* The node's record when @session is its session now; NULL with an error that makes it register again. */
static SwarmNodeRecord *
dispatcher_find (SwarmDispatcher *self, const SwarmId *node, GBytes *session, GError **error)
{
  SwarmNodeRecord *record = self->nodes != NULL ? g_hash_table_lookup (self->nodes, node) : NULL;
  if (record != NULL && record->session != NULL && g_bytes_equal (swarm_session_id (record->session), session))
    return record;
  if (self->leader == NULL)
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_NOT_FOUND, "this manager does not lead, look for the leader");
  else
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_NOT_FOUND, "no such session, register again");
  return NULL;
}

/* The root that nodes shall trust, unless the node said that it does. */
static void
send_root (SwarmDispatcher *self, SwarmNodeRecord *record, const SwarmNodeDescription *description)
{
  const SwarmCluster *cluster = swarm_store_cluster (self->store);
  const SwarmNodeTLS *tls = description != NULL ? description->tls : NULL;
  if (cluster != NULL && cluster->root_ca != NULL && cluster->root_ca->cert != NULL
      && (tls == NULL || g_strcmp0 (tls->trust_digest, cluster->root_ca->digest) != 0))
    swarm_session_send_root (record->session, cluster->root_ca->cert);
}

static void
pending_free (Pending *pending)
{
  g_bytes_unref (pending->session);
  g_free (pending);
}

static void
registered (const GError *error, gpointer data)
{
  Pending *pending = data;
  SwarmDispatcher *self = pending->dispatcher;
  g_autoptr (GError) gone = error != NULL ? g_error_copy (error) : NULL;
  SwarmNodeRecord *record = gone == NULL ? dispatcher_find (self, &pending->node, pending->session, &gone) : NULL;
  if (record == NULL) {
    pending->done (NULL, gone, pending->data);
    pending_free (pending);
    return;
  }
  g_autoptr (GVariant) managers = NULL, leader = NULL;
  describe_managers (self, &managers, &leader);
  SwarmRegistration registration = { pending->session, swarm_node_record_beat (record) * 1000, managers, leader };
  pending->done (&registration, NULL, pending->data);
  /* Answering may have broken the link. */
  record = dispatcher_find (self, &pending->node, pending->session, NULL);
  const SwarmNode *node = swarm_store_get (self->store, SWARM_KIND_NODE, &pending->node);
  if (record != NULL && node != NULL) {
    swarm_session_send_node (record->session, node);
    send_root (self, record, node->description);
    swarm_session_start (record->session, self->pictures);
  }
  pending_free (pending);
}

/* Where the node is reached: the host part of what it tells, else of where it calls from. */
static char *
host_of (const char *addr, const char *seen)
{
  const char *from = addr != NULL && *addr != '\0' && !g_str_has_prefix (addr, "0.0.0.0:") && !g_str_has_prefix (addr, "[::]:") ? addr : seen;
  const char *colon = strrchr (from, ':');
  gsize len = colon != NULL ? (gsize) (colon - from) : strlen (from);
  if (len >= 2 && from[0] == '[' && from[len - 1] == ']')
    return g_strndup (from + 1, len - 2);
  return g_strndup (from, len);
}

static void
answer_not_leading (SwarmDispatcher *self, SwarmRegisteredFunc done, gpointer data)
{
  g_autoptr (GVariant) managers = NULL, leader = NULL;
  g_autoptr (GBytes) nothing = g_bytes_new (NULL, 0);
  describe_managers (self, &managers, &leader);
  SwarmRegistration registration = { nothing, 0, managers, leader };
  done (&registration, NULL, data);
}

/* Every leader will read it, and it shares its transaction with other nodes'. */
static gboolean
check_description (const SwarmNodeDescription *description, const char *addr, GError **error)
{
  if (addr != NULL && strlen (addr) > MAX_ADDRESS) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "a node's address has at most %d characters", MAX_ADDRESS);
    return FALSE;
  }
  if (!swarm_message_validate (description, error)) {
    g_prefix_error (error, "the node's description: ");
    return FALSE;
  }
  g_autoptr (GBytes) encoded = swarm_message_encode (description);
  if (g_bytes_get_size (encoded) <= MAX_DESCRIPTION_BYTES)
    return TRUE;
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "a node's description of %" G_GSIZE_FORMAT " bytes, at most %d are allowed",
               g_bytes_get_size (encoded), MAX_DESCRIPTION_BYTES);
  return FALSE;
}

void
swarm_dispatcher_register (SwarmDispatcher *self, SwarmLink *link, const SwarmNodeDescription *description, const char *addr,
                           SwarmRegisteredFunc done, gpointer data)
{
  if (self->leader == NULL) {
    answer_not_leading (self, done, data);
    return;
  }
  g_autoptr (GError) error = NULL;
  g_autofree char *name = swarm_id_dup_string (&link->peer.node);
  if (swarm_store_get (self->store, SWARM_KIND_NODE, &link->peer.node) == NULL)
    g_set_error (&error, SWARM_ERROR, SWARM_ERROR_NOT_FOUND, "node %s not found", name);
  else if (!swarm_node_record_may_register (dispatcher_record (self, &link->peer.node)))
    g_set_error (&error, SWARM_ERROR, SWARM_ERROR_UNAVAILABLE, "node %s exceeded rate limit count of registrations", name);
  else
    check_description (description, addr, &error);
  if (error != NULL) {
    done (NULL, error, data);
    return;
  }
  SwarmNodeRecord *record = dispatcher_record (self, &link->peer.node);
  swarm_node_record_open (record, link);
  Pending *pending = g_new0 (Pending, 1);
  *pending = (Pending){ self, link->peer.node, g_bytes_ref (swarm_session_id (record->session)), done, data };
  SwarmTicket *ticket = swarm_ticket_new (registered, pending);
  g_autofree char *host = host_of (addr, link->peer.address);
  swarm_node_writer_set (self->node_writer, &link->peer.node, SWARM_NODE_READY, "", host, description, ticket);
  swarm_ticket_settle (ticket, NULL);
}

gboolean
swarm_dispatcher_check_session (SwarmDispatcher *self, const SwarmPeer *peer, GBytes *session, GError **error)
{
  return dispatcher_find (self, &peer->node, session, error) != NULL;
}

gint64
swarm_dispatcher_heartbeat (SwarmDispatcher *self, const SwarmPeer *peer, GBytes *session, gint64 time_us, GError **error)
{
  SwarmNodeRecord *record = dispatcher_find (self, &peer->node, session, error);
  if (record != NULL)
    swarm_node_record_clock (record, time_us);
  return record != NULL ? swarm_node_record_beat (record) * 1000 : -1;
}

void
swarm_dispatcher_describe (SwarmDispatcher *self, const SwarmPeer *peer, GBytes *session, const SwarmNodeDescription *description,
                           SwarmDispatcherDone done, gpointer data)
{
  g_autoptr (GError) error = NULL;
  SwarmNodeRecord *record = dispatcher_find (self, &peer->node, session, &error);
  if (record != NULL && check_description (description, NULL, &error) && !swarm_node_record_may_describe (record))
    g_set_error_literal (&error, SWARM_ERROR, SWARM_ERROR_UNAVAILABLE, "this node has described itself less than a second ago");
  if (error != NULL) {
    done (error, data);
    return;
  }
  SwarmTicket *ticket = swarm_ticket_new (done, data);
  swarm_node_writer_describe (self->node_writer, &peer->node, description, ticket);
  swarm_ticket_settle (ticket, NULL);
}

void
swarm_dispatcher_goodbye (SwarmDispatcher *self, const SwarmPeer *peer, GBytes *session, gboolean host_shutdown,
                          SwarmDispatcherDone done, gpointer data)
{
  g_autoptr (GError) error = NULL;
  SwarmNodeRecord *record = dispatcher_find (self, &peer->node, session, &error);
  if (record == NULL) {
    done (error, data);
    return;
  }
  SwarmTicket *ticket = swarm_ticket_new (done, data);
  swarm_node_record_goodbye (record, host_shutdown, ticket);
  swarm_ticket_settle (ticket, NULL);
}

void
swarm_dispatcher_link_down (SwarmDispatcher *self, SwarmLink *link)
{
  SwarmNodeRecord *record = self->nodes != NULL ? g_hash_table_lookup (self->nodes, &link->peer.node) : NULL;
  if (record != NULL && record->session != NULL && swarm_session_link (record->session) == link)
    swarm_node_record_link_down (record);
}

SwarmLink *
swarm_dispatcher_link (SwarmDispatcher *self, const SwarmId *node)
{
  SwarmNodeRecord *record = self->nodes != NULL ? g_hash_table_lookup (self->nodes, node) : NULL;
  return record != NULL && record->session != NULL && record->link_up ? swarm_session_link (record->session) : NULL;
}

void
swarm_dispatcher_cut (SwarmDispatcher *self, const SwarmId *node, const GError *reason)
{
  SwarmNodeRecord *record = self->nodes != NULL ? g_hash_table_lookup (self->nodes, node) : NULL;
  if (record == NULL || record->session == NULL)
    return;
  g_autoptr (SwarmLink) link = swarm_link_ref (swarm_session_link (record->session));
  swarm_node_record_link_down (record);
  swarm_link_close (link, reason);
}

guint
swarm_dispatcher_n_sessions (SwarmDispatcher *self)
{
  guint n = 0;
  GHashTableIter iter;
  gpointer record;
  if (self->nodes == NULL)
    return 0;
  g_hash_table_iter_init (&iter, self->nodes);
  while (g_hash_table_iter_next (&iter, NULL, &record))
    n += ((SwarmNodeRecord *) record)->session != NULL;
  return n;
}

/* ---- task status ---- */

/* An UpdateStatus that waits for its commit. */
typedef struct {
  GVariant *refused;
  SwarmStatusDone done;
  gpointer data;
} StatusCall;

static void
status_stored (const GError *error, gpointer data)
{
  StatusCall *call = data;
  call->done (error == NULL ? call->refused : NULL, error, call->data);
  g_variant_unref (call->refused);
  g_free (call);
}

/* A node that goes on like that is heard of now and then. */
static void
tell_refused (SwarmNodeRecord *record, GVariant *refused)
{
  gint64 now = swarm_clock_boottime (record->leader->clock);
  gsize n = g_variant_n_children (refused);
  if (n == 0 || (record->refused_at != 0 && now - record->refused_at < REFUSED_PAUSE_US))
    return;
  const char *why;
  g_autofree char *node = swarm_id_dup_string (&record->id);
  g_variant_get_child (refused, 0, "(@ay&s)", NULL, &why);
  record->refused_at = now;
  swarm_log (LOG_WARNING, NULL, SWARM_LOG_FIELDS ({ "SWARM_NODE_ID", node }),
             "node %s: %" G_GSIZE_FORMAT " of its reports about tasks refused, the first: %s", node, n, why);
}

void
swarm_dispatcher_update_status (SwarmDispatcher *self, const SwarmPeer *peer, GBytes *session, GVariant *updates, SwarmStatusDone done,
                                gpointer data)
{
  g_autoptr (GError) error = NULL;
  SwarmNodeRecord *record = dispatcher_find (self, &peer->node, session, &error);
  if (error == NULL && g_variant_n_children (updates) > SWARM_REPORTS_MAX)
    g_set_error (&error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "at most %d reports in a call", SWARM_REPORTS_MAX);
  if (error != NULL) {
    done (NULL, error, data);
    return;
  }
  StatusCall *call = g_new0 (StatusCall, 1);
  *call = (StatusCall){ NULL, done, data };
  g_autoptr (GArray) reports = swarm_status_reports_read (self->store, &peer->node, updates, &call->refused);
  tell_refused (record, call->refused);
  SwarmTicket *ticket = swarm_ticket_new (status_stored, call);
  for (guint i = 0; i < reports->len; i++) {
    const SwarmReport *report = &g_array_index (reports, SwarmReport, i);
    swarm_status_writer_report (self->status_writer, &report->task, report->status, ticket);
  }
  swarm_ticket_settle (ticket, NULL);
}

/* ---- leading ---- */

static void
task_event (SwarmDispatcher *self, const SwarmEvent *event)
{
  const SwarmTask *task = event->object;
  if (swarm_id_is_nil (&task->node_id))
    return;
  SwarmNodeRecord *record = g_hash_table_lookup (self->nodes, &task->node_id);
  if (record != NULL && record->session != NULL)
    swarm_session_mark (record->session, &task->object.id);
}

/* What a node cares about in its own object: not its status, which it makes itself. */
static gboolean
node_event_matters (const SwarmNode *before, const SwarmNode *node)
{
  return before->role != node->role || !swarm_message_equal (before->spec, node->spec)
         || !swarm_message_equal (before->manager_status, node->manager_status)
         || g_strcmp0 (before->cert_serial, node->cert_serial) != 0 || before->cert_due != node->cert_due;
}

static void
node_event (SwarmDispatcher *self, const SwarmEvent *event)
{
  const SwarmNode *node = event->object;
  SwarmNodeRecord *record = g_hash_table_lookup (self->nodes, &node->object.id);
  if (event->event == SWARM_EVENT_CREATE) {
    dispatcher_record (self, &node->object.id);
  } else if (event->event == SWARM_EVENT_REMOVE && record != NULL) {
    g_autoptr (GError) reason = g_error_new (SWARM_ERROR, SWARM_ERROR_NOT_FOUND, "the node was removed from the cluster");
    g_hash_table_steal (self->nodes, &node->object.id);
    swarm_node_record_close (record, reason);
    swarm_node_record_free (record);
  } else if (event->event == SWARM_EVENT_UPDATE && record != NULL && record->session != NULL && record->link_up
             && node_event_matters (event->previous, node)) {
    swarm_session_send_node (record->session, node);
  }
}

static void
cluster_event (SwarmDispatcher *self, const SwarmEvent *event)
{
  const SwarmCluster *before = event->previous, *cluster = event->object;
  if (event->event != SWARM_EVENT_UPDATE || before->root_ca == NULL || cluster->root_ca == NULL
      || g_strcmp0 (before->root_ca->cert, cluster->root_ca->cert) == 0)
    return;
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init (&iter, self->nodes);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    SwarmNodeRecord *record = value;
    if (record->session != NULL && record->link_up)
      send_root (self, record, NULL);
  }
}

typedef struct {
  SwarmDispatcher *dispatcher;
  guint n_managers; /* with this one */
} Inheritance;

static gboolean
count_manager (gpointer object, gpointer data)
{
  Inheritance *inheritance = data;
  const SwarmNode *node = object;
  inheritance->n_managers += node->spec->role == SWARM_ROLE_MANAGER && !swarm_id_equal (&node->object.id, &inheritance->dispatcher->leader->self);
  return TRUE;
}

static gboolean
inherit_node (gpointer object, gpointer data)
{
  Inheritance *inheritance = data;
  const SwarmNode *node = object;
  swarm_node_record_inherit (dispatcher_record (inheritance->dispatcher, &node->object.id), node, inheritance->n_managers);
  return TRUE;
}

/* It may be told to stop now. */
static void
task_is_quiet (const SwarmId *id, gpointer data)
{
  SwarmDispatcher *self = data;
  const SwarmTask *task = self->nodes != NULL ? swarm_store_get (self->store, SWARM_KIND_TASK, id) : NULL;
  SwarmNodeRecord *record = task != NULL ? g_hash_table_lookup (self->nodes, &task->node_id) : NULL;
  if (record != NULL && record->session != NULL && task->desired_state > SWARM_TASK_RUNNING)
    swarm_session_mark (record->session, id);
}

static void
dispatcher_event (const SwarmEvent *event, gpointer data)
{
  SwarmDispatcher *self = data;
  if (event->event == SWARM_EVENT_COMMIT || event->event == SWARM_EVENT_RESET)
    return;
  swarm_pictures_event (self->pictures, event);
  if (event->kind == SWARM_KIND_TASK)
    task_event (self, event);
  else if (event->kind == SWARM_KIND_NODE)
    node_event (self, event);
  else if (event->kind == SWARM_KIND_CLUSTER)
    cluster_event (self, event);
}

void
swarm_dispatcher_lead (SwarmDispatcher *self, gconstpointer leader)
{
  self->leader = leader;
  self->node_writer = swarm_node_writer_new (leader);
  self->status_writer = swarm_status_writer_new (leader);
  self->nodes = g_hash_table_new (swarm_id_hash, swarm_id_equal);
  self->pictures = swarm_pictures_new (leader, task_is_quiet, self);
  self->watch = swarm_store_watch (self->store,
                                   1 << SWARM_KIND_TASK | 1 << SWARM_KIND_NODE | 1 << SWARM_KIND_CLUSTER | 1 << SWARM_KIND_SERVICE | 1 << SWARM_KIND_NETWORK,
                                   dispatcher_event, self);
  Inheritance inheritance = { .dispatcher = self, .n_managers = 1 };
  swarm_store_foreach (self->store, SWARM_KIND_NODE, count_manager, &inheritance);
  swarm_store_foreach (self->store, SWARM_KIND_NODE, inherit_node, &inheritance);
}

void
swarm_dispatcher_unlead (SwarmDispatcher *self)
{
  if (self->leader == NULL)
    return;
  g_autoptr (GError) reason = g_error_new (SWARM_ERROR, SWARM_ERROR_NOT_MANAGER, "this manager does not lead any more");
  g_autoptr (GHashTable) nodes = g_steal_pointer (&self->nodes);
  self->leader = NULL;
  swarm_store_unwatch (self->store, self->watch);
  g_clear_pointer (&self->status_writer, swarm_status_writer_free);
  g_clear_pointer (&self->node_writer, swarm_node_writer_free);
  GHashTableIter iter;
  gpointer record;
  g_hash_table_iter_init (&iter, nodes);
  while (g_hash_table_iter_next (&iter, NULL, &record)) {
    swarm_node_record_close (record, reason);
    swarm_node_record_free (record);
  }
  g_clear_pointer (&self->pictures, swarm_pictures_free);
}
