// SPDX-License-Identifier: LGPL-2.1-or-later
#include "store/task-list.h"
#include <string.h>

#define PIECE_MAX 512

SwarmTaskList *
swarm_task_list_new (const SwarmId *id)
{
  SwarmTaskList *self = g_new0 (SwarmTaskList, 1);

  self->id = *id;
  return self;
}

void
swarm_task_list_free (SwarmTaskList *self)
{
  for (guint i = 0; i < self->n_pieces; i++)
    g_free (self->pieces[i].entries);
  g_free (self->pieces);
  g_free (self);
}

static int
compare (const SwarmTaskEntry *entry, const SwarmTask *task)
{
  if (entry->slot != task->slot)
    return entry->slot < task->slot ? -1 : 1;
  if (entry->task == task)
    return 0;
  if (entry->task->object.created_at != task->object.created_at)
    return entry->task->object.created_at < task->object.created_at ? -1 : 1;
  return swarm_id_compare (&entry->task->object.id, &task->object.id);
}

/* The last piece whose first entry is not behind @task; 0 when all are. */
static guint
find_piece (const SwarmTaskList *self, const SwarmTask *task)
{
  guint low = 0, high = self->n_pieces;

  /* Most come at the end. */
  if (high > 0 && compare (&self->pieces[high - 1].entries[0], task) <= 0)
    return high - 1;
  while (low < high) {
    guint middle = low + (high - low) / 2;
    const SwarmTaskPiece *piece = &self->pieces[middle];
    gboolean behind = piece->first != task->slot ? piece->first > task->slot : compare (&piece->entries[0], task) > 0;

    if (behind)
      high = middle;
    else
      low = middle + 1;
  }
  return low > 0 ? low - 1 : 0;
}

/* The first entry that is not before @task. */
static guint
find_entry (const SwarmTaskPiece *piece, const SwarmTask *task)
{
  guint low = 0, high = piece->n;

  if (high > 0 && compare (&piece->entries[high - 1], task) < 0)
    return high;
  while (low < high) {
    guint middle = low + (high - low) / 2;

    if (compare (&piece->entries[middle], task) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static SwarmTaskPiece *
insert_piece (SwarmTaskList *self, guint at)
{
  self->pieces = g_renew (SwarmTaskPiece, self->pieces, self->n_pieces + 1);
  memmove (self->pieces + at + 1, self->pieces + at, (self->n_pieces - at) * sizeof *self->pieces);
  self->n_pieces++;
  self->pieces[at] = (SwarmTaskPiece){ 0 };
  return &self->pieces[at];
}

/* A full piece gives its upper half to a new one; at the end of the list it stays full, for there they mostly come in order. */
static guint
split (SwarmTaskList *self, guint at, const SwarmTask *task)
{
  gboolean at_end = at + 1 == self->n_pieces && compare (&self->pieces[at].entries[PIECE_MAX - 1], task) < 0;
  SwarmTaskPiece *next = insert_piece (self, at + 1), *piece = &self->pieces[at];

  next->size = at_end ? 16 : PIECE_MAX;
  next->entries = g_new (SwarmTaskEntry, next->size);
  if (at_end)
    return at + 1;
  next->n = piece->n / 2;
  piece->n -= next->n;
  memcpy (next->entries, piece->entries + piece->n, next->n * sizeof *next->entries);
  next->first = next->entries[0].slot;
  return compare (&next->entries[0], task) <= 0 ? at + 1 : at;
}

void
swarm_task_list_add (SwarmTaskList *self, SwarmTask *task)
{
  guint at = self->n_pieces > 0 ? find_piece (self, task) : 0;
  SwarmTaskPiece *piece;
  guint entry;

  if (self->n_pieces == 0)
    insert_piece (self, 0);
  else if (self->pieces[at].n == PIECE_MAX)
    at = split (self, at, task);
  piece = &self->pieces[at];
  if (piece->n == piece->size) {
    piece->size = MIN (MAX (2, piece->size + piece->size / 2 + 1), PIECE_MAX);
    piece->entries = g_renew (SwarmTaskEntry, piece->entries, piece->size);
  }
  entry = find_entry (piece, task);
  memmove (piece->entries + entry + 1, piece->entries + entry, (piece->n - entry) * sizeof *piece->entries);
  piece->entries[entry] = (SwarmTaskEntry){ task->slot, task };
  piece->n++;
  piece->first = piece->entries[0].slot;
  self->n++;
}

void
swarm_task_list_remove (SwarmTaskList *self, const SwarmTask *task)
{
  guint at = find_piece (self, task);
  SwarmTaskPiece *piece = &self->pieces[at];
  guint entry = find_entry (piece, task);

  g_return_if_fail (entry < piece->n && piece->entries[entry].task == task);
  piece->n--;
  self->n--;
  memmove (piece->entries + entry, piece->entries + entry + 1, (piece->n - entry) * sizeof *piece->entries);
  if (piece->n > 0) {
    piece->first = piece->entries[0].slot;
    return;
  }
  g_free (piece->entries);
  self->n_pieces--;
  memmove (self->pieces + at, self->pieces + at + 1, (self->n_pieces - at) * sizeof *self->pieces);
}

void
swarm_task_list_replace (SwarmTaskList *self, const SwarmTask *previous, SwarmTask *task)
{
  SwarmTaskPiece *piece = &self->pieces[find_piece (self, previous)];
  guint entry = find_entry (piece, previous);

  g_return_if_fail (entry < piece->n && piece->entries[entry].task == previous);
  piece->entries[entry].task = task;
}

static void
add_all (const SwarmTaskList *self, GPtrArray *tasks)
{
  for (guint i = 0; i < self->n_pieces; i++)
    for (guint k = 0; k < self->pieces[i].n; k++)
      g_ptr_array_add (tasks, self->pieces[i].entries[k].task);
}

GPtrArray *
swarm_task_list_get (const SwarmTaskList *self, const guint64 *slot)
{
  GPtrArray *tasks = slot == NULL ? g_ptr_array_sized_new (self->n) : g_ptr_array_new ();
  SwarmTask first = { .slot = slot != NULL ? *slot : 0, .object.created_at = G_MININT64 };

  if (slot == NULL) {
    add_all (self, tasks);
    return tasks;
  }
  for (guint i = self->n_pieces > 0 ? find_piece (self, &first) : 0; i < self->n_pieces && self->pieces[i].first <= *slot; i++) {
    const SwarmTaskPiece *piece = &self->pieces[i];

    for (guint k = find_entry (piece, &first); k < piece->n && piece->entries[k].slot == *slot; k++)
      g_ptr_array_add (tasks, piece->entries[k].task);
  }
  return tasks;
}

GPtrArray *
swarm_task_list_get_from (const SwarmTaskList *self, guint64 first, guint n)
{
  GPtrArray *tasks = g_ptr_array_sized_new (MIN (n + 1, self->n));
  SwarmTask from = { .slot = first, .object.created_at = G_MININT64 };
  guint64 last = first;

  for (guint i = self->n_pieces > 0 ? find_piece (self, &from) : 0; i < self->n_pieces; i++) {
    const SwarmTaskPiece *piece = &self->pieces[i];

    for (guint k = find_entry (piece, &from); k < piece->n; k++) {
      if (tasks->len >= n && piece->entries[k].slot != last)
        return tasks;
      last = piece->entries[k].slot;
      g_ptr_array_add (tasks, piece->entries[k].task);
    }
  }
  return tasks;
}
