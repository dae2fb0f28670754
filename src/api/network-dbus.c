// SPDX-License-Identifier: LGPL-2.1-or-later
#include "api/private.h"
#include "base/error.h"

/* ---- the shape of the Engine API, which is flat here ---- */

static gboolean
is_local (const SwarmNetwork *network)
{
  return !swarm_network_is_overlay (network);
}

static GVariant *
ipam_variant (const SwarmNetwork *network)
{
  g_autoptr (SwarmIPAM) none = network->ipam == NULL && network->spec->ipam == NULL ? swarm_ipam_new () : NULL;
  const SwarmIPAM *ipam = network->ipam != NULL ? network->ipam : network->spec->ipam;
  return swarm_message_to_variant (ipam != NULL ? ipam : none, SWARM_FORM_COMPLETE);
}

static GVariant *
map_variant (GHashTable *map)
{
  GVariantBuilder builder;
  g_autoptr (GList) keys = map != NULL ? g_list_sort (g_hash_table_get_keys (map), (GCompareFunc) g_strcmp0) : NULL;
  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a{ss}"));
  for (GList *l = keys; l != NULL; l = l->next)
    g_variant_builder_add (&builder, "{ss}", l->data, g_hash_table_lookup (map, l->data));
  return g_variant_builder_end (&builder);
}

GVariant *
swarm_api_network_variant (SwarmApi *self, const SwarmNetwork *network)
{
  const SwarmNetworkSpec *spec = network->spec;
  g_autofree char *created = swarm_time_to_string (network->object.created_at);
  GVariantDict dict, version;
  g_variant_dict_init (&dict, NULL);
  g_variant_dict_init (&version, NULL);
  g_variant_dict_insert (&version, "Index", "t", network->object.version);
  g_variant_dict_insert (&dict, "Name", "s", spec->name);
  g_variant_dict_insert (&dict, "Id", "s", swarm_id_string (&network->object.id).str);
  g_variant_dict_insert (&dict, "Created", "s", created);
  g_variant_dict_insert_value (&dict, "Version", g_variant_dict_end (&version));
  g_variant_dict_insert (&dict, "Scope", "s", is_local (network) ? "local" : "swarm");
  g_variant_dict_insert (&dict, "Driver", "s", spec->driver);
  g_variant_dict_insert (&dict, "EnableIPv6", "b", spec->ipv6);
  g_variant_dict_insert_value (&dict, "IPAM", ipam_variant (network));
  g_variant_dict_insert (&dict, "Internal", "b", spec->internal);
  g_variant_dict_insert (&dict, "Attachable", "b", spec->attachable);
  g_variant_dict_insert (&dict, "Ingress", "b", spec->ingress);
  g_variant_dict_insert_value (&dict, "Options", map_variant (spec->options));
  g_variant_dict_insert_value (&dict, "Labels", map_variant (spec->labels));
  g_variant_dict_insert (&dict, "VNI", "t", network->vni);
  g_variant_dict_insert (&dict, "Message", "s", network->text != NULL ? network->text : "");
  return g_variant_dict_end (&dict);
}

/* ---- methods ---- */

static void
created (const SwarmControlReply *reply, const GError *error, gpointer data)
{
  if (error != NULL)
    swarm_invocation_fail (data, error);
  else
    swarm_invocation_return (data, g_variant_new ("(s)", swarm_id_string (&reply->id).str));
}

void
swarm_api_create_network (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  static const char *const allowed[] = { "RequestId:s", NULL };
  SwarmApi *self = swarm_api_of (invocation);
  g_autoptr (GVariant) dict = NULL, options = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (SwarmNetworkSpec) spec = NULL;
  const char *request_id = swarm_invocation_caller (invocation)->request_id;
  if (!swarm_api_need_manager (self, invocation))
    return;
  g_variant_get (args, "(@a{sv}@a{sv})", &dict, &options);
  if (!swarm_api_check_options (options, allowed, &error)
      || (spec = swarm_message_from_variant (&swarm_network_spec_type, dict, SWARM_FORM_FROM_USER, &error)) == NULL) {
    swarm_invocation_fail (invocation, error);
    return;
  }
  g_variant_lookup (options, "RequestId", "&s", &request_id);
  swarm_control_create_network (swarm_manager_control (self->manager), spec, request_id, created, invocation);
}

static void
network_inspect (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  swarm_invocation_return (invocation, g_variant_new ("(@a{sv})", swarm_api_network_variant (swarm_api_of (invocation), object)));
}

static void
network_remove (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  SwarmApi *self = swarm_api_of (invocation);
  swarm_control_remove_network (swarm_manager_control (self->manager), &SWARM_OBJECT (object)->id,
                                swarm_invocation_caller (invocation)->request_id, swarm_api_done, invocation);
}

static void
network_details (gpointer object, GVariant *args, GHashTable *details)
{
  g_hash_table_replace (details, g_strdup ("network"), g_strdup (swarm_object_name (object)));
  g_hash_table_replace (details, g_strdup ("network-id"), swarm_id_dup_string (&SWARM_OBJECT (object)->id));
}

static GVariant *
get_id (gpointer object, gpointer data)
{
  return g_variant_new_string (swarm_id_string (&SWARM_OBJECT (object)->id).str);
}

static GVariant *
get_name (gpointer object, gpointer data)
{
  return g_variant_new_string (swarm_object_name (object));
}

static GVariant *
get_driver (gpointer object, gpointer data)
{
  return g_variant_new_string (((SwarmNetwork *) object)->spec->driver);
}

static GVariant *
get_scope (gpointer object, gpointer data)
{
  return g_variant_new_string (is_local (object) ? "local" : "swarm");
}

static const SwarmBusMethod network_methods[] = {
  { "Inspect", NULL, "a{sv}:network", network_inspect, SWARM_ACTION_READ, SWARM_ROLES_MANAGER, .details = network_details,
    .doc = "The whole network in the shape of the Engine API." },
  { "Remove", NULL, NULL, network_remove, SWARM_ACTION_MANAGE_SERVICES, SWARM_ROLES_MANAGER, SWARM_METHOD_WRITE, network_details,
    "Removes the network; refused while a service or a task uses it." },
  { NULL },
};

static const SwarmBusProperty network_properties[] = {
  { "ID", "s", get_id, TRUE, "The network's id, 25 characters." },
  { "Name", "s", get_name, TRUE, "Its name." },
  { "Driver", "s", get_driver, TRUE, "overlay; host and none for the networks that every node has of its own." },
  { "Scope", "s", get_scope, TRUE, "swarm, or local for what every node has of its own." },
  { NULL },
};

const SwarmBusInterface swarm_api_network_interface = {
  "org.swarmagent1.Network", network_methods, network_properties, NULL, "A network that services' tasks share across hosts.",
};
