// SPDX-License-Identifier: LGPL-2.1-or-later
/* Calls that put containers that are no tasks into networks: the runtime finds the container, the leader makes an attachment (a task) of it,
 * which comes here as any task does; the call is answered when that runs. */
#include "base/error.h"
#include "base/log.h"
#include "worker/private.h"
#include <string.h>

#define FIND_LIMIT_US (30 * G_USEC_PER_SEC)
#define LEADER_LIMIT_US (10 * G_USEC_PER_SEC)
#define THERE_LIMIT_US (20 * G_USEC_PER_SEC) /* docker's */
#define JOINS_MAX 256
#define ID_BEGINNING_MIN 3 /* of an id's digits count for it */
#define LOST_US (60 * G_USEC_PER_SEC) /* so long the leader may still make what it was asked for, as its log goes from one to the next */
#define LOST_LOOK_US G_USEC_PER_SEC

typedef struct {
  SwarmWorkerContainers *owner;
  guint64 number;
  gboolean out; /* of the network */
  char *container; /* as it was called */
  char *container_id; /* NULL: not found yet */
  char *network;
  gboolean was_in; /* the container was in the network before */
  SwarmId task; /* nil: the leader has not answered yet */
  gboolean taken_back; /* it took too long: whatever becomes of it now, it does not stay */
  SwarmTimer *limit;
  SwarmWorkerAttachFunc func;
  gpointer data;
} Join;

/* A call whose answer the leader owes for ever. The caller heard that it failed: what may come of it is taken back. */
typedef struct {
  SwarmWorkerContainers *owner;
  guint64 number;
  char *container_id;
  char *network;
  gint64 until;
  SwarmTimer *look;
} Lost;

struct _SwarmWorkerContainers {
  SwarmWorker *worker;
  GHashTable *joins; /* number in the Join → Join */
  GHashTable *lost;  /* number in the Lost → Lost */
  guint64 last;
};

static void
join_free (gpointer data)
{
  Join *join = data;

  swarm_clock_clear_timer (join->owner->worker->config.clock, &join->limit);
  g_free (join->container);
  g_free (join->container_id);
  g_free (join->network);
  g_free (join);
}

static void
lost_free (gpointer data)
{
  Lost *lost = data;

  swarm_clock_clear_timer (lost->owner->worker->config.clock, &lost->look);
  g_free (lost->container_id);
  g_free (lost->network);
  g_free (lost);
}

/* ---- answers ---- */

static void
finish (Join *join, const SwarmTask *task, const GError *error)
{
  g_autoptr (GError) told = NULL;

  g_hash_table_steal (join->owner->joins, &join->number);
  if (error != NULL && !join->out) /* as docker says it */
    told = g_error_new (error->domain, error->code, "Could not attach to network %s: %s", join->network, error->message);
  join->func (told == NULL && error == NULL ? task : NULL, told != NULL ? told : error, join->data);
  join_free (join);
}

static void
finish_with (Join *join, int code, const char *text)
{
  g_autoptr (GError) error = g_error_new_literal (SWARM_ERROR, code, text);

  finish (join, NULL, error);
}

static void
no_session (Join *join)
{
  finish_with (join, SWARM_ERROR_UNAVAILABLE, "this node has no session with the leader; try again later");
}

/* Of an answer; NULL: nobody waits for it any more. */
static Join *
join_of (gpointer data)
{
  SwarmWorkerOp op;

  return swarm_worker_op_take (data, &op) ? g_hash_table_lookup (op.worker->containers->joins, &op.tag) : NULL;
}

static gpointer
answer_to (Join *join)
{
  return swarm_worker_op_new (join->owner->worker, NULL, join->number);
}

/* ---- what becomes of it ---- */

static void
look_at (Join *join)
{
  SwarmWorkerTask *task = swarm_worker_task_of (join->owner->worker, &join->task);
  SwarmTaskState state = task != NULL ? swarm_worker_task_state (task) : SWARM_TASK_NEW;
  g_autoptr (SwarmTask) view = NULL;

  if (join->out) {
    if (task == NULL || swarm_task_state_is_terminal (state))
      finish (join, NULL, NULL);
  } else if (task != NULL && swarm_task_state_is_terminal (state)) {
    const char *why = task->status->err;
    finish_with (join, SWARM_ERROR_FAILED_PRECONDITION, why != NULL && *why != '\0' ? why : "the container has ended");
  } else if (state == SWARM_TASK_RUNNING) {
    view = swarm_worker_task_view (task);
    finish (join, view, NULL);
  }
}

void
swarm_worker_containers_look (SwarmWorkerContainers *self)
{
  g_autoptr (GList) joins = g_hash_table_get_values (self->joins);

  for (GList *at = joins; at != NULL; at = at->next) {
    Join *join = at->data;
    if (!swarm_id_is_nil (&join->task) && !join->taken_back)
      look_at (join);
  }
}

/* The leader has taken it back, and may know what it waited for. */
static void
on_taken_back (GVariant *reply, const GError *error, gpointer data)
{
  Join *join = join_of (data);
  const char *why = "";

  if (join == NULL)
    return;
  if (reply != NULL && g_variant_is_of_type (reply, G_VARIANT_TYPE ("(s)")))
    g_variant_get (reply, "(&s)", &why);
  g_autofree char *text = g_strdup_printf ("attaching to network failed, make sure your network options are correct and check manager logs: %s",
                                           *why != '\0' ? why : "context deadline exceeded");
  finish_with (join, SWARM_ERROR_TIMED_OUT, text);
}

static GVariant *
id_args (const SwarmId *id)
{
  return g_variant_new ("(@ay)", g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, id->bytes, sizeof id->bytes, 1));
}

static void
takes_too_long (gpointer data)
{
  Join *join = data;
  SwarmWorkerSession *session = join->owner->worker->session;

  join->limit = NULL;
  join->taken_back = !join->out;
  if (join->out)
    finish_with (join, SWARM_ERROR_TIMED_OUT, "the container was not taken out of the network in time; that goes on");
  else if (!swarm_worker_session_call (session, "Detach", id_args (&join->task), LEADER_LIMIT_US, on_taken_back, answer_to (join)))
    finish_with (join, SWARM_ERROR_TIMED_OUT, "context deadline exceeded");
}

static void
wait_for_task (Join *join)
{
  join->limit = swarm_clock_timer (join->owner->worker->config.clock, THERE_LIMIT_US, SWARM_PRIORITY_NORMAL, takes_too_long, join);
  look_at (join);
}

/* ---- in ---- */

/* ---- what nobody knows whether it was made ---- */

static SwarmWorkerTask *find_attachment (SwarmWorker *worker, const char *container, const char *network, gboolean *ret_several);

static void
on_lost_taken_back (GVariant *reply, const GError *error, gpointer data)
{
  /* Whether it was is seen by the task. */
}

/* TRUE: another call for the same is under way. */
static gboolean
is_asked_again (const Lost *lost)
{
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, lost->owner->joins);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    const Join *join = value;
    if (!join->out && g_strcmp0 (join->container_id, lost->container_id) == 0)
      return TRUE;
  }
  return FALSE;
}

/* TRUE: it is taken back, or was not made. */
static gboolean
is_settled (const Lost *lost, const SwarmWorkerTask *task)
{
  return task == NULL ? swarm_clock_boottime (lost->owner->worker->config.clock) >= lost->until
                      : task->unassigned || (task->task != NULL && task->task->desired_state > SWARM_TASK_RUNNING);
}

static void
look_for_lost (gpointer data)
{
  Lost *lost = data;
  SwarmWorker *worker = lost->owner->worker;
  gboolean several;
  SwarmWorkerTask *task = find_attachment (worker, lost->container_id, lost->network, &several);

  lost->look = NULL;
  if (is_settled (lost, task)) {
    g_hash_table_remove (lost->owner->lost, &lost->number);
    return;
  }
  lost->look = swarm_clock_timer (worker->config.clock, LOST_LOOK_US, SWARM_PRIORITY_IDLE, look_for_lost, lost);
  if (task == NULL || is_asked_again (lost))
    return;
  swarm_notice ("Container %s is put into network %s by a call that was said to have failed: it is taken out again", lost->container_id, lost->network);
  swarm_worker_session_call (worker->session, "Detach", id_args (&task->id), LEADER_LIMIT_US, on_lost_taken_back, NULL);
}

/* Somebody asked for the same, and was told that it is so: it stays. */
static void
forget_lost (const Join *join)
{
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, join->owner->lost);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    const Lost *lost = value;
    if (g_strcmp0 (lost->container_id, join->container_id) == 0 && strcmp (lost->network, join->network) == 0)
      g_hash_table_iter_remove (&iter);
  }
}

static gboolean
is_outcome_unknown (const GError *error)
{
  static const int codes[] = { SWARM_ERROR_TIMED_OUT, SWARM_ERROR_UNAVAILABLE, SWARM_ERROR_UNKNOWN, SWARM_ERROR_NO_QUORUM, SWARM_ERROR_CANCELLED };

  for (guint i = 0; i < G_N_ELEMENTS (codes); i++) {
    if (g_error_matches (error, SWARM_ERROR, codes[i]))
      return TRUE;
  }
  return FALSE;
}

static void
lose (const Join *join)
{
  SwarmWorkerContainers *self = join->owner;
  Lost *lost = g_new0 (Lost, 1);

  lost->owner = self;
  lost->number = ++self->last;
  lost->container_id = g_strdup (join->container_id);
  lost->network = g_strdup (join->network);
  lost->until = swarm_clock_boottime (self->worker->config.clock) + LOST_US;
  lost->look = swarm_clock_timer (self->worker->config.clock, LOST_LOOK_US, SWARM_PRIORITY_IDLE, look_for_lost, lost);
  g_hash_table_insert (self->lost, &lost->number, lost);
}

static void
on_made (GVariant *reply, const GError *error, gpointer data)
{
  Join *join = join_of (data);
  g_autoptr (GError) refused = NULL;
  g_autoptr (GVariant) id = NULL;

  if (join == NULL)
    return;
  if (error != NULL) {
    refused = g_error_copy (error);
    if (is_outcome_unknown (error) && !join->was_in && g_hash_table_size (join->owner->lost) < JOINS_MAX)
      lose (join);
    if (g_error_matches (error, SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED))
      g_prefix_error (&refused, "rpc error: code = PermissionDenied desc = ");
    finish (join, NULL, refused);
    return;
  }
  if (g_variant_is_of_type (reply, G_VARIANT_TYPE ("(ay)")))
    g_variant_get (reply, "(@ay)", &id);
  if (id == NULL || g_variant_n_children (id) != sizeof join->task.bytes) {
    finish_with (join, SWARM_ERROR_FAILED, "the leader's answer cannot be read");
    return;
  }
  memcpy (join->task.bytes, g_variant_get_data (id), sizeof join->task.bytes);
  forget_lost (join);
  wait_for_task (join);
}

static void
on_container (const SwarmRuntimeResult *result, const GError *error, gpointer data)
{
  Join *join = join_of (data);
  gboolean several;

  if (join == NULL)
    return;
  if (error != NULL) {
    finish (join, NULL, error);
    return;
  }
  if (result->pid == 0) {
    g_autofree char *text = g_strdup_printf ("container %s is not running", result->name);
    finish_with (join, SWARM_ERROR_FAILED_PRECONDITION, text);
    return;
  }
  join->container_id = g_strdup (result->container_id);
  join->was_in = find_attachment (join->owner->worker, result->container_id, join->network, &several) != NULL;
  GVariant *args = g_variant_new ("(sss)", result->container_id, result->name, join->network);
  if (!swarm_worker_session_call (join->owner->worker->session, "Attach", args, LEADER_LIMIT_US, on_made, answer_to (join)))
    no_session (join);
}

/* ---- out ---- */

static gboolean
is_in (SwarmWorker *worker, const SwarmTask *task, const char *reference)
{
  const SwarmNetworkAttachment *attachment = task->networks != NULL && task->networks->len > 0 ? task->networks->pdata[0] : NULL;
  g_autoptr (SwarmPictureNetwork) network
    = attachment != NULL ? swarm_worker_picture_get (worker, SWARM_KIND_NETWORK, &attachment->network) : NULL;

  if (attachment == NULL)
    return FALSE;
  return (network != NULL && g_strcmp0 (network->name, reference) == 0)
         || (strlen (reference) >= ID_BEGINNING_MIN && g_str_has_prefix (swarm_id_string (&attachment->network).str, reference));
}

/* A name goes before the beginning of an id. NULL: there is none, or (@ret_several) it is the beginning of several. */
static SwarmWorkerTask *
find_attachment (SwarmWorker *worker, const char *container, const char *network, gboolean *ret_several)
{
  SwarmWorkerTask *found = NULL;
  GHashTableIter iter;
  gpointer value;
  guint n = 0;

  g_hash_table_iter_init (&iter, worker->tasks);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    const SwarmWorkerTask *task = value;
    const SwarmTask *known = swarm_worker_task_known (task);
    if (known == NULL || known->attachment == NULL || swarm_task_state_is_terminal (task->status->state) || !is_in (worker, known, network))
      continue;
    if (g_strcmp0 (known->attachment->name, container) == 0)
      return value;
    if (strlen (container) < ID_BEGINNING_MIN || !g_str_has_prefix (known->attachment->container_id, container))
      continue;
    found = value;
    n++;
  }
  *ret_several = n > 1;
  return n == 1 ? found : NULL;
}

static void
on_wanted_out (GVariant *reply, const GError *error, gpointer data)
{
  Join *join = join_of (data);

  if (join == NULL)
    return;
  if (error != NULL)
    finish (join, NULL, error);
  else
    wait_for_task (join);
}

/* ---- the door ---- */

static Join *
join_new (SwarmWorker *worker, const char *container, const char *network, gboolean out, SwarmWorkerAttachFunc func, gpointer data)
{
  SwarmWorkerContainers *self = worker->containers;
  Join *join = g_new0 (Join, 1);

  join->owner = self;
  join->number = ++self->last;
  join->out = out;
  join->container = g_strdup (container);
  join->network = g_strdup (network);
  join->func = func;
  join->data = data;
  g_hash_table_insert (self->joins, &join->number, join);
  if (g_hash_table_size (self->joins) <= JOINS_MAX)
    return join;
  finish_with (join, SWARM_ERROR_LIMIT_EXCEEDED, "too many containers are being attached; try again later");
  return NULL;
}

void
swarm_worker_attach (SwarmWorker *self, const char *container, const char *network, SwarmWorkerAttachFunc func, gpointer data)
{
  Join *join = join_new (self, container, network, FALSE, func, data);

  if (join != NULL)
    swarm_runtime_host_find (self->config.runtime, container, FIND_LIMIT_US, on_container, answer_to (join));
}

void
swarm_worker_detach (SwarmWorker *self, const char *container, const char *network, SwarmWorkerAttachFunc func, gpointer data)
{
  Join *join = join_new (self, container, network, TRUE, func, data);
  gboolean several = FALSE;
  SwarmWorkerTask *task = join != NULL ? find_attachment (self, container, network, &several) : NULL;

  if (join == NULL)
    return;
  if (several) {
    g_autofree char *text = g_strdup_printf ("more than one container in that network is %s; give more of its id, or its name", container);
    finish_with (join, SWARM_ERROR_INVALID_ARGUMENT, text);
    return;
  }
  if (task == NULL) {
    g_autofree char *text = g_strdup_printf ("container %s is not connected to network %s", container, network);
    finish_with (join, SWARM_ERROR_NOT_FOUND, text);
    return;
  }
  join->task = task->id;
  if (!swarm_worker_session_call (self->session, "Detach", id_args (&task->id), LEADER_LIMIT_US, on_wanted_out, answer_to (join)))
    no_session (join);
}

/* ---- life ---- */

SwarmWorkerContainers *
swarm_worker_containers_new (SwarmWorker *worker)
{
  SwarmWorkerContainers *self = g_new0 (SwarmWorkerContainers, 1);

  self->worker = worker;
  self->joins = g_hash_table_new_full (g_int64_hash, g_int64_equal, NULL, join_free);
  self->lost = g_hash_table_new_full (g_int64_hash, g_int64_equal, NULL, lost_free);
  return self;
}

void
swarm_worker_containers_free (SwarmWorkerContainers *self)
{
  g_autoptr (GList) joins = g_hash_table_get_values (self->joins);

  for (GList *at = joins; at != NULL; at = at->next)
    finish_with (at->data, SWARM_ERROR_UNAVAILABLE, "the agent stops");
  g_hash_table_unref (self->joins);
  g_hash_table_unref (self->lost);
  g_free (self);
}
