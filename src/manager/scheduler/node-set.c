// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/scheduler/node-set.h"
#include <string.h>

#define FAILURE_WINDOW_US (5 * G_TIME_SPAN_MINUTE)
#define MAX_FAILURES 64 /* remembered per node */

typedef struct {
  SwarmId service;
  guint64 version;
  gint64 when; /* boottime */
} Failure;

struct _SwarmNodeSet {
  SwarmClock *clock;
  SwarmIdTable infos; /* SwarmNodeInfo */
  SwarmIdTable loads; /* SwarmServiceLoad */
  GPtrArray *levels;  /* of GPtrArray of SwarmNodeInfo */
  guint lowest;       /* no level below has a node */
  GHashTable *classes; /* signature → number */
  guint generation;
};

/* ---- life ---- */

static void
info_free (SwarmNodeInfo *info)
{
  g_clear_pointer (&info->ports, g_hash_table_unref);
  g_clear_pointer (&info->claims, g_ptr_array_unref);
  g_clear_pointer (&info->failures, g_array_unref);
  g_free (info->id_string);
  g_strfreev (info->labels);
  swarm_node_unref (info->node);
  g_free (info);
}

static void
load_free (SwarmServiceLoad *load)
{
  g_hash_table_unref (load->nodes);
  g_free (load);
}

static void
set_open (SwarmNodeSet *self)
{
  swarm_id_table_init (&self->infos, G_STRUCT_OFFSET (SwarmNodeInfo, id), SWARM_ID_TABLE_LARGE);
  swarm_id_table_init (&self->loads, G_STRUCT_OFFSET (SwarmServiceLoad, id), SWARM_ID_TABLE_SMALL);
  self->levels = g_ptr_array_new_with_free_func ((GDestroyNotify) g_ptr_array_unref);
  self->lowest = 0;
  self->classes = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  self->generation++;
}

static void
set_close (SwarmNodeSet *self)
{
  SwarmIdIter iter;
  gpointer value;
  swarm_id_iter_init (&iter, &self->infos, NULL);
  while ((value = swarm_id_iter_next (&iter)) != NULL)
    info_free (value);
  swarm_id_iter_init (&iter, &self->loads, NULL);
  while ((value = swarm_id_iter_next (&iter)) != NULL)
    load_free (value);
  swarm_id_table_clear (&self->infos);
  swarm_id_table_clear (&self->loads);
  g_ptr_array_unref (self->levels);
  g_hash_table_unref (self->classes);
}

SwarmNodeSet *
swarm_node_set_new (SwarmClock *clock)
{
  SwarmNodeSet *self = g_new0 (SwarmNodeSet, 1);
  self->clock = clock;
  set_open (self);
  return self;
}

void
swarm_node_set_free (SwarmNodeSet *self)
{
  if (self == NULL)
    return;
  set_close (self);
  g_free (self);
}

void
swarm_node_set_clear (SwarmNodeSet *self)
{
  set_close (self);
  set_open (self);
}

/* ---- levels ---- */

static GPtrArray *
level_of (SwarmNodeSet *self, guint active)
{
  while (self->levels->len <= active)
    g_ptr_array_add (self->levels, g_ptr_array_new ());
  return g_ptr_array_index (self->levels, active);
}

static void
level_add (SwarmNodeSet *self, SwarmNodeInfo *info)
{
  GPtrArray *level = level_of (self, info->active);
  info->position = level->len;
  g_ptr_array_add (level, info);
  self->lowest = MIN (self->lowest, info->active);
}

static void
level_remove (SwarmNodeSet *self, SwarmNodeInfo *info)
{
  GPtrArray *level = level_of (self, info->active);
  SwarmNodeInfo *last = g_ptr_array_index (level, level->len - 1);
  level->pdata[info->position] = last;
  last->position = info->position;
  g_ptr_array_set_size (level, (gint) level->len - 1);
}

static void
set_active (SwarmNodeSet *self, SwarmNodeInfo *info, int by)
{
  if (info->ready)
    level_remove (self, info);
  info->active = (guint) ((int) info->active + by);
  if (info->ready)
    level_add (self, info);
}

/* ---- nodes ---- */

static SwarmNodeInfo *
get_or_make (SwarmNodeSet *self, const SwarmId *id)
{
  SwarmNodeInfo *info = swarm_id_table_get (&self->infos, id);
  if (info != NULL)
    return info;
  info = g_new0 (SwarmNodeInfo, 1);
  info->id = *id;
  swarm_id_table_set (&self->infos, info);
  return info;
}

static char **
make_labels (const SwarmNode *node)
{
  GHashTable *labels = node->spec->labels;
  guint n = labels != NULL ? g_hash_table_size (labels) : 0, at = 0;
  char **list = g_new0 (char *, n + 1);
  GHashTableIter iter;
  gpointer key, value;
  if (n == 0)
    return list;
  g_hash_table_iter_init (&iter, labels);
  while (g_hash_table_iter_next (&iter, &key, &value))
    list[at++] = g_strconcat (key, "=", value, NULL);
  return list;
}

void
swarm_node_set_put (SwarmNodeSet *self, SwarmNode *node)
{
  SwarmNodeInfo *info = get_or_make (self, &node->object.id);
  const SwarmNodeDescription *description = node->description;
  const SwarmResources *resources = description != NULL ? description->resources : NULL;
  gboolean ready = node->status->state == SWARM_NODE_READY && node->spec->availability == SWARM_AVAILABILITY_ACTIVE;
  if (info->id_string == NULL)
    info->id_string = swarm_id_dup_string (&info->id);
  if (info->node == NULL || info->node->spec != node->spec) {
    g_strfreev (info->labels);
    info->labels = make_labels (node);
  }
  swarm_message_set_pointer (&info->node, node);
  info->hostname = description != NULL && description->hostname != NULL ? description->hostname : "";
  info->total_nano_cpus = resources != NULL ? resources->nano_cpus : 0;
  info->total_memory = resources != NULL ? resources->memory_bytes : 0;
  info->class = 0;
  if (ready == info->ready)
    return;
  info->ready = ready;
  if (ready)
    level_add (self, info);
  else
    level_remove (self, info);
}

void
swarm_node_set_drop (SwarmNodeSet *self, const SwarmId *node)
{
  SwarmNodeInfo *info = swarm_id_table_get (&self->infos, node);
  if (info == NULL)
    return;
  if (info->ready)
    level_remove (self, info);
  info->ready = FALSE;
  swarm_message_clear_pointer (&info->node);
  info->hostname = "";
  if (info->n_tasks > 0)
    return;
  swarm_id_table_remove (&self->infos, node);
  info_free (info);
}

/* ---- tasks ---- */

/* Adds @by (1 or -1) to a count; a count of 0 leaves the table. */
static void
count (GHashTable *table, gpointer key, int by)
{
  guint n = (guint) ((int) GPOINTER_TO_UINT (g_hash_table_lookup (table, key)) + by);
  if (n == 0)
    g_hash_table_remove (table, key);
  else
    g_hash_table_insert (table, key, GUINT_TO_POINTER (n));
}

/* By the node's id: what walks them must not depend on where in memory they are. */
static guint
hash_of_info (gconstpointer info)
{
  return swarm_id_hash (&((const SwarmNodeInfo *) info)->id);
}

static void
count_service (SwarmNodeSet *self, SwarmNodeInfo *info, const SwarmId *service, int by)
{
  SwarmServiceLoad *load = swarm_id_table_get (&self->loads, service);
  if (load == NULL) {
    load = g_new0 (SwarmServiceLoad, 1);
    load->id = *service;
    load->nodes = g_hash_table_new (hash_of_info, NULL);
    swarm_id_table_set (&self->loads, load);
  }
  count (load->nodes, info, by);
  if (g_hash_table_size (load->nodes) > 0)
    return;
  swarm_id_table_remove (&self->loads, service);
  load_free (load);
}

static void
count_ports (SwarmNodeInfo *info, const SwarmTask *task, int by)
{
  const GPtrArray *ports = task->endpoint != NULL ? task->endpoint->ports : NULL;
  for (guint i = 0; ports != NULL && i < ports->len; i++) {
    const SwarmPortConfig *port = g_ptr_array_index (ports, i);
    if (!swarm_port_is_host (port))
      continue;
    if (info->ports == NULL)
      info->ports = g_hash_table_new (NULL, NULL);
    count (info->ports, GUINT_TO_POINTER (swarm_host_port_key (port)), by);
  }
}

static void
drop_claim (GPtrArray *claims, gconstpointer claim)
{
  for (guint i = 0; i < claims->len; i++) {
    if (swarm_message_equal (claims->pdata[i], claim)) {
      g_ptr_array_remove_index_fast (claims, i);
      return;
    }
  }
}

static void
count_claims (SwarmNodeInfo *info, const SwarmTask *task, int by)
{
  for (guint i = 0; task->generic != NULL && i < task->generic->len; i++) {
    if (info->claims == NULL)
      info->claims = swarm_messages_new ();
    if (by > 0)
      g_ptr_array_add (info->claims, swarm_message_ref (task->generic->pdata[i]));
    else
      drop_claim (info->claims, task->generic->pdata[i]);
  }
}

static void
count_task (SwarmNodeSet *self, const SwarmTask *task, int by)
{
  if (task->status->state < SWARM_TASK_ASSIGNED || swarm_task_state_is_terminal (task->status->state))
    return;
  SwarmNodeInfo *info = get_or_make (self, &task->node_id);
  info->n_tasks = (guint) ((int) info->n_tasks + by);
  if (task->desired_state <= SWARM_TASK_COMPLETE) {
    set_active (self, info, by);
    count_service (self, info, &task->service_id, by);
  }
  const SwarmResources *reserved = task->spec->resources != NULL ? task->spec->resources->reservations : NULL;
  if (reserved != NULL) {
    info->nano_cpus += by * reserved->nano_cpus;
    info->memory += by * reserved->memory_bytes;
  }
  /* A task that is being stopped holds its ports and things until it is over. */
  count_ports (info, task, by);
  count_claims (info, task, by);
  if (info->n_tasks == 0 && info->node == NULL) {
    swarm_id_table_remove (&self->infos, &info->id);
    info_free (info);
  }
}

void
swarm_node_set_add (SwarmNodeSet *self, const SwarmTask *task)
{
  count_task (self, task, 1);
}

void
swarm_node_set_remove (SwarmNodeSet *self, const SwarmTask *task)
{
  count_task (self, task, -1);
}

void
swarm_node_set_failed (SwarmNodeSet *self, const SwarmTask *task)
{
  SwarmNodeInfo *info = swarm_id_table_get (&self->infos, &task->node_id);
  Failure failure = { task->service_id, task->spec_version, swarm_clock_boottime (self->clock) };
  if (info == NULL)
    return;
  if (info->failures == NULL)
    info->failures = g_array_new (FALSE, FALSE, sizeof (Failure));
  if (info->failures->len >= MAX_FAILURES)
    g_array_remove_index (info->failures, 0);
  g_array_append_val (info->failures, failure);
}

/* ---- classes ---- */

static int
compare_lines (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

static void
add_labels (GString *text, GHashTable *labels)
{
  g_autoptr (GPtrArray) lines = g_ptr_array_new_with_free_func (g_free);
  GHashTableIter iter;
  gpointer key, value;
  if (labels != NULL) {
    g_hash_table_iter_init (&iter, labels);
    while (g_hash_table_iter_next (&iter, &key, &value))
      g_ptr_array_add (lines, g_strdup_printf ("%s\n%s\n", (char *) key, (char *) value));
    g_ptr_array_sort (lines, compare_lines);
  }
  for (guint i = 0; i < lines->len; i++)
    g_string_append (text, lines->pdata[i]);
  g_string_append_c (text, '\f');
}

/* All that the filters of a class may look at. */
static char *
make_signature (const SwarmNode *node)
{
  GString *text = g_string_new (swarm_role_to_string (node->role));
  const SwarmNodeDescription *description = node->description;
  const SwarmEngineDescription *engine = description != NULL ? description->engine : NULL;
  g_string_append_c (text, '\f');
  add_labels (text, node->spec->labels);
  if (description != NULL && description->platform != NULL)
    g_string_append_printf (text, "%s\f%s", description->platform->os ?: "", description->platform->architecture ?: "");
  g_string_append_c (text, '\f');
  add_labels (text, engine != NULL ? engine->labels : NULL);
  for (guint i = 0; engine != NULL && engine->plugins != NULL && i < engine->plugins->len; i++) {
    const SwarmEnginePlugin *plugin = g_ptr_array_index (engine->plugins, i);
    g_string_append_printf (text, "%s\n%s\n", plugin->type ?: "", plugin->name ?: "");
  }
  return g_string_free (text, FALSE);
}

/* Classes that no node has any more are not told from the others: now and then all are forgotten. */
static void
forget_classes (SwarmNodeSet *self)
{
  SwarmIdIter iter;
  SwarmNodeInfo *info;
  g_hash_table_remove_all (self->classes);
  self->generation++;
  swarm_id_iter_init (&iter, &self->infos, NULL);
  while ((info = swarm_id_iter_next (&iter)) != NULL)
    info->class = 0;
}

guint
swarm_node_set_class (SwarmNodeSet *self, SwarmNodeInfo *info, guint *ret_generation)
{
  if (info->class == 0) {
    if (g_hash_table_size (self->classes) > 2 * self->infos.n + 1000)
      forget_classes (self);
    char *signature = make_signature (info->node);
    info->class = GPOINTER_TO_UINT (g_hash_table_lookup (self->classes, signature));
    if (info->class == 0) {
      info->class = 1 + g_hash_table_size (self->classes);
      g_hash_table_insert (self->classes, signature, GUINT_TO_POINTER (info->class));
    } else {
      g_free (signature);
    }
  }
  *ret_generation = self->generation;
  return info->class;
}

/* ---- looking ---- */

SwarmNodeInfo *
swarm_node_set_get (SwarmNodeSet *self, const SwarmId *node)
{
  return swarm_id_table_get (&self->infos, node);
}

const SwarmIdTable *
swarm_node_set_infos (SwarmNodeSet *self)
{
  return &self->infos;
}

GPtrArray *
swarm_node_set_levels (SwarmNodeSet *self)
{
  return self->levels;
}

guint
swarm_node_set_lowest (SwarmNodeSet *self)
{
  while (self->lowest < self->levels->len && ((GPtrArray *) g_ptr_array_index (self->levels, self->lowest))->len == 0)
    self->lowest++;
  return self->lowest;
}

const SwarmServiceLoad *
swarm_node_set_load (SwarmNodeSet *self, const SwarmId *service)
{
  return swarm_id_table_get (&self->loads, service);
}

guint
swarm_node_info_service_tasks (const SwarmNodeInfo *info, const SwarmServiceLoad *load)
{
  return load != NULL ? GPOINTER_TO_UINT (g_hash_table_lookup (load->nodes, info)) : 0;
}

guint
swarm_node_info_failures (const SwarmNodeInfo *info, const SwarmId *service, guint64 version, gint64 now)
{
  guint n = 0;
  for (guint i = 0; info->failures != NULL && i < info->failures->len; i++) {
    const Failure *failure = &g_array_index (info->failures, Failure, i);
    if (now - failure->when < FAILURE_WINDOW_US && failure->version == version && swarm_id_equal (&failure->service, service))
      n++;
  }
  return n;
}
