// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/orchestrator/roll.h"

#define BLOCK 64

typedef struct {
  guint64 number; /* of its first slot, divided by BLOCK */
  SwarmRollEntry entries[BLOCK];
} Block;

/* ---- life ---- */

static guint64
version_of (const SwarmService *service)
{
  return service != NULL ? service->object.version : 0;
}

static int
compare_numbers (gconstpointer a, gconstpointer b)
{
  guint64 x = *(const guint64 *) a, y = *(const guint64 *) b;
  return x < y ? -1 : x > y;
}

SwarmRoll *
swarm_roll_new (const SwarmService *service)
{
  SwarmRoll *self = g_new0 (SwarmRoll, 1);
  self->version = version_of (service);
  self->gone = service == NULL || service->pending_delete;
  self->next = service != NULL && swarm_service_spec_kind (service->spec) == SWARM_SERVICE_REPLICATED_JOB ? 0 : 1;
  self->by_node = !self->gone && swarm_service_is_everywhere (service);
  self->numbers = g_hash_table_new (swarm_id_hash, swarm_id_equal);
  self->blocks = g_hash_table_new_full (g_int64_hash, g_int64_equal, NULL, g_free);
  self->order = g_ptr_array_new ();
  self->moves = g_tree_new (compare_numbers);
  self->stale = g_array_new (FALSE, FALSE, sizeof (guint64));
  self->untended = g_array_new (FALSE, FALSE, sizeof (guint64));
  self->surplus = g_array_new (FALSE, FALSE, sizeof (guint64));
  self->left = g_array_new (FALSE, FALSE, sizeof (SwarmId));
  self->done = g_array_new (FALSE, FALSE, sizeof (guint64));
  swarm_heap_init (&self->waiting);
  swarm_heap_init (&self->dues);
  if (service != NULL)
    swarm_update_begin (&self->update, service);
  return self;
}

static void
choice_free (SwarmRollChoice *choice)
{
  g_hash_table_unref (choice->seen);
  g_ptr_array_unref (choice->ranks);
  g_array_unref (choice->homeless);
  g_free (choice);
}

void
swarm_roll_free (gpointer roll)
{
  SwarmRoll *self = roll;
  if (self == NULL)
    return;
  g_clear_pointer (&self->choice, choice_free);
  swarm_heap_clear (&self->waiting);
  swarm_heap_clear (&self->dues);
  g_tree_unref (self->moves);
  g_array_unref (self->stale);
  g_array_unref (self->untended);
  g_array_unref (self->surplus);
  g_array_unref (self->left);
  g_array_unref (self->done);
  g_ptr_array_unref (self->order);
  g_hash_table_unref (self->numbers);
  g_hash_table_unref (self->blocks);
  g_free (self);
}

gboolean
swarm_roll_is_of (const SwarmRoll *self, const SwarmService *service)
{
  return self->version == version_of (service);
}

gboolean
swarm_roll_has_moves (const SwarmRoll *self)
{
  return self->n_moving > 0 || g_tree_nnodes (self->moves) > 0;
}

/* ---- entries ---- */

SwarmRollEntry *
swarm_roll_find (const SwarmRoll *self, guint64 number)
{
  guint64 key = number / BLOCK;
  Block *block = g_hash_table_lookup (self->blocks, &key);
  return block != NULL && block->entries[number % BLOCK].known ? &block->entries[number % BLOCK] : NULL;
}

static SwarmRollEntry *
find_or_make (SwarmRoll *self, guint64 number)
{
  guint64 key = number / BLOCK;
  Block *block = g_hash_table_lookup (self->blocks, &key);
  if (block == NULL) {
    block = g_new0 (Block, 1);
    block->number = key;
    g_hash_table_insert (self->blocks, &block->number, block);
  }
  SwarmRollEntry *entry = &block->entries[number % BLOCK];
  if (!entry->known) {
    entry->known = TRUE;
    entry->number = number;
    g_ptr_array_add (self->order, entry);
  }
  return entry;
}

void
swarm_roll_touch (SwarmRoll *self, guint64 number)
{
  if (!self->counted && number >= self->cursor)
    return; /* it will be looked at */
  SwarmRollEntry *entry = find_or_make (self, number);
  if (entry->stale)
    return;
  entry->stale = TRUE;
  g_array_append_val (self->stale, number);
}

void
swarm_roll_begin_pass (SwarmRoll *self)
{
  self->pass++;
  g_array_set_size (self->done, 0);
}

void
swarm_roll_do (SwarmRoll *self, guint64 number)
{
  g_array_append_val (self->done, number);
}

gboolean
swarm_roll_undo (SwarmRoll *self)
{
  for (guint i = 0; i < self->done->len; i++) {
    guint64 number = g_array_index (self->done, guint64, i);
    swarm_roll_touch (self, number);
    self->next = MIN (self->next, number);
  }
  g_array_set_size (self->done, 0);
  g_array_set_size (self->surplus, 0);
  g_clear_pointer (&self->choice, choice_free);
  return !self->gone;
}

guint64
swarm_roll_number_of (SwarmRoll *self, const SwarmId *node)
{
  guint64 number = GPOINTER_TO_SIZE (g_hash_table_lookup (self->numbers, node));
  if (number > 0)
    return number;
  number = g_hash_table_size (self->numbers) + 1;
  SwarmRollEntry *entry = find_or_make (self, number);
  entry->node = *node;
  self->cursor = number + 1;
  g_hash_table_insert (self->numbers, &entry->node, GSIZE_TO_POINTER (number));
  return number;
}

void
swarm_roll_touch_node (SwarmRoll *self, const SwarmId *node)
{
  if (self->counted || swarm_id_compare (node, &self->last) <= 0) /* else it will be looked at */
    swarm_roll_touch (self, swarm_roll_number_of (self, node));
}

/* @running: of two that wait the one that does not is the first. */
static SwarmRollEntry *
set_share (SwarmRoll *self, guint64 number, const SwarmUpdateShare *share, gboolean running)
{
  static const SwarmUpdateShare nothing = { .due = G_MAXINT64 };
  SwarmRollEntry *entry = find_or_make (self, number);
  swarm_update_count (&self->update, &entry->share, -1);
  self->n_present -= entry->present;
  gint64 due = entry->share.due;
  entry->present = share != NULL;
  entry->share = share != NULL ? *share : nothing;
  entry->running = running;
  self->n_present += entry->present;
  swarm_update_count (&self->update, &entry->share, 1);
  if (entry->share.waiting && (entry->queued & 1 << running) == 0) {
    swarm_heap_add (&self->waiting, running, number);
    entry->queued |= 1 << running;
  }
  if (entry->share.due != G_MAXINT64 && entry->share.due != due)
    swarm_heap_add (&self->dues, entry->share.due, number);
  return entry;
}

SwarmRollEntry *
swarm_roll_set (SwarmRoll *self, guint64 number, const SwarmUpdateShare *share)
{
  return set_share (self, number, share, FALSE);
}

static void
set_moving (SwarmRoll *self, SwarmRollEntry *entry, SwarmMoving moving)
{
  entry->moved = FALSE;
  if (entry->moving == moving)
    return;
  self->n_moving += (moving == SWARM_MOVING_BEGUN) - (entry->moving == SWARM_MOVING_BEGUN);
  if (entry->moving == SWARM_MOVING_WAITS)
    g_tree_remove (self->moves, &entry->number);
  if (moving == SWARM_MOVING_WAITS)
    g_tree_insert (self->moves, &entry->number, entry);
  entry->moving = moving;
}

void
swarm_roll_count (SwarmRoll *self, const SwarmReplica *replica, gboolean present, gboolean calm, gint64 now)
{
  SwarmUpdateShare share = { .due = G_MAXINT64 };
  if (present)
    share = swarm_update_share (&self->update, replica, now);
  guint64 number = self->by_node ? swarm_roll_number_of (self, &replica->node) : replica->slot.number;
  SwarmRollEntry *entry = set_share (self, number, present ? &share : NULL, replica->running);
  entry->node = replica->live != NULL ? replica->live->node_id : replica->node;
  set_moving (self, entry, present && !self->by_node ? swarm_slot_moving (&replica->slot) : SWARM_MOVING_NO);
  entry->untended = !calm;
  if (calm || entry->listed)
    return;
  entry->listed = TRUE;
  g_array_append_val (self->untended, entry->number);
}

SwarmRollEntry *
swarm_roll_take_waiting (SwarmRoll *self, gboolean *ret_running)
{
  SwarmHeapItem item;
  if (!swarm_heap_take (&self->waiting, &item))
    return NULL;
  SwarmRollEntry *entry = swarm_roll_find (self, item.number);
  *ret_running = item.rank != 0;
  entry->queued &= ~(1 << *ret_running);
  return entry;
}

void
swarm_roll_touch_due (SwarmRoll *self, gint64 now)
{
  const SwarmHeapItem *first;
  SwarmHeapItem item;
  while ((first = swarm_heap_first (&self->dues)) != NULL && first->rank <= now) {
    swarm_heap_take (&self->dues, &item);
    const SwarmRollEntry *entry = swarm_roll_find (self, item.number);
    if (entry != NULL && entry->share.due == item.rank)
      swarm_roll_touch (self, item.number);
  }
}

/* ---- what is too many ---- */

static SwarmRollChoice *
choice_new (const SwarmRoll *roll)
{
  SwarmRollChoice *choice = g_new0 (SwarmRollChoice, 1);
  choice->seen = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, g_free, NULL);
  choice->ranks = g_ptr_array_new_with_free_func ((GDestroyNotify) g_array_unref);
  choice->homeless = g_array_new (FALSE, FALSE, sizeof (guint64));
  choice->n_present = roll->n_present;
  return choice;
}

static void
rank (SwarmRollChoice *choice, const SwarmRollEntry *entry)
{
  if (swarm_id_is_nil (&entry->node)) {
    g_array_append_val (choice->homeless, entry->number);
    return;
  }
  gpointer key = NULL, n = NULL;
  if (!g_hash_table_lookup_extended (choice->seen, &entry->node, &key, &n))
    key = g_memdup2 (&entry->node, sizeof entry->node);
  else
    g_hash_table_steal (choice->seen, key);
  g_hash_table_insert (choice->seen, key, GUINT_TO_POINTER (GPOINTER_TO_UINT (n) + 1));
  while (choice->ranks->len <= GPOINTER_TO_UINT (n))
    g_ptr_array_add (choice->ranks, g_array_new (FALSE, FALSE, sizeof (guint64)));
  g_array_append_val ((GArray *) choice->ranks->pdata[GPOINTER_TO_UINT (n)], entry->number);
}

/* Appends what is in @numbers beyond the first *@keep. */
static void
add_surplus (SwarmRoll *self, const GArray *numbers, guint64 *keep)
{
  guint kept = (guint) MIN (numbers->len, *keep);
  *keep -= kept;
  if (numbers->len > kept)
    g_array_append_vals (self->surplus, &g_array_index (numbers, guint64, kept), numbers->len - kept);
}

/* Those without a node go first, then from the nodes with most tasks of the service; among equals those not running, then the highest number. */
gboolean
swarm_roll_choose_surplus (SwarmRoll *self, guint64 want, guint n)
{
  if (self->choice != NULL && self->choice->n_present != self->n_present)
    g_clear_pointer (&self->choice, choice_free);
  if (self->choice == NULL)
    self->choice = choice_new (self);
  SwarmRollChoice *choice = self->choice;
  for (; n > 0; n--) {
    if (choice->at == self->order->len && choice->stopped)
      break;
    if (choice->at == self->order->len) {
      choice->at = 0;
      choice->stopped = TRUE;
    }
    const SwarmRollEntry *entry = self->order->pdata[choice->at++];
    if (entry->present && entry->running != choice->stopped)
      rank (choice, entry);
  }
  if (n == 0)
    return FALSE;
  g_array_set_size (self->surplus, 0);
  for (guint i = 0; i < choice->ranks->len; i++)
    add_surplus (self, choice->ranks->pdata[i], &want);
  add_surplus (self, choice->homeless, &want);
  g_clear_pointer (&self->choice, choice_free);
  return TRUE;
}
