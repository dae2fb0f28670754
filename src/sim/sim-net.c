// SPDX-License-Identifier: LGPL-2.1-or-later
#include "sim/sim-net.h"
#include "base/error.h"
#include <string.h>

#define CONNECTION_TIMEOUT (5 * G_USEC_PER_SEC)

struct _SimHost {
  SwarmTransport transport;
  SimNet *net;
  char *address;
  SwarmPeer identity;
  gboolean up;
  gboolean powered; /* its kernel answers */
  guint boots;
  SimAcceptFunc accept;
  gpointer accept_data;
  GHashTable *cut_to; /* set of SimHost: nothing reaches them from here */
  guint loss;         /* of 100 messages */
  gint64 late_us;
};

struct _SimNet {
  SimClock *clock;
  SimRandom *random;
  gint64 min_us, max_us;
  GPtrArray *hosts;
  GPtrArray *wires;
  guint64 delivered;
};

/* Something on its way. Without an event: the handshake. */
typedef struct {
  SwarmPairEvent *event;
  gint64 due;
  gboolean muted; /* sent by a host that had crashed */
} Item;

typedef struct _Wire Wire;

typedef struct {
  Wire *wire;
  GQueue items; /* Item, towards this end */
  SwarmTimer *timer;
  gint64 last_due;
} Lane;

/* One connection. End 0 dialled. */
struct _Wire {
  SimNet *net;
  SimHost *host[2]; /* host[1] NULL: nobody has that address */
  guint boot[2];
  SwarmLink *end[2]; /* weak, NULL when freed; end[1] is ours until it was accepted */
  gboolean accepted;
  gboolean dead;
  Lane lane[2];
  SwarmTimer *death; /* connection timeout */
  char *death_reason;
};

static SwarmClock *
clock_of (SimNet *net)
{
  return sim_clock_iface (net->clock);
}

static gint64
delay (SimNet *net)
{
  return sim_random_range (net->random, net->min_us, net->max_us);
}

static gboolean
end_alive (Wire *wire, guint i)
{
  return wire->host[i] != NULL && wire->host[i]->up && wire->host[i]->boots == wire->boot[i];
}

/* Can something reach end @i? */
static gboolean
lane_open (Wire *wire, guint i)
{
  SimHost *from = wire->host[1 - i], *to = wire->host[i];

  return from != NULL && to != NULL && !g_hash_table_contains (from->cut_to, to);
}

static void lane_arm (Wire *wire, guint i);

static void
item_free (Item *item)
{
  if (item->event != NULL)
    swarm_pair_event_drop (item->event);
  g_free (item);
}

static void
wire_free (Wire *wire)
{
  for (guint i = 0; i < 2; i++)
    swarm_clock_clear_timer (clock_of (wire->net), &wire->lane[i].timer);
  swarm_clock_clear_timer (clock_of (wire->net), &wire->death);
  g_ptr_array_remove (wire->net->wires, wire);
  g_free (wire->death_reason);
  g_free (wire);
}

/* Items hold references on the ends: dropping them may free these, and the last of them the wire. */
static void
drop_items (Wire *wire)
{
  GQueue items[2] = { wire->lane[0].items, wire->lane[1].items };

  for (guint i = 0; i < 2; i++) {
    g_queue_init (&wire->lane[i].items);
    swarm_clock_clear_timer (clock_of (wire->net), &wire->lane[i].timer);
  }
  for (guint i = 0; i < 2; i++)
    g_queue_clear_full (&items[i], (GDestroyNotify) item_free);
}

/* The connection ends for both. */
static void
wire_die (Wire *wire, const char *reason)
{
  g_autoptr (GError) error = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_UNAVAILABLE, reason);
  SwarmLink *end[2] = { wire->end[0], wire->accepted ? wire->end[1] : NULL };
  SwarmLink *unaccepted = wire->accepted ? NULL : wire->end[1];

  if (wire->dead)
    return;
  wire->dead = TRUE;
  swarm_clock_clear_timer (clock_of (wire->net), &wire->death);
  for (guint i = 0; i < 2; i++)
    if (end[i] != NULL) {
      swarm_link_ref (end[i]);
      swarm_link_pair_down (end[i], error);
    }
  drop_items (wire);
  for (guint i = 0; i < 2; i++)
    g_clear_pointer (&end[i], swarm_link_unref);
  g_clear_pointer (&unaccepted, swarm_link_unref);
}

static void
death_due (gpointer data)
{
  Wire *wire = data;
  g_autofree char *reason = g_steal_pointer (&wire->death_reason);

  wire->death = NULL;
  wire_die (wire, reason);
}

static void
die_later (Wire *wire, gint64 us, const char *reason)
{
  if (wire->dead)
    return;
  swarm_clock_clear_timer (clock_of (wire->net), &wire->death);
  g_free (wire->death_reason);
  wire->death_reason = g_strdup (reason);
  wire->death = swarm_clock_timer (clock_of (wire->net), us, SWARM_PRIORITY_NORMAL, death_due, wire);
}

/* ---- delivery ---- */

/* The first packet of a dial arrives. */
static void
accept_dial (Wire *wire)
{
  SimHost *host = wire->host[1];
  SwarmLink *end = wire->end[1];
  Item *answer;

  if (!end_alive (wire, 1) || host->accept == NULL) {
    if (host->powered)
      die_later (wire, delay (wire->net), "connection refused");
    return;
  }
  swarm_clock_clear_timer (clock_of (wire->net), &wire->death);
  wire->accepted = TRUE;
  swarm_link_pair_up (end);
  answer = g_new0 (Item, 1);
  answer->due = sim_clock_time (wire->net->clock) + delay (wire->net);
  wire->lane[0].last_due = answer->due;
  g_queue_push_tail (&wire->lane[0].items, answer);
  lane_arm (wire, 0);
  host->accept (end, host->accept_data);
}

/* Does the connection break with this message, as sent by the end opposite to @i? */
static gboolean
breaks (Wire *wire, guint i)
{
  SimHost *from = wire->host[1 - i];
  return from != NULL && from->loss > 0 && wire->end[0] != NULL && wire->end[0]->kind != SWARM_LINK_CONSENSUS
         && sim_random_chance (wire->net->random, from->loss);
}

/* Before or after it came: its sender cannot tell. */
static void
deliver_and_break (Wire *wire, SwarmPairEvent *event)
{
  if (sim_random_chance (wire->net->random, 50))
    swarm_pair_event_drop (event);
  else
    swarm_pair_event_run (event);
  wire_die (wire, "connection reset by peer");
}

/* Somebody holds end @i. */
static void
deliver (Wire *wire, guint i, Item *item)
{
  SwarmPairEvent *event = g_steal_pointer (&item->event);
  gboolean lost = item->muted || wire->dead || !end_alive (wire, i);

  g_free (item);
  wire->net->delivered++;
  if (event != NULL) {
    if (lost)
      swarm_pair_event_drop (event);
    else if (breaks (wire, i))
      deliver_and_break (wire, event);
    else
      swarm_pair_event_run (event);
  } else if (i == 1 && !wire->dead) {
    accept_dial (wire);
  } else if (wire->end[0] != NULL && !lost) {
    swarm_link_pair_up (wire->end[0]);
  }
}

static void
lane_due (gpointer data)
{
  Lane *lane = data;
  Wire *wire = lane->wire;
  guint i = lane == &wire->lane[1];
  SwarmLink *hold = wire->end[i] != NULL ? swarm_link_ref (wire->end[i]) : NULL;

  lane->timer = NULL;
  deliver (wire, i, g_queue_pop_head (&lane->items));
  if (hold == NULL)
    return; /* the wire may be gone */
  lane_arm (wire, i);
  swarm_link_unref (hold);
}

static void
lane_arm (Wire *wire, guint i)
{
  Lane *lane = &wire->lane[i];
  Item *item = g_queue_peek_head (&lane->items);

  /* What is queued after the death is only there to be dropped. */
  if (item == NULL || lane->timer != NULL || (!wire->dead && !lane_open (wire, i)))
    return;
  lane->timer = swarm_clock_timer (clock_of (wire->net), item->due - sim_clock_time (wire->net->clock), SWARM_PRIORITY_NORMAL,
                                   lane_due, lane);
}

static gint64
lateness (const SimHost *from)
{
  return from != NULL && from->late_us > 0 ? sim_random_range (from->net->random, 0, from->late_us) : 0;
}

static void
pair_post (SwarmPairEvent *event, SwarmLink *to, gpointer data)
{
  Wire *wire = data;
  guint i = to == wire->end[1];
  Lane *lane = &wire->lane[i];
  Item *item = g_new0 (Item, 1);

  item->event = event;
  item->muted = wire->dead || !end_alive (wire, 1 - i);
  item->due = MAX (lane->last_due, sim_clock_time (wire->net->clock) + delay (wire->net) + lateness (wire->host[1 - i]));
  lane->last_due = item->due;
  g_queue_push_tail (&lane->items, item);
  lane_arm (wire, i);
}

static void
pair_freed (SwarmLink *end, gpointer data)
{
  Wire *wire = data;

  for (guint i = 0; i < 2; i++)
    if (wire->end[i] == end)
      wire->end[i] = NULL;
  if (wire->end[0] == NULL && wire->end[1] != NULL && !wire->accepted && !wire->dead)
    die_later (wire, 0, "the caller left"); /* ours goes, too */
  if (wire->end[0] == NULL && wire->end[1] == NULL)
    wire_free (wire);
}

/* ---- dialling ---- */

static SimHost *
find_host (SimNet *net, const char *address)
{
  for (guint i = 0; i < net->hosts->len; i++) {
    SimHost *host = g_ptr_array_index (net->hosts, i);
    if (strcmp (host->address, address) == 0)
      return host;
  }
  return NULL;
}

static void
set_kind (SwarmLink *link, SwarmLinkKind kind)
{
  link->kind = kind;
}

static SwarmLink *
host_dial (SwarmTransport *transport, const char *address, SwarmLinkKind kind, const SwarmLinkEvents *events, gpointer data)
{
  static const SwarmPairHooks hooks = { pair_post, pair_freed };
  SimHost *from = (SimHost *) transport, *to = find_host (from->net, address);
  SimNet *net = from->net;
  Wire *wire = g_new0 (Wire, 1);
  SwarmPeer nobody = { 0 };
  Item *hello = g_new0 (Item, 1);

  wire->net = net;
  wire->host[0] = from;
  wire->host[1] = to;
  wire->boot[0] = from->boots;
  wire->boot[1] = to != NULL ? to->boots : 0;
  for (guint i = 0; i < 2; i++) {
    wire->lane[i].wire = wire;
    g_queue_init (&wire->lane[i].items);
  }
  g_ptr_array_add (net->wires, wire);
  swarm_link_pair_hooked (clock_of (net), &from->identity, to != NULL ? &to->identity : &nobody, &hooks, wire, &wire->end[0],
                          &wire->end[1]);
  set_kind (wire->end[0], kind);
  set_kind (wire->end[1], kind);
  swarm_link_set_events (wire->end[0], events, data);
  hello->due = sim_clock_time (net->clock) + delay (net);
  g_queue_push_tail (&wire->lane[1].items, hello);
  die_later (wire, CONNECTION_TIMEOUT, "connection timed out");
  lane_arm (wire, 1);
  return wire->end[0];
}

/* ---- hosts and faults ---- */

/* Calls @func for the connections of a host (or between two); it may end them. */
static void
each_wire (SimNet *net, SimHost *a, SimHost *b, void (*func) (Wire *wire, SimHost *a, gpointer data), gpointer data)
{
  g_autoptr (GPtrArray) wires = g_ptr_array_copy (net->wires, NULL, NULL);

  for (guint i = 0; i < wires->len; i++) {
    Wire *wire = g_ptr_array_index (wires, i);

    if (!g_ptr_array_find (net->wires, wire, NULL))
      continue;
    if ((wire->host[0] == a && (b == NULL || wire->host[1] == b)) || (wire->host[1] == a && (b == NULL || wire->host[0] == b)))
      func (wire, a, data);
  }
}

static void
wire_end (Wire *wire, SimHost *a, gpointer data)
{
  if (wire->dead)
    drop_items (wire);
  else
    wire_die (wire, "connection reset by peer");
}

SimNet *
sim_net_new (SimClock *clock, SimRandom *random, gint64 min_us, gint64 max_us)
{
  SimNet *self = g_new0 (SimNet, 1);

  self->clock = clock;
  self->random = random;
  self->min_us = min_us;
  self->max_us = max_us;
  self->hosts = g_ptr_array_new ();
  self->wires = g_ptr_array_new ();
  return self;
}

static void
host_free (SimHost *host)
{
  g_hash_table_unref (host->cut_to);
  g_free (host->address);
  g_free (host);
}

void
sim_net_free (SimNet *self)
{
  for (guint i = 0; i < self->hosts->len; i++)
    each_wire (self, g_ptr_array_index (self->hosts, i), NULL, wire_end, NULL);
  sim_clock_run (self->clock, 0);
  if (self->wires->len > 0)
    g_error ("sim-net: %u connections are still held by someone", self->wires->len);
  g_ptr_array_unref (self->wires);
  for (guint i = 0; i < self->hosts->len; i++)
    host_free (g_ptr_array_index (self->hosts, i));
  g_ptr_array_unref (self->hosts);
  g_free (self);
}

SimHost *
sim_net_host (SimNet *self, const char *address)
{
  SimHost *host = g_new0 (SimHost, 1);

  host->transport.dial = host_dial;
  host->net = self;
  host->address = g_strdup (address);
  g_strlcpy (host->identity.address, address, sizeof host->identity.address);
  host->cut_to = g_hash_table_new (NULL, NULL);
  g_ptr_array_add (self->hosts, host);
  return host;
}

void
sim_host_set_identity (SimHost *host, SwarmPeerRole role, const SwarmId *node, const SwarmId *cluster)
{
  host->identity.role = role;
  host->identity.node = *node;
  host->identity.cluster = *cluster;
}

/* The kernel of @host knows nothing of this connection any more. */
static void
wire_reset_old (Wire *wire, SimHost *host, gpointer data)
{
  guint i = wire->host[1] == host;

  if (wire->accepted && wire->boot[i] != host->boots)
    die_later (wire, delay (wire->net), "connection reset by peer");
}

void
sim_host_boot (SimHost *host, SimAcceptFunc accept, gpointer data)
{
  if (!host->up)
    host->boots++;
  host->up = TRUE;
  host->powered = TRUE;
  host->accept = accept;
  host->accept_data = data;
  each_wire (host->net, host, NULL, wire_reset_old, NULL);
}

static void
wire_crash (Wire *wire, SimHost *host, gpointer data)
{
  gboolean power_cut = *(gboolean *) data;

  if (power_cut)
    die_later (wire, CONNECTION_TIMEOUT, "connection timed out");
  else
    die_later (wire, delay (wire->net), "connection reset by peer");
}

void
sim_host_crash (SimHost *host, gboolean power_cut)
{
  host->up = FALSE;
  host->powered = host->powered && !power_cut;
  host->accept = NULL;
  each_wire (host->net, host, NULL, wire_crash, &power_cut);
}

void
sim_host_power_off (SimHost *host)
{
  host->powered = FALSE;
}

gboolean
sim_host_is_up (SimHost *host)
{
  return host->up;
}

SwarmTransport *
sim_host_transport (SimHost *host)
{
  return &host->transport;
}

static void
wire_check_cut (Wire *wire, SimHost *a, gpointer data)
{
  gboolean cut = !lane_open (wire, 0) || !lane_open (wire, 1);

  for (guint i = 0; i < 2; i++) {
    if (!lane_open (wire, i))
      swarm_clock_clear_timer (clock_of (wire->net), &wire->lane[i].timer);
    else
      lane_arm (wire, i);
  }
  if (wire->accepted && end_alive (wire, 0) && end_alive (wire, 1)) {
    if (cut && wire->death == NULL)
      die_later (wire, CONNECTION_TIMEOUT, "connection timed out");
    else if (!cut)
      swarm_clock_clear_timer (clock_of (wire->net), &wire->death);
  }
}

void
sim_net_cut (SimNet *self, SimHost *from, SimHost *to, gboolean both)
{
  g_hash_table_add (from->cut_to, to);
  if (both)
    g_hash_table_add (to->cut_to, from);
  each_wire (self, from, to, wire_check_cut, NULL);
}

void
sim_net_heal (SimNet *self, SimHost *from, SimHost *to)
{
  g_hash_table_remove (from->cut_to, to);
  g_hash_table_remove (to->cut_to, from);
  each_wire (self, from, to, wire_check_cut, NULL);
}

void
sim_net_heal_all (SimNet *self)
{
  for (guint i = 0; i < self->hosts->len; i++)
    g_hash_table_remove_all (((SimHost *) g_ptr_array_index (self->hosts, i))->cut_to);
  for (guint i = 0; i < self->hosts->len; i++)
    each_wire (self, g_ptr_array_index (self->hosts, i), NULL, wire_check_cut, NULL);
}

void
sim_net_reset (SimNet *self, SimHost *a, SimHost *b)
{
  each_wire (self, a, b, wire_end, NULL);
}

void
sim_host_set_noise (SimHost *host, guint loss, gint64 late_us)
{
  host->loss = loss;
  host->late_us = late_us;
}

guint
sim_host_loss (SimHost *host)
{
  return host->loss;
}

guint64
sim_net_delivered (SimNet *self)
{
  return self->delivered;
}
