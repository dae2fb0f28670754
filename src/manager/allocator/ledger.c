// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/allocator/ledger.h"
#include "manager/allocator/bits.h"
#include <string.h>

/* A part of the address pool, cut into pieces of the same size. */
typedef struct {
  guint32 base; /* its first address */
  guint32 first; /* number of its first piece */
  guint32 n;
} Pool;

typedef struct {
  SwarmSubnet subnet;
  guint32 first, last; /* of those that may be given out */
  SwarmBits used;      /* counted from the subnet's first address */
} Range;

/* The subnets of one network, or of one node's tasks. */
typedef struct {
  SwarmId owner;
  GArray *ranges; /* Range */
  SwarmSubnet ipv6;
  gboolean has_ipv6;
} Space;

typedef enum { TOOK_NUMBER, TOOK_SUBNET, TOOK_ADDRESS } Took;

typedef struct {
  Took what;
  SwarmLedgerNumber kind;
  guint64 number; /* or IPv4 address */
  SwarmId owner;
  SwarmSubnet subnet;
} Taken;

struct _SwarmLedger {
  SwarmBits numbers[SWARM_LEDGER_N];
  GArray *pools; /* Pool */
  guint size;    /* bits of the mask of a piece */
  SwarmBits pieces;
  GHashTable *shared;  /* piece → how many subnets more than one are in it */
  GHashTable *subnets; /* set of SwarmSubnet that are given out, of IPv4 and IPv6 */
  GHashTable *spaces;  /* owner in the Space → Space */
  GArray *taken;       /* Taken */
};

static const guint32 bounds[SWARM_LEDGER_N] = {
  [SWARM_LEDGER_VNI] = SWARM_VNI_LAST + 1, [SWARM_LEDGER_NODE] = SWARM_NODE_NUMBER_LAST + 1,
  [SWARM_LEDGER_TCP] = 65536,              [SWARM_LEDGER_UDP] = 65536,
  [SWARM_LEDGER_SCTP] = 65536,
};

static guint
subnet_hash (gconstpointer key)
{
  const SwarmSubnet *self = key;
  guint hash = self->prefix;
  for (guint i = 0; i < self->address.length; i++)
    hash = hash * 31 + self->address.bytes[i];
  return hash;
}

static gboolean
subnet_equal (gconstpointer a, gconstpointer b)
{
  const SwarmSubnet *one = a, *other = b;
  return one->prefix == other->prefix && one->address.length == other->address.length
         && memcmp (one->address.bytes, other->address.bytes, one->address.length) == 0;
}

static void
range_clear (gpointer data)
{
  swarm_bits_clear (&((Range *) data)->used);
}

static void
space_free (gpointer data)
{
  Space *space = data;
  g_array_unref (space->ranges);
  g_free (space);
}

/* ---- life ---- */

static void
ledger_clear (SwarmLedger *self)
{
  for (guint i = 0; i < SWARM_LEDGER_N; i++)
    swarm_bits_clear (&self->numbers[i]);
  swarm_bits_clear (&self->pieces);
  g_clear_pointer (&self->pools, g_array_unref);
  g_clear_pointer (&self->shared, g_hash_table_unref);
  g_clear_pointer (&self->subnets, g_hash_table_unref);
  g_clear_pointer (&self->spaces, g_hash_table_unref);
  g_clear_pointer (&self->taken, g_array_unref);
}

static void
add_pool (SwarmLedger *self, const char *text, guint32 *n_pieces)
{
  SwarmSubnet subnet;
  if (!swarm_subnet_parse (text, &subnet) || subnet.address.length != 4 || subnet.prefix > self->size)
    return; /* control lets none of these through */
  Pool pool = { swarm_address_number (&subnet.address), *n_pieces, 1u << (self->size - subnet.prefix) };
  *n_pieces += pool.n;
  g_array_append_val (self->pools, pool);
}

void
swarm_ledger_reset (SwarmLedger *self, GPtrArray *pool, guint size)
{
  guint32 n_pieces = 0;
  ledger_clear (self);
  for (guint i = 0; i < SWARM_LEDGER_N; i++)
    swarm_bits_init (&self->numbers[i], bounds[i]);
  self->size = CLAMP (size, 8, 29);
  self->pools = g_array_new (FALSE, FALSE, sizeof (Pool));
  for (guint i = 0; pool != NULL && i < pool->len; i++)
    add_pool (self, g_ptr_array_index (pool, i), &n_pieces);
  if (n_pieces == 0)
    add_pool (self, SWARM_DEFAULT_ADDR_POOL, &n_pieces);
  swarm_bits_init (&self->pieces, n_pieces);
  self->shared = g_hash_table_new (NULL, NULL);
  self->subnets = g_hash_table_new_full (subnet_hash, subnet_equal, g_free, NULL);
  self->spaces = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, NULL, space_free);
  self->taken = g_array_new (FALSE, TRUE, sizeof (Taken));
}

SwarmLedger *
swarm_ledger_new (void)
{
  SwarmLedger *self = g_new0 (SwarmLedger, 1);
  swarm_ledger_reset (self, NULL, 24);
  return self;
}

void
swarm_ledger_free (SwarmLedger *self)
{
  if (self == NULL)
    return;
  ledger_clear (self);
  g_free (self);
}

/* ---- numbers ---- */

void
swarm_ledger_book_number (SwarmLedger *self, SwarmLedgerNumber kind, guint64 number, gboolean on)
{
  if (number != 0 && number < bounds[kind])
    swarm_bits_set (&self->numbers[kind], (guint32) number, on);
}

gboolean
swarm_ledger_has_number (SwarmLedger *self, SwarmLedgerNumber kind, guint64 number)
{
  return number < bounds[kind] && swarm_bits_has (&self->numbers[kind], (guint32) number);
}

gboolean
swarm_ledger_take_number (SwarmLedger *self, SwarmLedgerNumber kind, guint32 first, guint32 last, guint32 *ret)
{
  if (kind != SWARM_LEDGER_VNI)
    self->numbers[kind].next = 0; /* the first free one; VXLAN ids come back as late as possible */
  if (!swarm_bits_take (&self->numbers[kind], first, last, ret))
    return FALSE;
  Taken taken = { .what = TOOK_NUMBER, .kind = kind, .number = *ret };
  g_array_append_val (self->taken, taken);
  return TRUE;
}

/* ---- subnets ---- */

/* One more subnet in this piece of the pool, or one less. */
static void
count_piece (SwarmLedger *self, guint32 piece, gboolean on)
{
  gpointer key = GUINT_TO_POINTER (piece);
  guint more = GPOINTER_TO_UINT (g_hash_table_lookup (self->shared, key));
  if (swarm_bits_set (&self->pieces, piece, TRUE)) {
    if (!on)
      swarm_bits_set (&self->pieces, piece, FALSE);
  } else if (on) {
    g_hash_table_insert (self->shared, key, GUINT_TO_POINTER (more + 1));
  } else if (more > 1) {
    g_hash_table_insert (self->shared, key, GUINT_TO_POINTER (more - 1));
  } else if (!g_hash_table_remove (self->shared, key)) {
    swarm_bits_set (&self->pieces, piece, FALSE);
  }
}

static void
count_pieces (SwarmLedger *self, const SwarmSubnet *subnet, gboolean on)
{
  if (subnet->address.length != 4) /* the pools are IPv4 */
    return;
  guint64 first = swarm_address_number (&subnet->address), last = first + swarm_subnet_size (subnet) - 1;
  guint shift = 32 - self->size;
  for (guint i = 0; i < self->pools->len; i++) {
    const Pool *pool = &g_array_index (self->pools, Pool, i);
    guint64 begin = pool->base, end = begin + ((guint64) pool->n << shift) - 1;
    if (last < begin || first > end)
      continue;
    for (guint64 piece = (MAX (first, begin) - begin) >> shift; piece <= (MIN (last, end) - begin) >> shift; piece++)
      count_piece (self, pool->first + (guint32) piece, on);
  }
}

static void
book_subnet (SwarmLedger *self, const SwarmSubnet *subnet, gboolean on)
{
  if (g_hash_table_contains (self->subnets, subnet) == on)
    return;
  if (on)
    g_hash_table_add (self->subnets, g_memdup2 (subnet, sizeof *subnet));
  else
    g_hash_table_remove (self->subnets, subnet);
  count_pieces (self, subnet, on);
}

static void
took_subnet (SwarmLedger *self, const SwarmSubnet *subnet)
{
  Taken taken = { .what = TOOK_SUBNET, .subnet = *subnet };
  book_subnet (self, subnet, TRUE);
  g_array_append_val (self->taken, taken);
}

gboolean
swarm_ledger_take_subnet (SwarmLedger *self, SwarmSubnet *ret)
{
  guint32 piece;
  if (self->pieces.n == 0 || !swarm_bits_take (&self->pieces, 0, self->pieces.n - 1, &piece))
    return FALSE;
  swarm_bits_set (&self->pieces, piece, FALSE); /* counted with the subnet */
  const Pool *pool = NULL;
  for (guint i = 0; i < self->pools->len && (pool == NULL || piece >= pool->first + pool->n); i++)
    pool = &g_array_index (self->pools, Pool, i);
  *ret = (SwarmSubnet){ swarm_address_from_number (pool->base + ((piece - pool->first) << (32 - self->size))), self->size };
  took_subnet (self, ret);
  return TRUE;
}

gboolean
swarm_ledger_take_this_subnet (SwarmLedger *self, const SwarmSubnet *subnet)
{
  GHashTableIter iter;
  gpointer other;
  g_hash_table_iter_init (&iter, self->subnets);
  while (g_hash_table_iter_next (&iter, &other, NULL)) {
    if (swarm_subnets_overlap (subnet, other))
      return FALSE;
  }
  took_subnet (self, subnet);
  return TRUE;
}

/* ---- addresses ---- */

static void
reserve (Range *range, const char *text)
{
  SwarmAddress address;
  if (text != NULL && swarm_address_parse (text, &address) && swarm_subnet_contains (&range->subnet, &address))
    swarm_bits_set (&range->used, swarm_address_number (&address) - swarm_address_number (&range->subnet.address), TRUE);
}

static void
add_range (Space *space, const SwarmIPAMConfig *config, const SwarmSubnet *subnet)
{
  Range range = { .subnet = *subnet, .first = 1, .last = (guint32) (swarm_subnet_size (subnet) - 2) };
  SwarmSubnet part;
  swarm_bits_init (&range.used, (guint32) swarm_subnet_size (subnet));
  if (config->ip_range != NULL && swarm_subnet_parse (config->ip_range, &part) && part.address.length == 4) {
    guint32 offset = swarm_address_number (&part.address) - swarm_address_number (&subnet->address);
    range.first = MAX (range.first, offset);
    range.last = MIN (range.last, offset + (guint32) (swarm_subnet_size (&part) - 1));
  }
  reserve (&range, config->gateway);
  g_array_append_val (space->ranges, range);
}

void
swarm_ledger_open (SwarmLedger *self, const SwarmId *owner, const SwarmIPAM *ipam)
{
  if (g_hash_table_contains (self->spaces, owner))
    return;
  Space *space = g_new0 (Space, 1);
  space->owner = *owner;
  space->ranges = g_array_new (FALSE, FALSE, sizeof (Range));
  g_array_set_clear_func (space->ranges, range_clear);
  for (guint i = 0; ipam->config != NULL && i < ipam->config->len; i++) {
    const SwarmIPAMConfig *config = g_ptr_array_index (ipam->config, i);
    SwarmSubnet subnet;
    if (!swarm_subnet_parse (config->subnet, &subnet))
      continue;
    book_subnet (self, &subnet, TRUE);
    if (subnet.address.length == 4) {
      add_range (space, config, &subnet);
    } else if (!space->has_ipv6) {
      space->has_ipv6 = TRUE;
      space->ipv6 = subnet;
    }
  }
  g_hash_table_insert (self->spaces, &space->owner, space);
}

void
swarm_ledger_close (SwarmLedger *self, const SwarmId *owner)
{
  const Space *space = g_hash_table_lookup (self->spaces, owner);
  if (space == NULL)
    return;
  for (guint i = 0; i < space->ranges->len; i++)
    book_subnet (self, &g_array_index (space->ranges, Range, i).subnet, FALSE);
  if (space->has_ipv6)
    book_subnet (self, &space->ipv6, FALSE);
  g_hash_table_remove (self->spaces, owner);
}

static void
book (SwarmLedger *self, const SwarmId *owner, const SwarmAddress *address, gboolean on)
{
  const Space *space = g_hash_table_lookup (self->spaces, owner);
  for (guint i = 0; space != NULL && i < space->ranges->len; i++) {
    Range *range = &g_array_index (space->ranges, Range, i);
    if (swarm_subnet_contains (&range->subnet, address))
      swarm_bits_set (&range->used, swarm_address_number (address) - swarm_address_number (&range->subnet.address), on);
  }
}

void
swarm_ledger_book_address (SwarmLedger *self, const SwarmId *owner, const char *address, gboolean on)
{
  SwarmAddress parsed;
  if (swarm_subnet_parse_host (address, &parsed, NULL) && parsed.length == 4)
    book (self, owner, &parsed, on);
}

gboolean
swarm_ledger_take_address (SwarmLedger *self, const SwarmId *owner, char **ret, char **ret6)
{
  const Space *space = g_hash_table_lookup (self->spaces, owner);
  guint32 offset;
  for (guint i = 0; space != NULL && i < space->ranges->len; i++) {
    Range *range = &g_array_index (space->ranges, Range, i);
    if (!swarm_bits_take (&range->used, range->first, range->last, &offset))
      continue;
    guint32 number = swarm_address_number (&range->subnet.address) + offset;
    SwarmAddress address = swarm_address_from_number (number), address6 = swarm_subnet_embed (&space->ipv6, &address);
    Taken taken = { .what = TOOK_ADDRESS, .owner = *owner, .number = number };
    g_array_append_val (self->taken, taken);
    *ret = swarm_address_in_subnet (&address, &range->subnet);
    if (ret6 != NULL)
      *ret6 = space->has_ipv6 ? swarm_address_in_subnet (&address6, &space->ipv6) : NULL;
    return TRUE;
  }
  return FALSE;
}

gboolean
swarm_ledger_has_room (SwarmLedger *self, const SwarmId *owner)
{
  guint mark = swarm_ledger_mark (self);
  g_autofree char *address = NULL;
  gboolean has = swarm_ledger_take_address (self, owner, &address, NULL);
  swarm_ledger_back_to (self, mark);
  return has;
}

/* ---- transactions ---- */

static void
give_back (SwarmLedger *self, const Taken *taken)
{
  SwarmAddress address = swarm_address_from_number ((guint32) taken->number);
  if (taken->what == TOOK_NUMBER)
    swarm_ledger_book_number (self, taken->kind, taken->number, FALSE);
  else if (taken->what == TOOK_SUBNET)
    book_subnet (self, &taken->subnet, FALSE);
  else
    book (self, &taken->owner, &address, FALSE);
}

guint
swarm_ledger_mark (SwarmLedger *self)
{
  return self->taken->len;
}

void
swarm_ledger_back_to (SwarmLedger *self, guint mark)
{
  for (guint i = self->taken->len; i > mark; i--)
    give_back (self, &g_array_index (self->taken, Taken, i - 1));
  g_array_set_size (self->taken, mark);
}

void
swarm_ledger_settle (SwarmLedger *self, gboolean given_back)
{
  if (given_back)
    swarm_ledger_back_to (self, 0);
  g_array_set_size (self->taken, 0);
}

/* ---- is it the same? ---- */

static char *
bits_difference (const char *what, const SwarmBits *a, const SwarmBits *b)
{
  guint32 number;
  if (!swarm_bits_differ (a, b, &number))
    return NULL;
  return g_strdup_printf ("%s %u: %s", what, number, swarm_bits_has (a, number) ? "nobody has it" : "it is not booked");
}

static char *
space_difference (const Space *a, const Space *b)
{
  for (guint i = 0; i < a->ranges->len && i < b->ranges->len; i++) {
    const Range *range = &g_array_index (a->ranges, Range, i);
    g_autofree char *subnet = swarm_subnet_to_string (&range->subnet);
    char *difference = bits_difference (subnet, &range->used, &g_array_index (b->ranges, Range, i).used);
    if (difference != NULL)
      return difference;
  }
  return a->ranges->len != b->ranges->len ? g_strdup ("a network's subnets") : NULL;
}

char *
swarm_ledger_difference (SwarmLedger *self, SwarmLedger *other)
{
  static const char *const names[SWARM_LEDGER_N] = { "VNI", "node number", "port tcp", "port udp", "port sctp" };
  GHashTableIter iter;
  gpointer value;
  char *difference = bits_difference ("piece of the address pool", &self->pieces, &other->pieces);
  for (guint i = 0; difference == NULL && i < SWARM_LEDGER_N; i++)
    difference = bits_difference (names[i], &self->numbers[i], &other->numbers[i]);
  if (difference == NULL && g_hash_table_size (self->spaces) != g_hash_table_size (other->spaces))
    difference = g_strdup ("the number of networks");
  g_hash_table_iter_init (&iter, self->spaces);
  while (difference == NULL && g_hash_table_iter_next (&iter, NULL, &value)) {
    const Space *space = value, *same = g_hash_table_lookup (other->spaces, &space->owner);
    difference = same != NULL ? space_difference (space, same) : g_strdup ("a network that is gone");
  }
  return difference;
}
