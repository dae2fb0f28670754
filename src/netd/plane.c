// SPDX-License-Identifier: LGPL-2.1-or-later
#include "netd/plane-private.h"
#include "netd/netns.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PROBLEMS_MAX 1000 /* told at a time; one cause often harms very many rows */

static void
problem_free (gpointer data)
{
  SwarmNetdProblem *problem = data;
  g_free (problem->object);
  g_free (problem->text);
  g_free (problem);
}

static void
add_name (const SwarmNetdRow *row, gpointer data)
{
  swarm_netd_names_add (data, (const void *) row->data);
}

SwarmNetdPlane *
swarm_netd_plane_new (SwarmNetdTables *tables, GError **error)
{
  g_autoptr (SwarmNetdPlane) self = g_new0 (SwarmNetdPlane, 1);
  self->tables = tables;
  self->boxes = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, swarm_netd_box_free);
  self->names = swarm_netd_names_new ();
  self->crypt = swarm_netd_crypt_new (self);
  self->evict = swarm_netd_evict_new (self);
  self->store_room = swarm_netd_sandbox_store_room ();
  self->vips = swarm_netd_vip_table_new ();
  self->dirty_vips = swarm_netd_vip_table_new ();
  self->ports = swarm_netd_mesh_table_new ();
  self->dirty_ports = swarm_netd_mesh_table_new ();
  self->problems = g_ptr_array_new_with_free_func (problem_free);
  self->ready = g_array_new (FALSE, FALSE, sizeof (SwarmNetdReady));
  if ((self->netlink = swarm_netd_netlink_new (error)) == NULL || (self->nft = swarm_netd_nft_new (-1, error)) == NULL)
    return NULL;
  swarm_netd_tables_each (tables, SWARM_NETD_TYPE_NAME, NULL, 0, add_name, self->names);
  return g_steal_pointer (&self);
}

void
swarm_netd_plane_free (SwarmNetdPlane *self)
{
  g_clear_handle_id (&self->changed_source, g_source_remove);
  swarm_netd_crypt_free (self->crypt);
  g_hash_table_unref (self->boxes);
  swarm_netd_names_free (self->names);
  swarm_netd_evict_free (self->evict);
  g_hash_table_unref (self->vips);
  g_hash_table_unref (self->dirty_vips);
  g_hash_table_unref (self->ports);
  g_hash_table_unref (self->dirty_ports);
  g_ptr_array_unref (self->problems);
  g_array_unref (self->ready);
  swarm_netd_sandbox_forget_holders (self);
  swarm_netd_overlap_forget (self);
  g_clear_pointer (&self->closed[0], g_hash_table_unref);
  g_clear_pointer (&self->closed[1], g_hash_table_unref);
  g_clear_pointer (&self->nft, swarm_netd_nft_free);
  g_clear_pointer (&self->netlink, swarm_netd_netlink_free);
  g_free (self);
}

SwarmNetdBox *
swarm_netd_plane_add_box (SwarmNetdPlane *self, const char *sandbox, int netns)
{
  SwarmNetdBox *box = g_new0 (SwarmNetdBox, 1);
  g_strlcpy (box->id, sandbox, sizeof box->id);
  box->plane = self;
  box->kept[0] = box->kept[1] = -1;
  box->netns = netns;
  box->vnis = g_array_new (FALSE, FALSE, sizeof (guint32));
  box->servers = g_array_new (FALSE, FALSE, sizeof (SwarmNetdAddress));
  g_hash_table_replace (self->boxes, box->id, box);
  return box;
}

void
swarm_netd_plane_adopt (SwarmNetdPlane *self, const char *sandbox, int netns)
{
  swarm_netd_plane_add_box (self, sandbox, netns)->stored[0] = 1;
  self->stored++;
}

void
swarm_netd_plane_adopt_names (SwarmNetdPlane *self, const char *sandbox, const int sockets[2])
{
  SwarmNetdBox *box = g_hash_table_lookup (self->boxes, sandbox);
  for (guint i = 0; i < 2; i++) {
    if (box != NULL && sockets[i] >= 0)
      box->stored[1]++, self->stored++;
    if (box != NULL)
      box->kept[i] = sockets[i];
    else if (sockets[i] >= 0)
      close (sockets[i]);
  }
}

void
swarm_netd_plane_adopt_crypt (SwarmNetdPlane *self, const char *name, int fd)
{
  swarm_netd_crypt_adopt (self->crypt, name, fd);
}

GArray *
swarm_netd_plane_keys (SwarmNetdPlane *self)
{
  return swarm_netd_crypt_keys (self->crypt);
}

void
swarm_netd_plane_on_change (SwarmNetdPlane *self, void (*func) (guint what, gpointer data), gpointer data)
{
  self->changed = func;
  self->changed_data = data;
}

static gboolean
on_changed (gpointer data)
{
  SwarmNetdPlane *self = data;
  self->changed_source = 0;
  if (self->changed != NULL)
    self->changed (SWARM_NETD_RESYNC_LINKS, self->changed_data);
  return G_SOURCE_REMOVE;
}

void
swarm_netd_plane_tell (SwarmNetdPlane *self)
{
  if (self->changed_source == 0)
    self->changed_source = g_idle_add (on_changed, self);
}

guint
swarm_netd_plane_unkept (SwarmNetdPlane *self)
{
  return self->unkept;
}

GPtrArray *
swarm_netd_plane_problems (SwarmNetdPlane *self)
{
  return self->problems;
}

GArray *
swarm_netd_plane_ready (SwarmNetdPlane *self)
{
  return self->ready;
}

/* ---- looking things up ---- */

static const void *
data_of (const SwarmNetdRow *row)
{
  return row != NULL ? row->data : NULL;
}

const SwarmNetdHost *
swarm_netd_plane_host (SwarmNetdPlane *self)
{
  return data_of (swarm_netd_tables_find (self->tables, SWARM_NETD_TYPE_HOST, ""));
}

const SwarmNetdNode *
swarm_netd_plane_node (SwarmNetdPlane *self, guint32 number)
{
  return data_of (swarm_netd_tables_find (self->tables, SWARM_NETD_TYPE_NODE, &number));
}

const SwarmNetdNode *
swarm_netd_plane_own (SwarmNetdPlane *self)
{
  return swarm_netd_plane_node (self, swarm_netd_plane_host (self)->node);
}

static void
find_ingress (const SwarmNetdRow *row, gpointer data)
{
  const SwarmNetdNetwork *network = (const void *) row->data;
  if (network->flags & SWARM_NETD_NETWORK_INGRESS)
    *(const SwarmNetdNetwork **) data = network;
}

const SwarmNetdNetwork *
swarm_netd_plane_ingress (SwarmNetdPlane *self)
{
  const SwarmNetdNetwork *ingress = NULL;
  swarm_netd_tables_each (self->tables, SWARM_NETD_TYPE_NETWORK, NULL, 0, find_ingress, &ingress);
  return ingress;
}

SwarmNetdLinkName
swarm_netd_bridge_name (guint32 vni)
{
  SwarmNetdLinkName name;
  snprintf (name.str, sizeof name.str, "swb%u", vni);
  return name;
}

SwarmNetdLinkName
swarm_netd_vxlan_name (guint32 vni)
{
  SwarmNetdLinkName name;
  snprintf (name.str, sizeof name.str, "swx%u", vni);
  return name;
}

void
swarm_netd_plane_problem (SwarmNetdPlane *self, const SwarmNetdRow *row, GError *error)
{
  if (error == NULL)
    return;
  SwarmNetdBox *box =
    row != NULL && (row->type == SWARM_NETD_TYPE_SANDBOX || row->type == SWARM_NETD_TYPE_INTERFACE) ? g_hash_table_lookup (self->boxes, row->data) : NULL;
  if (box != NULL) /* both rows begin with its id */
    box->failed = TRUE;
  if (self->problems->len >= PROBLEMS_MAX) {
    g_error_free (error);
    return;
  }
  SwarmNetdProblem *problem = g_new0 (SwarmNetdProblem, 1);
  problem->type = row != NULL ? row->type : SWARM_NETD_TYPE_HOST;
  problem->object = row != NULL ? swarm_netd_row_describe (row) : g_strdup ("host");
  problem->text = g_strdup (error->message);
  g_ptr_array_add (self->problems, problem);
  g_error_free (error);
}

/* ---- one row ---- */

static void
put (SwarmNetdPlane *self, const SwarmNetdRow *row)
{
  GError *error = NULL;
  const void *data = row->data;
  switch ((SwarmNetdType) row->type) {
  case SWARM_NETD_TYPE_HOST:
    swarm_netd_host_put (self, &error);
    break;
  case SWARM_NETD_TYPE_NODE:
    swarm_netd_node_put (self, data, &error);
    break;
  case SWARM_NETD_TYPE_NETWORK:
    swarm_netd_network_put (self, data, &error);
    break;
  case SWARM_NETD_TYPE_ENDPOINT:
    swarm_netd_endpoint_put (self, data, &error);
    break;
  case SWARM_NETD_TYPE_SANDBOX:
    swarm_netd_sandbox_put (self, data, &error);
    break;
  case SWARM_NETD_TYPE_INTERFACE:
    swarm_netd_interface_put (self, data, &error);
    break;
  default:
    break; /* by marks: vip.c, mesh.c */
  }
  swarm_netd_plane_problem (self, row, error);
}

static void
delete (SwarmNetdPlane *self, const SwarmNetdRow *row)
{
  GError *error = NULL;
  const void *data = row->data;
  switch ((SwarmNetdType) row->type) {
  case SWARM_NETD_TYPE_NODE:
    swarm_netd_node_delete (self, data, &error);
    break;
  case SWARM_NETD_TYPE_NETWORK:
    swarm_netd_network_delete (self, data, &error);
    break;
  case SWARM_NETD_TYPE_ENDPOINT:
    swarm_netd_endpoint_delete (self, data, &error);
    break;
  case SWARM_NETD_TYPE_SANDBOX:
    swarm_netd_sandbox_delete (self, data, &error);
    break;
  case SWARM_NETD_TYPE_INTERFACE:
    swarm_netd_interface_delete (self, data, &error);
    break;
  default:
    break;
  }
  swarm_netd_plane_problem (self, row, error);
}

static void
mark (SwarmNetdPlane *self, const SwarmNetdRow *row)
{
  if (row->type == SWARM_NETD_TYPE_SERVICE || row->type == SWARM_NETD_TYPE_BACKEND)
    swarm_netd_vip_mark (self, row);
  else if (row->type == SWARM_NETD_TYPE_PORT || row->type == SWARM_NETD_TYPE_PORT_BACKEND)
    swarm_netd_mesh_mark (self, row);
  else if (row->type == SWARM_NETD_TYPE_NODE || row->type == SWARM_NETD_TYPE_HOST || row->type == SWARM_NETD_TYPE_NETWORK)
    self->mesh_stale = TRUE;
  SwarmNetdBox *box = row->type == SWARM_NETD_TYPE_INTERFACE ? g_hash_table_lookup (self->boxes, row->data) : NULL;
  if (box != NULL)
    box->stale = TRUE; /* other networks, other services */
}

static void
apply_names (SwarmNetdPlane *self, GPtrArray *changes)
{
  for (guint i = 0; i < changes->len; i++) {
    SwarmNetdChange *change = g_ptr_array_index (changes, i);
    if (change->before != NULL && change->before->type == SWARM_NETD_TYPE_NAME)
      swarm_netd_names_remove (self->names, (const void *) change->before->data);
    if (change->after != NULL && change->after->type == SWARM_NETD_TYPE_NAME)
      add_name (change->after, self->names);
  }
}

/* ---- many ---- */

/* Networks before what is in them; the host after the ingress network that it is in. */
static const guint16 put_order[] = { SWARM_NETD_TYPE_NETWORK,  SWARM_NETD_TYPE_HOST,    SWARM_NETD_TYPE_NODE,
                                     SWARM_NETD_TYPE_ENDPOINT, SWARM_NETD_TYPE_SANDBOX, SWARM_NETD_TYPE_INTERFACE };

static void
begin (SwarmNetdPlane *self)
{
  GHashTableIter iter;
  SwarmNetdBox *box;
  g_ptr_array_set_size (self->problems, 0);
  g_array_set_size (self->ready, 0);
  swarm_netd_sandbox_forget_holders (self);
  swarm_netd_overlap_forget (self);
  g_hash_table_iter_init (&iter, self->boxes);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &box))
    box->touched = box->failed = FALSE;
}

static void
note_ready (SwarmNetdPlane *self)
{
  GHashTableIter iter;
  SwarmNetdBox *box;
  g_hash_table_iter_init (&iter, self->boxes);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &box)) {
    if (!box->touched || box->failed)
      continue;
    SwarmNetdReady ready = { .pid = getpid (), .fd = box->netns };
    memcpy (ready.sandbox.text, box->id, sizeof ready.sandbox.text);
    g_array_append_val (self->ready, ready);
  }
}

void
swarm_netd_plane_note_all (SwarmNetdPlane *self)
{
  GHashTableIter iter;
  SwarmNetdBox *box;
  g_hash_table_iter_init (&iter, self->boxes);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &box))
    box->touched = box->netlink != NULL && box->nft != NULL && box->responder != NULL;
  g_array_set_size (self->ready, 0);
  note_ready (self);
}

static void
put_row (const SwarmNetdRow *row, gpointer data)
{
  put (data, row);
}

static void
mark_row (const SwarmNetdRow *row, gpointer data)
{
  mark (data, row);
}

static void
put_changes (SwarmNetdPlane *self, GPtrArray *changes)
{
  for (guint order = 0; order < G_N_ELEMENTS (put_order); order++)
    for (guint i = 0; i < changes->len; i++) {
      SwarmNetdChange *change = g_ptr_array_index (changes, i);
      if (change->after != NULL && change->after->type == put_order[order])
        put (self, change->after);
    }
}

static void
delete_changes (SwarmNetdPlane *self, GPtrArray *changes, guint first, guint last)
{
  for (guint order = last + 1; order-- > first;)
    for (guint i = 0; i < changes->len; i++) {
      SwarmNetdChange *change = g_ptr_array_index (changes, i);
      if (change->before != NULL && change->after == NULL && change->before->type == put_order[order])
        delete (self, change->before);
    }
}

static gboolean
is_ingress (const SwarmNetdRow *row)
{
  return row != NULL && row->type == SWARM_NETD_TYPE_NETWORK && (((const SwarmNetdNetwork *) row->data)->flags & SWARM_NETD_NETWORK_INGRESS) != 0;
}

/* A row that changed in a way that its put cannot follow goes first; what moves the host moves everything. TRUE: everything is to be compared. */
static gboolean
replace_changes (SwarmNetdPlane *self, GPtrArray *changes)
{
  gboolean everything = FALSE;
  for (guint i = 0; i < changes->len; i++) {
    SwarmNetdChange *change = g_ptr_array_index (changes, i);
    guint16 type = change->after != NULL ? change->after->type : change->before->type;
    gboolean changed = change->before != NULL && change->after != NULL;
    everything |= type == SWARM_NETD_TYPE_HOST || is_ingress (change->before) || is_ingress (change->after) ||
                  (changed && (type == SWARM_NETD_TYPE_NODE || type == SWARM_NETD_TYPE_NETWORK || type == SWARM_NETD_TYPE_SANDBOX));
    if (changed && type != SWARM_NETD_TYPE_NETWORK)
      delete (self, change->before);
    swarm_netd_evict_mark (self->evict, change);
    if (change->before != NULL)
      mark (self, change->before);
    if (change->after != NULL)
      mark (self, change->after);
  }
  return everything;
}

/* New ways before new slots, new slots before old ways go: no connection is led to where nothing is. Endpoints go first nevertheless, for an address
 * may come back with another MAC in the same batch. */
void
swarm_netd_plane_apply (SwarmNetdPlane *self, GPtrArray *changes)
{
  begin (self);
  apply_names (self, changes);
  gboolean everything = replace_changes (self, changes);
  if (swarm_netd_plane_host (self) != NULL) {
    delete_changes (self, changes, 3, 3);
    put_changes (self, changes);
  }
  swarm_netd_vip_flush (self);
  swarm_netd_mesh_flush (self);
  swarm_netd_evict_flush (self->evict);
  delete_changes (self, changes, 0, G_N_ELEMENTS (put_order) - 1);
  swarm_netd_sandbox_keep (self);
  swarm_netd_crypt_flush (self->crypt);
  if (everything)
    swarm_netd_plane_resync (self, SWARM_NETD_RESYNC_ALL);
  else
    note_ready (self);
}

/* ---- everything ---- */

typedef struct {
  SwarmNetdPlane *plane;
  GHashTable *names; /* of the links that are wanted */
  GPtrArray *others;
} Sweep;

static void
want_network (const SwarmNetdRow *row, gpointer data)
{
  guint32 vni = ((const SwarmNetdNetwork *) row->data)->vni;
  g_hash_table_add (((Sweep *) data)->names, g_strdup (swarm_netd_bridge_name (vni).str));
  g_hash_table_add (((Sweep *) data)->names, g_strdup (swarm_netd_vxlan_name (vni).str));
}

static void
want_interface (const SwarmNetdRow *row, gpointer data)
{
  g_hash_table_add (((Sweep *) data)->names, g_strdup (swarm_netd_veth_name ((const void *) row->data).str));
}

/* A bridge "swbond0" or a VLAN "swv10" is somebody else's. */
gboolean
swarm_netd_plane_is_ours (const SwarmNetdLink *link)
{
  const char *rest = link->name + MIN (strlen (link->name), 3);
  gboolean number = *rest != '\0' && rest[strspn (rest, "0123456789")] == '\0';
  if (g_str_has_prefix (link->name, "swv"))
    return strcmp (link->kind, "veth") == 0 && strlen (rest) >= 3 && g_ascii_isxdigit (rest[strlen (rest) - 1]) && g_ascii_isxdigit (rest[strlen (rest) - 2]);
  if (g_str_has_prefix (link->name, "swx"))
    return strcmp (link->kind, "vxlan") == 0 && number;
  return strcmp (link->kind, "bridge") == 0 && (strcmp (link->name, SWARM_NETD_GATEWAY) == 0 || (g_str_has_prefix (link->name, "swb") && number));
}

static void
note_other (const SwarmNetdLink *link, gpointer data)
{
  Sweep *sweep = data;
  if (swarm_netd_plane_is_ours (link) && !g_hash_table_contains (sweep->names, link->name))
    g_ptr_array_add (sweep->others, g_strdup (link->name));
}

/* Links of ours that nobody wants. */
static void
sweep_links (SwarmNetdPlane *self)
{
  g_autoptr (GHashTable) names = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_autoptr (GPtrArray) others = g_ptr_array_new_with_free_func (g_free);
  Sweep sweep = { self, names, others };
  GError *error = NULL;
  if (swarm_netd_plane_host (self) != NULL)
    g_hash_table_add (names, g_strdup (SWARM_NETD_GATEWAY));
  swarm_netd_tables_each (self->tables, SWARM_NETD_TYPE_NETWORK, NULL, 0, want_network, &sweep);
  swarm_netd_tables_each (self->tables, SWARM_NETD_TYPE_INTERFACE, NULL, 0, want_interface, &sweep);
  if (swarm_netd_link_each (self->netlink, note_other, &sweep, &error))
    for (guint i = 0; i < others->len && error == NULL; i++)
      swarm_netd_link_delete (self->netlink, g_ptr_array_index (others, i), &error);
  swarm_netd_plane_problem (self, NULL, error);
}

typedef struct {
  const char *name;
  const SwarmNetdInterface *interface;
} Find;

static void
find_interface (const SwarmNetdRow *row, gpointer data)
{
  Find *find = data;
  if (find->interface == NULL && strcmp (swarm_netd_veth_name ((const void *) row->data).str, find->name) == 0)
    find->interface = (const void *) row->data;
}

const SwarmNetdInterface *
swarm_netd_plane_interface (SwarmNetdPlane *self, const char *name)
{
  Find find = { name, NULL };
  swarm_netd_tables_each (self->tables, SWARM_NETD_TYPE_INTERFACE, NULL, 0, find_interface, &find);
  return find.interface;
}

gboolean
swarm_netd_plane_wants_link (SwarmNetdPlane *self, const char *name)
{
  guint32 vni = strlen (name) > 3 ? g_ascii_strtoull (name + 3, NULL, 10) : 0;
  if (strcmp (name, SWARM_NETD_GATEWAY) == 0)
    return swarm_netd_plane_host (self) != NULL;
  if (g_str_has_prefix (name, "swv"))
    return swarm_netd_plane_interface (self, name) != NULL;
  return (name[2] == 'b' || name[2] == 'x') && swarm_netd_tables_find (self->tables, SWARM_NETD_TYPE_NETWORK, &vni) != NULL;
}

static void
resync_links (SwarmNetdPlane *self)
{
  for (guint i = 0; i < G_N_ELEMENTS (put_order); i++)
    swarm_netd_tables_each (self->tables, put_order[i], NULL, 0, put_row, self);
  if (swarm_netd_plane_host (self) == NULL)
    swarm_netd_host_delete (self);
}

static void
all_boxes_stale (SwarmNetdPlane *self)
{
  GHashTableIter iter;
  SwarmNetdBox *box;
  g_hash_table_iter_init (&iter, self->boxes);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &box))
    box->stale = TRUE;
}

void
swarm_netd_plane_resync (SwarmNetdPlane *self, guint what)
{
  begin (self);
  if (what & SWARM_NETD_RESYNC_LINKS)
    resync_links (self);
  if (what & SWARM_NETD_RESYNC_BOXES) {
    swarm_netd_tables_each (self->tables, SWARM_NETD_TYPE_SERVICE, NULL, 0, mark_row, self);
    all_boxes_stale (self);
  }
  if (what & SWARM_NETD_RESYNC_MESH) {
    swarm_netd_tables_each (self->tables, SWARM_NETD_TYPE_PORT, NULL, 0, mark_row, self);
    self->mesh_stale = TRUE;
  }
  swarm_netd_vip_flush (self);
  swarm_netd_mesh_flush (self);
  if (what & SWARM_NETD_RESYNC_LINKS) {
    sweep_links (self);
    swarm_netd_sandbox_sweep (self);
    swarm_netd_network_sweep (self);
    swarm_netd_crypt_flush (self->crypt);
  }
  swarm_netd_sandbox_keep (self);
  note_ready (self);
}

gboolean
swarm_netd_plane_look (SwarmNetdPlane *self)
{
  return swarm_netd_mesh_look (self);
}

void
swarm_netd_plane_mend (SwarmNetdPlane *self, const char *sandbox)
{
  SwarmNetdId id = { { 0 } };
  g_strlcpy (id.text, sandbox, sizeof id.text);
  begin (self);
  swarm_netd_tables_each (self->tables, SWARM_NETD_TYPE_SANDBOX, &id, sizeof id, put_row, self);
  swarm_netd_tables_each (self->tables, SWARM_NETD_TYPE_INTERFACE, &id, sizeof id, put_row, self);
  swarm_netd_vip_flush (self);
  note_ready (self);
}
