// SPDX-License-Identifier: LGPL-2.1-or-later
/* Services' virtual addresses, in each task's own namespace, where replies come by again. What a box has is kept here per service, so that a
 * change costs what it changes. */
#include "netd/plane-private.h"
#include "netd/forward.h"
#include "netd/slot-text.h"
#include <stddef.h>
#include <string.h>

#define KEY_SIZE offsetof (SwarmNetdService, flags)

typedef struct {
  SwarmNetdService key; /* first: the hash table's key */
  SwarmNetdSlots *slots;
} Vip;

static guint
key_hash (gconstpointer key)
{
  const guint8 *bytes = key;
  guint h = 5381;
  for (guint i = 0; i < KEY_SIZE; i++)
    h = h * 33 + bytes[i];
  return h;
}

static gboolean
key_equal (gconstpointer a, gconstpointer b)
{
  return memcmp (a, b, KEY_SIZE) == 0;
}

static void
vip_free (gpointer data)
{
  Vip *vip = data;
  g_clear_pointer (&vip->slots, swarm_netd_slots_free);
  g_free (vip);
}

GHashTable *
swarm_netd_vip_table_new (void)
{
  return g_hash_table_new_full (key_hash, key_equal, NULL, vip_free);
}

void
swarm_netd_vip_mark (SwarmNetdPlane *self, const SwarmNetdRow *row)
{
  Vip *vip = g_new0 (Vip, 1);
  memcpy (&vip->key, row->data, KEY_SIZE); /* a BACKEND's key begins with its service's */
  g_hash_table_replace (self->dirty_vips, vip, vip);
}

static void
collect (const SwarmNetdRow *row, gpointer data)
{
  const SwarmNetdBackend *backend = (const void *) row->data;
  if (!(backend->flags & SWARM_NETD_BACKEND_DRAINING))
    g_array_append_val ((GArray *) data, ((SwarmNetdTarget){ backend->backend, 0 }));
}

/* The slots that the tables want; NULL: there is no such service. */
static SwarmNetdSlots *
wanted (SwarmNetdPlane *self, const SwarmNetdService *key, const SwarmNetdSlots *old)
{
  const SwarmNetdRow *row = swarm_netd_tables_find (self->tables, SWARM_NETD_TYPE_SERVICE, key);
  if (row == NULL)
    return NULL;
  g_autoptr (GArray) targets = g_array_new (FALSE, FALSE, sizeof (SwarmNetdTarget));
  swarm_netd_tables_each (self->tables, SWARM_NETD_TYPE_BACKEND, key, KEY_SIZE, collect, targets);
  gboolean affinity = (((const SwarmNetdService *) row->data)->flags & SWARM_NETD_SERVICE_AFFINITY) != 0;
  return swarm_netd_slots_new ((void *) targets->data, targets->len, affinity, swarm_netd_plane_host (self)->node, old);
}

static void
append_change (GString *out, const SwarmNetdService *key, const SwarmNetdSlots *before, const SwarmNetdSlots *after)
{
  int family = swarm_netd_address_is_v4 (&key->address) ? 4 : 6;
  SwarmNetdAddressText text = swarm_netd_address_text (&key->address);
  if ((before == NULL) != (after == NULL))
    g_string_append_printf (out, "%s element inet swarm all%d { %s }\n", after != NULL ? "add" : "delete", family, text.str);
  swarm_netd_slot_text_change (out, family, text.str, before, after);
}

static void
string_free (gpointer data)
{
  g_string_free (data, TRUE);
}

static GString *
text_of (GHashTable *texts, guint32 vni)
{
  GString *text = g_hash_table_lookup (texts, GUINT_TO_POINTER (vni));
  if (text == NULL)
    g_hash_table_insert (texts, GUINT_TO_POINTER (vni), text = g_string_new (NULL));
  return text;
}

/* Brings what the boxes have (in our memory) up to the tables; the commands for it, per VNI. */
static GHashTable *
take_changes (SwarmNetdPlane *self)
{
  GHashTable *texts = g_hash_table_new_full (NULL, NULL, NULL, string_free);
  GHashTableIter iter;
  Vip *dirty;
  g_hash_table_iter_init (&iter, self->dirty_vips);
  while (g_hash_table_iter_next (&iter, (gpointer *) &dirty, NULL)) {
    Vip *has = g_hash_table_lookup (self->vips, dirty);
    SwarmNetdSlots *slots = wanted (self, &dirty->key, has != NULL ? has->slots : NULL);
    append_change (text_of (texts, dirty->key.vni), &dirty->key, has != NULL ? has->slots : NULL, slots);
    if (slots == NULL) {
      g_hash_table_remove (self->vips, dirty);
      continue;
    }
    Vip *vip = g_new0 (Vip, 1);
    vip->key = dirty->key;
    vip->slots = slots;
    g_hash_table_replace (self->vips, vip, vip);
  }
  g_hash_table_remove_all (self->dirty_vips);
  return texts;
}

/* ---- to the boxes ---- */

static void
append_to_us (GString *out, const char *family, const char *address, const char *us, guint names)
{
  const char *const protocols[] = { "udp", "tcp" };
  for (guint i = 0; i < G_N_ELEMENTS (protocols); i++)
    g_string_append_printf (out, "  %s daddr %s meta mark != 0x%x %s dport 53 dnat %s to %s:%u;\n", family, address, SWARM_NETD_FORWARD_MARK, protocols[i],
                            family, us, names);
}

/* What a container that is attached asks its own servers comes to us first, and from us, marked, to them. */
static void
append_servers (GString *out, const SwarmNetdBox *box)
{
  for (guint i = 0; i < box->servers->len; i++) {
    const SwarmNetdAddress *address = &g_array_index (box->servers, SwarmNetdAddress, i);
    gboolean is_v4 = swarm_netd_address_is_v4 (address);
    guint16 port = is_v4 ? swarm_netd_responder_port (box->responder) : swarm_netd_responder_port6 (box->responder, box->netns);
    if (port != 0)
      append_to_us (out, is_v4 ? "ip" : "ip6", swarm_netd_address_text (address).str, is_v4 ? "127.0.0.11" : "[::1]", port);
  }
}

/* Order: ours come first in output, then the task's own rules. What is not translated and yet a service's address has no backend. */
static void
append_table (GString *out, const SwarmNetdBox *box)
{
  g_string_append (out, "add table inet swarm\ndelete table inet swarm\ntable inet swarm {\n");
  swarm_netd_slot_text_tables (out, "ip daddr", "ip6 daddr", "ipv4_addr", "ipv6_addr", FALSE);
  g_string_append_printf (out,
                          " set all4 { type ipv4_addr; }\n set all6 { type ipv6_addr; }\n"
                          " chain nat_out { type nat hook output priority -100;\n"
                          "  ip daddr 127.0.0.11 udp dport 53 dnat ip to 127.0.0.11:%1$u; ip daddr 127.0.0.11 tcp dport 53 dnat ip to 127.0.0.11:%1$u;\n",
                          swarm_netd_responder_port (box->responder));
  append_servers (out, box);
  g_string_append (out,
                   "  ip daddr @all4 goto vip4; ip6 daddr @all6 goto vip6; }\n"
                   " chain refuse { meta l4proto tcp reject with tcp reset; reject with icmpx port-unreachable; }\n"
                   " chain out { type filter hook output priority 0; ip daddr @all4 goto refuse; ip6 daddr @all6 goto refuse; }\n"
                   "}\n");
}

/* Everything anew, in one transaction: connections under way keep their backend. */
static gboolean
load (SwarmNetdPlane *self, SwarmNetdBox *box, GError **error)
{
  g_autoptr (GString) out = g_string_new (NULL);
  GHashTableIter iter;
  Vip *vip;
  swarm_netd_idle_put (box->nft, FALSE);
  append_table (out, box);
  g_hash_table_iter_init (&iter, self->vips);
  while (g_hash_table_iter_next (&iter, (gpointer *) &vip, NULL))
    if (swarm_netd_box_is_in (box, vip->key.vni))
      append_change (out, &vip->key, NULL, vip->slots);
  return swarm_netd_nft_run (box->nft, out->str, error);
}

static gboolean
change (SwarmNetdBox *box, GHashTable *texts)
{
  g_autoptr (GString) out = g_string_new (NULL);
  GHashTableIter iter;
  gpointer vni;
  GString *text;
  g_hash_table_iter_init (&iter, texts);
  while (g_hash_table_iter_next (&iter, &vni, (gpointer *) &text))
    if (swarm_netd_box_is_in (box, GPOINTER_TO_UINT (vni)))
      g_string_append_len (out, text->str, text->len);
  return out->len == 0 || swarm_netd_nft_run (box->nft, out->str, NULL);
}

void
swarm_netd_vip_flush (SwarmNetdPlane *self)
{
  g_autoptr (GHashTable) texts = take_changes (self);
  GHashTableIter iter;
  SwarmNetdBox *box;
  g_hash_table_iter_init (&iter, self->boxes);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &box)) {
    if (box->nft == NULL || box->responder == NULL)
      continue; /* the problem is noted already */
    swarm_netd_box_refresh (box);
    if (!box->stale && change (box, texts))
      continue;
    /* A task may change its own rules: then what is left is not what we know, and is made anew. */
    GError *error = NULL;
    box->stale = !load (self, box, &error);
    if (error != NULL)
      swarm_netd_plane_problem (self, swarm_netd_tables_find (self->tables, SWARM_NETD_TYPE_SANDBOX, box->id), error);
  }
}
