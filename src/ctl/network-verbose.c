// SPDX-License-Identifier: LGPL-2.1-or-later
/* Who is in a network: what `network inspect --verbose` adds, with docker's names for it. */
#include "ctl/network-verbose.h"
#include "ctl/client.h"
#include <string.h>

/* ---- one task ---- */

/* Its part of the network; NULL: it has none. */
static JsonObject *
part_of (JsonObject *task, const char *network)
{
  g_autoptr (GPtrArray) parts = ctl_json_objects (ctl_json_array (task, "NetworksAttachments"));

  for (guint i = 0; i < parts->len; i++)
    if (g_str_equal (ctl_json_string (parts->pdata[i], "NetworkID"), network))
      return parts->pdata[i];
  return NULL;
}

/* Its address of that family, with the mask; "" for none. */
static const char *
address_in (JsonObject *part, gboolean v6)
{
  JsonArray *addresses = ctl_json_array (part, "Addresses");

  for (guint i = 0; addresses != NULL && i < json_array_get_length (addresses); i++) {
    const char *address = json_array_get_string_element (addresses, i);
    if ((strchr (address, ':') != NULL) == v6)
      return address;
  }
  return "";
}

static char *
without_mask (const char *address)
{
  return g_strndup (address, strcspn (address, "/"));
}

static gboolean
is_running (JsonObject *task)
{
  return g_str_equal (ctl_json_string (task, "Status.State"), "running") && g_str_equal (ctl_json_string (task, "DesiredState"), "running");
}

static JsonObject *
node_of (GPtrArray *nodes, JsonObject *task)
{
  for (guint i = 0; i < nodes->len; i++)
    if (g_str_equal (ctl_json_string (nodes->pdata[i], "ID"), ctl_json_string (task, "NodeID")))
      return nodes->pdata[i];
  return NULL;
}

/* ---- services ---- */

static JsonObject *
describe_task (JsonObject *task, JsonObject *part, JsonObject *node)
{
  JsonObject *out = json_object_new (), *info = json_object_new ();
  g_autofree char *address = without_mask (*address_in (part, FALSE) != 0 ? address_in (part, FALSE) : address_in (part, TRUE));

  json_object_set_string_member (out, "Name", ctl_json_string (task, "Name"));
  json_object_set_string_member (out, "EndpointID", ctl_json_string (task, "ID"));
  json_object_set_string_member (out, "EndpointIP", address);
  json_object_set_string_member (info, "Host IP", node != NULL ? ctl_json_string (node, "Status.Addr") : "");
  json_object_set_object_member (out, "Info", info);
  return out;
}

static char *
virtual_address (JsonObject *service, const char *network)
{
  g_autoptr (GPtrArray) addresses = ctl_json_objects (ctl_json_array (service, "Endpoint.VirtualIPs"));

  for (guint i = 0; i < addresses->len; i++)
    if (g_str_equal (ctl_json_string (addresses->pdata[i], "NetworkID"), network))
      return without_mask (ctl_json_string (addresses->pdata[i], "Addr"));
  return g_strdup ("");
}

static gboolean
is_in (JsonObject *service, const char *network)
{
  g_autofree char *address = virtual_address (service, network);
  g_autoptr (GPtrArray) asked = ctl_json_objects (ctl_json_array (service, "Spec.TaskTemplate.Networks"));
  gboolean found = *address != 0;

  for (guint i = 0; i < asked->len && !found; i++)
    found = g_str_equal (ctl_json_string (asked->pdata[i], "Target"), network);
  return found;
}

/* "Target: 80, Publish: 8080", as docker says it. */
static JsonArray *
ports_of (JsonObject *service)
{
  g_autoptr (GPtrArray) ports = ctl_json_objects (ctl_json_array (service, "Endpoint.Ports"));
  JsonArray *out = json_array_new ();

  for (guint i = 0; i < ports->len; i++) {
    g_autofree char *text = g_strdup_printf ("Target: %" G_GINT64_FORMAT ", Publish: %" G_GINT64_FORMAT, ctl_json_int (ports->pdata[i], "TargetPort"),
                                             ctl_json_int (ports->pdata[i], "PublishedPort"));
    json_array_add_string_element (out, text);
  }
  return out;
}

static JsonObject *
describe_service (JsonObject *service, const char *network, GPtrArray *tasks, GPtrArray *nodes)
{
  JsonObject *out = json_object_new ();
  JsonArray *list = json_array_new ();
  g_autofree char *address = virtual_address (service, network);

  for (guint i = 0; i < tasks->len; i++) {
    JsonObject *task = tasks->pdata[i], *part = is_running (task) ? part_of (task, network) : NULL;
    if (part != NULL && g_str_equal (ctl_json_string (task, "ServiceID"), ctl_json_string (service, "ID")))
      json_array_add_object_element (list, describe_task (task, part, node_of (nodes, task)));
  }
  json_object_set_string_member (out, "VIP", address);
  json_object_set_array_member (out, "Ports", ports_of (service));
  json_object_set_array_member (out, "Tasks", list);
  return out;
}

/* ---- containers that are no tasks, and nodes ---- */

static JsonObject *
describe_container (JsonObject *task, JsonObject *part, JsonObject *node)
{
  JsonObject *out = json_object_new ();

  json_object_set_string_member (out, "Name", ctl_json_string (task, "NetworkAttachmentSpec.Name"));
  json_object_set_string_member (out, "EndpointID", ctl_json_string (task, "ID"));
  json_object_set_string_member (out, "IPv4Address", address_in (part, FALSE));
  json_object_set_string_member (out, "IPv6Address", address_in (part, TRUE));
  json_object_set_string_member (out, "Node", node != NULL ? ctl_json_string (node, "Description.Hostname") : "");
  return out;
}

static void
add_peer (JsonArray *peers, GHashTable *seen, JsonObject *node)
{
  JsonObject *peer;

  if (node == NULL || !g_hash_table_add (seen, node))
    return;
  peer = json_object_new ();
  json_object_set_string_member (peer, "Name", ctl_json_string (node, "Description.Hostname"));
  json_object_set_string_member (peer, "IP", ctl_json_string (node, "Status.Addr"));
  json_array_add_object_element (peers, peer);
}

void
ctl_network_add_verbose (JsonObject *network, GPtrArray *services, GPtrArray *tasks, GPtrArray *nodes)
{
  const char *id = ctl_json_string (network, "Id");
  JsonObject *in = json_object_new (), *containers = json_object_new ();
  JsonArray *peers = json_array_new ();
  g_autoptr (GHashTable) seen = g_hash_table_new (NULL, NULL);

  for (guint i = 0; i < services->len; i++)
    if (is_in (services->pdata[i], id))
      json_object_set_object_member (in, ctl_json_string (services->pdata[i], "Spec.Name"), describe_service (services->pdata[i], id, tasks, nodes));
  for (guint i = 0; i < tasks->len; i++) {
    JsonObject *task = tasks->pdata[i], *part = is_running (task) ? part_of (task, id) : NULL, *node = node_of (nodes, task);
    if (part == NULL)
      continue;
    add_peer (peers, seen, node);
    if (ctl_json_object (task, "NetworkAttachmentSpec") != NULL)
      json_object_set_object_member (containers, ctl_json_string (task, "NetworkAttachmentSpec.ContainerID"), describe_container (task, part, node));
  }
  json_object_set_object_member (network, "Services", in);
  json_object_set_object_member (network, "Containers", containers);
  json_object_set_array_member (network, "Peers", peers);
}

/* ---- to read ---- */

static void
append_lines (GString *out, JsonObject *map, const char *title, const char *address)
{
  g_autoptr (GList) keys = map != NULL ? g_list_sort (json_object_get_members (map), (GCompareFunc)strcmp) : NULL;

  if (keys != NULL)
    g_string_append_printf (out, "%s:\n", title);
  for (GList *l = keys; l != NULL; l = l->next) {
    JsonObject *one = json_object_get_object_member (map, l->data);
    g_autoptr (GPtrArray) tasks = ctl_json_objects (ctl_json_array (one, "Tasks"));

    g_string_append_printf (out, " %s\t%s\n", ctl_json_string_or (one, "Name", l->data), ctl_json_string (one, address));
    for (guint i = 0; i < tasks->len; i++)
      g_string_append_printf (out, "  %s\t%s on %s\n", ctl_json_string (tasks->pdata[i], "Name"), ctl_json_string (tasks->pdata[i], "EndpointIP"),
                              ctl_json_string (ctl_json_object (tasks->pdata[i], "Info"), "Host IP"));
  }
}

void
ctl_network_verbose_text (GString *out, JsonObject *network)
{
  g_autoptr (GPtrArray) peers = ctl_json_objects (ctl_json_array (network, "Peers"));

  append_lines (out, ctl_json_object (network, "Services"), "Services", "VIP");
  append_lines (out, ctl_json_object (network, "Containers"), "Containers", "IPv4Address");
  if (peers->len > 0)
    g_string_append (out, "Peers:\n");
  for (guint i = 0; i < peers->len; i++)
    g_string_append_printf (out, " %s\t%s\n", ctl_json_string (peers->pdata[i], "Name"), ctl_json_string (peers->pdata[i], "IP"));
}
