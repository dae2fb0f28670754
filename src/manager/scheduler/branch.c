// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/scheduler/branch.h"
#include <string.h>

#define NODE_LABELS "node.labels."
#define ENGINE_LABELS "engine.labels."

typedef struct {
  gboolean engine;
  const char *label; /* borrowed from the task's spec */
} Level;

typedef struct {
  guint parent;
  guint number;
  const char *value; /* in the table of values */
} Branch;

struct _SwarmBranches {
  SwarmTaskSpec *spec; /* labels are borrowed from it */
  GArray *levels;      /* Level */
  GArray *rows;        /* SwarmPluginBranch */
  GHashTable *by_value; /* Branch, set: by parent and value */
  GStringChunk *values;
};

static guint
branch_hash (gconstpointer key)
{
  const Branch *branch = key;
  return g_str_hash (branch->value) * 31 + branch->parent;
}

static gboolean
branch_equal (gconstpointer a, gconstpointer b)
{
  const Branch *x = a, *y = b;
  return x->parent == y->parent && strcmp (x->value, y->value) == 0;
}

static gboolean
read_level (const char *descriptor, Level *ret)
{
  gboolean node = g_ascii_strncasecmp (descriptor, NODE_LABELS, strlen (NODE_LABELS)) == 0;
  gboolean engine = g_ascii_strncasecmp (descriptor, ENGINE_LABELS, strlen (ENGINE_LABELS)) == 0;
  *ret = (Level){ engine, descriptor + strlen (engine ? ENGINE_LABELS : NODE_LABELS) };
  return (node || engine) && *ret->label != '\0';
}

SwarmBranches *
swarm_branches_new (const SwarmTask *task)
{
  const GPtrArray *preferences = task->spec->placement != NULL ? task->spec->placement->preferences : NULL;
  g_autoptr (GArray) levels = g_array_new (FALSE, FALSE, sizeof (Level));
  for (guint i = 0; preferences != NULL && i < preferences->len; i++) {
    const SwarmPlacementPreference *preference = g_ptr_array_index (preferences, i);
    Level level;
    if (preference->spread != NULL && preference->spread->descriptor != NULL && read_level (preference->spread->descriptor, &level))
      g_array_append_val (levels, level);
  }
  if (levels->len == 0)
    return NULL;
  SwarmBranches *self = g_new0 (SwarmBranches, 1);
  SwarmPluginBranch root = { .value = "" };
  self->spec = swarm_task_spec_ref (task->spec);
  self->levels = g_steal_pointer (&levels);
  self->rows = g_array_new (FALSE, FALSE, sizeof (SwarmPluginBranch));
  g_array_append_val (self->rows, root);
  self->by_value = g_hash_table_new_full (branch_hash, branch_equal, g_free, NULL);
  self->values = g_string_chunk_new (256);
  return self;
}

void
swarm_branches_free (SwarmBranches *self)
{
  if (self == NULL)
    return;
  g_array_unref (self->levels);
  g_array_unref (self->rows);
  g_hash_table_unref (self->by_value);
  g_string_chunk_free (self->values);
  swarm_task_spec_unref (self->spec);
  g_free (self);
}

static const char *
value_of (const Level *level, const SwarmNode *node)
{
  GHashTable *labels = node->spec->labels;
  if (level->engine)
    labels = node->description != NULL && node->description->engine != NULL ? node->description->engine->labels : NULL;
  const char *value = labels != NULL ? g_hash_table_lookup (labels, level->label) : NULL;
  return value != NULL ? value : "";
}

static guint
find_below (SwarmBranches *self, guint parent, const char *value)
{
  Branch key = { parent, 0, value };
  Branch *branch = g_hash_table_lookup (self->by_value, &key);
  if (branch != NULL)
    return branch->number;
  SwarmPluginBranch row = { .parent = parent, .value = g_string_chunk_insert (self->values, value) };
  branch = g_new (Branch, 1);
  *branch = (Branch){ parent, self->rows->len, row.value };
  g_array_append_val (self->rows, row);
  g_hash_table_add (self->by_value, branch);
  return branch->number;
}

guint
swarm_branches_find (SwarmBranches *self, const SwarmNode *node)
{
  guint at = 0;
  for (guint i = 0; i < self->levels->len; i++)
    at = find_below (self, at, value_of (&g_array_index (self->levels, Level, i), node));
  return at;
}

void
swarm_branches_count (SwarmBranches *self, const SwarmServiceLoad *load)
{
  GHashTableIter iter;
  gpointer info, n;
  if (load == NULL)
    return;
  g_hash_table_iter_init (&iter, load->nodes);
  while (g_hash_table_iter_next (&iter, &info, &n)) {
    const SwarmNode *node = ((SwarmNodeInfo *) info)->node;
    guint at = node != NULL ? swarm_branches_find (self, node) : 0;
    for (; at != 0; at = g_array_index (self->rows, SwarmPluginBranch, at).parent)
      g_array_index (self->rows, SwarmPluginBranch, at).service_tasks += GPOINTER_TO_UINT (n);
    g_array_index (self->rows, SwarmPluginBranch, 0).service_tasks += GPOINTER_TO_UINT (n);
  }
}

const SwarmPluginBranch *
swarm_branches_rows (SwarmBranches *self, guint *ret_n)
{
  *ret_n = self->rows->len;
  return (const SwarmPluginBranch *) (gpointer) self->rows->data;
}
