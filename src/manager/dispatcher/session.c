// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/dispatcher/session.h"
#include "base/log.h"

#define WORKER_INTERFACE "org.swarmagent1.Worker"
#define BATCH_CHANGES 100
#define BATCH_BYTES (1024 * 1024)
#define ASSIGN_TIMEOUT_US (30 * G_TIME_SPAN_SECOND)
#define RETRY_FIRST_US (500 * G_TIME_SPAN_MILLISECOND)
#define RETRY_LAST_US (30 * G_TIME_SPAN_SECOND)
/* So long a task that is to stop is kept from knowing while others may still send it new connections. */
#define HOLD_US (1 * G_TIME_SPAN_SECOND)

struct _SwarmSession {
  const SwarmLeader *leader;
  SwarmId node;
  GBytes *id;
  SwarmLink *link;
  GHashTable *known;   /* task id → desired state that was last sent */
  GHashTable *changed; /* set of task ids to look at */
  GPtrArray *full;     /* of SwarmTask: what is left of a full set; NULL: deltas */
  guint full_at;       /* how many of them were sent */
  gboolean parts;      /* of a full set were sent since the node had one to its end */
  gboolean again;      /* after them a set came to nothing: the node counts them for the next one, which is not the last */
  gint64 blind_until;  /* boottime: nobody can say yet what other nodes were told before */
  gboolean started;
  gboolean full_due;
  guint64 sequence;
  guint refusals; /* in a row */
  SwarmTimer *timer;
  struct _Assign *assign; /* under way */
  SwarmPictures *pictures; /* NULL: not started */
  SwarmPicture *picture;
  GHashTable *held; /* task id → boottime until when it is */
  SwarmTimer *hold_timer;
};

/* Outlives the session when the answer is late. */
typedef struct _Assign {
  SwarmSession *session; /* NULL: it is gone */
} Assign;

static void session_send (gpointer data);

static void
session_schedule (SwarmSession *self, gint64 delay)
{
  if (self->started && self->timer == NULL && self->assign == NULL)
    self->timer = swarm_clock_timer (self->leader->clock, delay, SWARM_PRIORITY_NORMAL, session_send, self);
}

SwarmSession *
swarm_session_new (const SwarmLeader *leader, const SwarmId *node, SwarmLink *link)
{
  SwarmSession *self = g_new0 (SwarmSession, 1);
  guint8 id[SWARM_SESSION_ID_LEN];
  leader->random->fill (leader->random, id, sizeof id);
  self->leader = leader;
  self->node = *node;
  self->id = g_bytes_new (id, sizeof id);
  self->link = swarm_link_ref (link);
  self->known = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, g_free, NULL);
  self->changed = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, g_free, NULL);
  self->held = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, g_free, g_free);
  self->full_due = TRUE;
  return self;
}

void
swarm_session_start (SwarmSession *self, SwarmPictures *pictures)
{
  self->started = TRUE;
  self->pictures = pictures;
  self->picture = swarm_picture_new (pictures, &self->node, self->link, self->id);
  session_schedule (self, 0);
}

void
swarm_session_free (SwarmSession *self)
{
  if (self == NULL)
    return;
  if (self->assign != NULL)
    self->assign->session = NULL;
  swarm_clock_clear_timer (self->leader->clock, &self->timer);
  swarm_clock_clear_timer (self->leader->clock, &self->hold_timer);
  swarm_picture_free (self->picture);
  g_hash_table_unref (self->held);
  swarm_link_unref (self->link);
  g_clear_pointer (&self->full, g_ptr_array_unref);
  g_hash_table_unref (self->known);
  g_hash_table_unref (self->changed);
  g_bytes_unref (self->id);
  g_free (self);
}

SwarmLink *
swarm_session_link (SwarmSession *self)
{
  return self->link;
}

GBytes *
swarm_session_id (SwarmSession *self)
{
  return self->id;
}

/* The node has to know of the task: it is assigned to it, has all it needs to run (where it is to run) and is not over, or was rejected while it
 * ran there. */
static gboolean
session_wants (SwarmSession *self, const SwarmTask *task)
{
  return task != NULL && swarm_id_equal (&task->node_id, &self->node) && task->status->state >= SWARM_TASK_ASSIGNED
         && (task->desired_state > SWARM_TASK_COMPLETE || !swarm_task_lacks_gateway (task))
         && (task->lingers || !swarm_task_state_is_terminal (task->status->state));
}

void
swarm_session_mark (SwarmSession *self, const SwarmId *task)
{
  if (!g_hash_table_contains (self->changed, task))
    g_hash_table_add (self->changed, g_memdup2 (task, sizeof *task));
  session_schedule (self, 0);
}

/* ---- who goes leaves names and balancing first ---- */

static void
look_at_held (gpointer data)
{
  SwarmSession *self = data;
  GHashTableIter iter;
  gpointer task;
  self->hold_timer = NULL;
  g_hash_table_iter_init (&iter, self->held);
  while (g_hash_table_iter_next (&iter, &task, NULL))
    swarm_session_mark (self, task);
}

/* Others may still send it new connections. */
static gboolean
is_reached (SwarmSession *self, const SwarmTask *task, gint64 now)
{
  return swarm_pictures_is_told (self->pictures, task)
         || (now < self->blind_until && task->status->state == SWARM_TASK_RUNNING && swarm_task_needs_overlay (task));
}

/* Is the node not to hear yet that @task is to stop? It is marked again when it may. */
static gboolean
session_holds (SwarmSession *self, const SwarmTask *task)
{
  gint64 now = swarm_clock_boottime (self->leader->clock);
  if (self->pictures == NULL || task->desired_state <= SWARM_TASK_RUNNING || !is_reached (self, task, now)) {
    g_hash_table_remove (self->held, &task->object.id);
    return FALSE;
  }
  const gint64 *until = g_hash_table_lookup (self->held, &task->object.id);
  if (until == NULL) {
    gint64 limit = now + HOLD_US;
    until = g_memdup2 (&limit, sizeof limit);
    g_hash_table_insert (self->held, g_memdup2 (&task->object.id, sizeof (SwarmId)), (gpointer) until);
  }
  if (now >= *until) {
    g_hash_table_remove (self->held, &task->object.id);
    return FALSE;
  }
  if (self->hold_timer == NULL)
    self->hold_timer = swarm_clock_timer (self->leader->clock, *until - now, SWARM_PRIORITY_NORMAL, look_at_held, self);
  return TRUE;
}

/* One Assign in the making. */
typedef struct {
  GVariantBuilder tasks;
  GVariantBuilder removed;
  guint n;
  gsize bytes;
} Batch;

static void
batch_init (Batch *batch)
{
  g_variant_builder_init (&batch->tasks, G_VARIANT_TYPE ("aay"));
  g_variant_builder_init (&batch->removed, G_VARIANT_TYPE ("aay"));
  batch->n = 0;
  batch->bytes = 0;
}

static gboolean
batch_is_full (const Batch *batch)
{
  return batch->n >= BATCH_CHANGES || batch->bytes >= BATCH_BYTES;
}

static void
batch_add_task (Batch *batch, SwarmSession *self, const SwarmTask *task)
{
  g_autoptr (GBytes) data = swarm_message_encode (task);
  g_variant_builder_add_value (&batch->tasks, g_variant_new_from_bytes (G_VARIANT_TYPE_BYTESTRING, data, TRUE));
  g_hash_table_insert (self->known, g_memdup2 (&task->object.id, sizeof (SwarmId)), GUINT_TO_POINTER (task->desired_state));
  batch->n++;
  batch->bytes += g_bytes_get_size (data);
}

static void
batch_add_removed (Batch *batch, SwarmSession *self, const SwarmId *task)
{
  g_variant_builder_add_value (&batch->removed,
                               g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, task->bytes, sizeof task->bytes, 1));
  g_hash_table_remove (self->known, task);
  batch->n++;
  batch->bytes += sizeof task->bytes;
}

/* Begins a full set anew, from what the store has now. */
static void
session_begin_full (SwarmSession *self)
{
  self->full_due = FALSE;
  self->sequence = 0;
  self->full_at = 0;
  self->blind_until = swarm_clock_boottime (self->leader->clock) + HOLD_US;
  g_hash_table_remove_all (self->known);
  g_hash_table_remove_all (self->changed);
  g_clear_pointer (&self->full, g_ptr_array_unref);
  self->full = g_ptr_array_new_with_free_func ((GDestroyNotify) swarm_task_unref);
  g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_node (self->leader->store, &self->node);
  for (guint i = 0; i < tasks->len; i++) {
    const SwarmTask *task = g_ptr_array_index (tasks, i);
    if (session_wants (self, task))
      g_ptr_array_add (self->full, swarm_task_ref (task));
  }
}

/* As the node knew it before it was to stop: that follows as a change, when others know. */
static SwarmTask *
still_running (const SwarmTask *task)
{
  SwarmTask *copy = swarm_task_copy (task);
  copy->desired_state = SWARM_TASK_RUNNING;
  return copy;
}

/* What changes meanwhile is in `changed` and follows as a delta. */
static void
session_fill_full (SwarmSession *self, Batch *batch)
{
  while (self->full_at < self->full->len && !batch_is_full (batch)) {
    SwarmTask *task = g_ptr_array_index (self->full, self->full_at++);
    gboolean waits = task->desired_state >= SWARM_TASK_SHUTDOWN && task->status->state == SWARM_TASK_RUNNING && session_holds (self, task);
    g_autoptr (SwarmTask) told = waits ? still_running (task) : swarm_task_ref (task);
    batch_add_task (batch, self, told);
  }
  if (self->full_at == self->full->len) {
    g_clear_pointer (&self->full, g_ptr_array_unref);
    self->sequence = 1;
  }
  self->parts |= self->full != NULL;
}

static void
session_fill_delta (SwarmSession *self, Batch *batch)
{
  GHashTableIter iter;
  gpointer key, desired;
  g_hash_table_iter_init (&iter, self->changed);
  while (!batch_is_full (batch) && g_hash_table_iter_next (&iter, &key, NULL)) {
    const SwarmTask *task = swarm_store_get (self->leader->store, SWARM_KIND_TASK, key);
    gboolean known = g_hash_table_lookup_extended (self->known, key, NULL, &desired);
    if (session_wants (self, task)) {
      if ((!known || GPOINTER_TO_UINT (desired) != task->desired_state) && !(known && session_holds (self, task)))
        batch_add_task (batch, self, task);
    } else if (known) {
      g_hash_table_remove (self->held, key);
      batch_add_removed (batch, self, key);
    }
    g_hash_table_iter_remove (&iter);
  }
  if (batch->n > 0)
    self->sequence++;
}

static void
session_assigned (GVariant *reply, const GError *error, gpointer data)
{
  g_autofree Assign *assign = data;
  SwarmSession *self = assign->session;
  if (self == NULL)
    return;
  self->assign = NULL;
  if (error != NULL) {
    g_autofree char *node = swarm_id_dup_string (&self->node);
    swarm_notice ("node %s did not take its assignment, it will be sent whole: %s", node, error->message);
    self->full_due = TRUE;
    self->again |= self->parts;
    session_schedule (self, MIN (RETRY_FIRST_US << MIN (self->refusals, 10), RETRY_LAST_US));
    self->refusals++;
    return;
  }
  self->refusals = 0;
  if (self->full == NULL && self->sequence == 1) {
    self->full_due |= self->again;
    self->parts = self->again = FALSE;
  }
  if (self->full != NULL || self->full_due || g_hash_table_size (self->changed) > 0) {
    session_schedule (self, 0);
  }
}

static void
session_send (gpointer data)
{
  SwarmSession *self = data;
  Batch batch;
  self->timer = NULL;
  batch_init (&batch);
  if (self->full_due)
    session_begin_full (self);
  gboolean full = self->full != NULL;
  if (full)
    session_fill_full (self, &batch);
  else
    session_fill_delta (self, &batch);
  g_autoptr (GVariant) tasks = g_variant_ref_sink (g_variant_builder_end (&batch.tasks));
  g_autoptr (GVariant) removed = g_variant_ref_sink (g_variant_builder_end (&batch.removed));
  if (!full && batch.n == 0)
    return;
  self->assign = g_new0 (Assign, 1);
  self->assign->session = self;
  GVariant *id = g_variant_new_from_bytes (G_VARIANT_TYPE_BYTESTRING, self->id, TRUE);
  swarm_link_call (self->link, WORKER_INTERFACE, "Assign",
                   g_variant_new ("(@aytb@aay@aay)", id, self->sequence, full, tasks, removed), ASSIGN_TIMEOUT_US, session_assigned,
                   self->assign);
}

void
swarm_session_send_node (SwarmSession *self, const SwarmNode *node)
{
  g_autoptr (GBytes) data = swarm_message_encode (node);
  swarm_link_send (self->link, WORKER_INTERFACE, "NodeChanged",
                   g_variant_new ("(@ay)", g_variant_new_from_bytes (G_VARIANT_TYPE_BYTESTRING, data, TRUE)));
}

void
swarm_session_send_managers (SwarmSession *self, GVariant *managers, GVariant *leader)
{
  swarm_link_send (self->link, WORKER_INTERFACE, "Managers", g_variant_new ("(@a(ays)@ay)", managers, leader));
}

void
swarm_session_send_root (SwarmSession *self, const char *pem)
{
  swarm_link_send (self->link, WORKER_INTERFACE, "RootCA", g_variant_new ("(s)", pem));
}
