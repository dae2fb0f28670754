// SPDX-License-Identifier: LGPL-2.1-or-later
/* network attach, create, detach, inspect, ls, rm. */
#include "base/error.h"
#include "ctl/client.h"
#include "ctl/format.h"
#include "ctl/inspect.h"
#include "ctl/network-verbose.h"
#include "ctl/network.h"
#include "ctl/service-fields.h"
#include "ctl/values.h"
#include "model/network.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- create ---- */

gboolean
ctl_check_network_option (const char *text, GError **error)
{
  return *text != 0 && *text != '=' ? TRUE : ctl_invalid (error, "invalid option '%s': it is \"key=value\" or \"key\"", text);
}

/* The subnet that holds @address (of an ip-range: its first one); NULL: none. */
static SwarmIPAMConfig *
config_for (GPtrArray *configs, const SwarmAddress *address)
{
  for (guint i = 0; i < configs->len; i++) {
    SwarmSubnet subnet;

    if (swarm_subnet_parse (((SwarmIPAMConfig *)configs->pdata[i])->subnet, &subnet) && swarm_subnet_contains (&subnet, address))
      return configs->pdata[i];
  }
  return NULL;
}

static gboolean
add_ranges (CtlArgs *args, GPtrArray *configs, GError **error)
{
  GPtrArray *ranges = ctl_args_list (args, "ip-range");

  for (guint i = 0; i < ranges->len; i++) {
    SwarmSubnet range;
    SwarmIPAMConfig *config;

    if (!swarm_subnet_parse (ranges->pdata[i], &range))
      return ctl_invalid (error, "invalid CIDR address: %s", (const char *)ranges->pdata[i]);
    config = config_for (configs, &range.address);
    if (config == NULL)
      return ctl_invalid (error, "no matching subnet for range %s", (const char *)ranges->pdata[i]);
    if (config->ip_range != NULL)
      return ctl_invalid (error, "cannot configure multiple ranges (%s, %s) on the same subnet (%s)", (const char *)ranges->pdata[i],
                          config->ip_range, config->subnet);
    config->ip_range = g_strdup (ranges->pdata[i]);
  }
  return TRUE;
}

static gboolean
add_gateways (CtlArgs *args, GPtrArray *configs, GError **error)
{
  GPtrArray *gateways = ctl_args_list (args, "gateway");

  for (guint i = 0; i < gateways->len; i++) {
    SwarmAddress gateway;
    SwarmIPAMConfig *config;

    if (!swarm_address_parse (gateways->pdata[i], &gateway))
      return ctl_invalid (error, "invalid gateway %s", (const char *)gateways->pdata[i]);
    config = config_for (configs, &gateway);
    if (config == NULL)
      return ctl_invalid (error, "no matching subnet for gateway %s", (const char *)gateways->pdata[i]);
    if (config->gateway != NULL)
      return ctl_invalid (error, "cannot configure multiple gateways (%s, %s) for the same subnet (%s)", (const char *)gateways->pdata[i],
                          config->gateway, config->subnet);
    config->gateway = g_strdup (gateways->pdata[i]);
  }
  return TRUE;
}

static gboolean
make_ipam (CtlArgs *args, SwarmNetworkSpec *spec, GError **error)
{
  GPtrArray *subnets = ctl_args_list (args, "subnet");

  if (subnets->len == 0 && (ctl_args_given (args, "ip-range") || ctl_args_given (args, "gateway")))
    return ctl_invalid (error, "every ip-range or gateway must have a corresponding subnet");
  if (subnets->len == 0)
    return TRUE;
  spec->ipam = swarm_ipam_new ();
  for (guint i = 0; i < subnets->len; i++) {
    SwarmSubnet subnet;
    SwarmIPAMConfig *config;

    if (!swarm_subnet_parse (subnets->pdata[i], &subnet))
      return ctl_invalid (error, "invalid CIDR address: %s", (const char *)subnets->pdata[i]);
    config = swarm_ipam_config_new ();
    config->subnet = g_strdup (subnets->pdata[i]);
    ctl_fields_append_message (&spec->ipam->config, config);
  }
  return add_ranges (args, spec->ipam->config, error) && add_gateways (args, spec->ipam->config, error);
}

SwarmNetworkSpec *
ctl_network_spec (CtlArgs *args, GError **error)
{
  g_autoptr (SwarmNetworkSpec) spec = swarm_network_spec_new ();

  spec->name = g_strdup (g_ptr_array_index (ctl_args_positional (args), 0));
  spec->driver = g_strdup (ctl_args_given (args, "driver") ? ctl_args_string (args, "driver") : SWARM_DRIVER_OVERLAY);
  spec->attachable = ctl_args_bool (args, "attachable");
  spec->internal = ctl_args_bool (args, "internal");
  spec->ingress = ctl_args_bool (args, "ingress");
  spec->ipv6 = ctl_args_bool (args, "ipv6");
  ctl_fields_add_pairs (&spec->labels, ctl_args_list (args, "label"));
  ctl_fields_add_pairs (&spec->options, ctl_args_list (args, "opt"));
  return make_ipam (args, spec, error) ? g_steal_pointer (&spec) : NULL;
}

gboolean
ctl_cmd_network_create (CtlContext *context, GError **error)
{
  g_autoptr (SwarmNetworkSpec) spec = ctl_network_spec (context->args, error);
  g_autofree char *request_id = ctl_request_id ();
  g_autoptr (GVariant) reply = NULL;
  GVariantDict options;
  const char *id;

  if (spec == NULL)
    return FALSE;
  g_variant_dict_init (&options, NULL);
  g_variant_dict_insert (&options, "RequestId", "s", request_id);
  reply = ctl_call_write (context, CTL_PATH, CTL_MANAGER_IFACE, "CreateNetwork",
                          g_variant_new ("(@a{sv}@a{sv})", swarm_message_to_variant (spec, 0), g_variant_dict_end (&options)), TRUE, error);
  if (reply == NULL)
    return FALSE;
  g_variant_get (reply, "(&s)", &id);
  printf ("%s\n", id);
  return TRUE;
}

/* ---- ls ---- */

static int
compare_networks (gconstpointer a, gconstpointer b)
{
  return ctl_natural_compare (ctl_json_string (*(JsonObject *const *)a, "Name"), ctl_json_string (*(JsonObject *const *)b, "Name"));
}

static void
append_json (GString *out, JsonObject *network, const char *id)
{
  static const char *const words[] = { "Driver", "Name", "Scope" };
  static const char *const flags[][2] = { { "IPv6", "EnableIPv6" }, { "Internal", "Internal" } };
  g_autoptr (JsonObject) object = json_object_new ();

  json_object_set_string_member (object, "CreatedAt", ctl_json_string (network, "Created"));
  json_object_set_string_member (object, "ID", id);
  for (guint i = 0; i < G_N_ELEMENTS (words); i++)
    json_object_set_string_member (object, words[i], ctl_json_string (network, words[i]));
  for (guint i = 0; i < G_N_ELEMENTS (flags); i++)
    json_object_set_string_member (object, flags[i][0], ctl_json_bool (network, flags[i][1]) ? "true" : "false");
  ctl_json_line (out, object);
}

char *
ctl_network_list_text (GPtrArray *networks, gboolean quiet, gboolean json, gboolean no_trunc)
{
  static const char *const titles[] = { "NETWORK ID", "NAME", "DRIVER", "SCOPE", NULL };
  CtlTable *table = ctl_table_new (titles);
  GString *out = g_string_new (NULL);

  g_ptr_array_sort (networks, compare_networks);
  for (guint i = 0; i < networks->len; i++) {
    JsonObject *network = g_ptr_array_index (networks, i);
    g_autofree char *id = no_trunc ? g_strdup (ctl_json_string (network, "Id")) : ctl_short_id (ctl_json_string (network, "Id"));
    const char *cells[] = { id, ctl_json_string (network, "Name"), ctl_json_string (network, "Driver"), ctl_json_string (network, "Scope") };

    if (quiet)
      g_string_append_printf (out, "%s\n", id);
    else if (json)
      append_json (out, network, id);
    else
      ctl_table_add (table, cells);
  }
  return ctl_list_finish (table, out, quiet || json);
}

gboolean
ctl_cmd_network_ls (CtlContext *context, GError **error)
{
  g_autoptr (JsonNode) list = ctl_list (context, "ListNetworks", ctl_filters (ctl_args_list (context->args, "filter")), error);
  g_autoptr (GPtrArray) networks = NULL;
  g_autofree char *text = NULL;

  if (list == NULL)
    return FALSE;
  networks = ctl_json_objects (json_node_get_array (list));
  text = ctl_network_list_text (networks, ctl_args_bool (context->args, "quiet"),
                                g_strcmp0 (ctl_args_string (context->args, "format"), "json") == 0, ctl_args_bool (context->args, "no-trunc"));
  fputs (text, stdout);
  return TRUE;
}

/* ---- inspect ---- */

static gboolean
add_who_is_in (CtlContext *context, JsonObject *network, gboolean human, GError **error)
{
  g_autoptr (JsonNode) services = NULL, tasks = NULL, nodes = NULL;
  g_autoptr (GPtrArray) service_list = NULL, task_list = NULL, node_list = NULL;

  if (!ctl_args_bool (context->args, "verbose"))
    return TRUE;
  if ((services = ctl_list (context, "ListServices", ctl_filters (NULL), error)) == NULL
      || (tasks = ctl_list_tasks (context, ctl_filters (NULL), error)) == NULL
      || (nodes = ctl_list (context, "ListNodes", ctl_filters (NULL), error)) == NULL)
    return FALSE;
  service_list = ctl_json_objects (json_node_get_array (services));
  task_list = ctl_json_objects (json_node_get_array (tasks));
  node_list = ctl_json_objects (json_node_get_array (nodes));
  ctl_network_add_verbose (network, service_list, task_list, node_list);
  return TRUE;
}

gboolean
ctl_cmd_network_inspect (CtlContext *context, GError **error)
{
  return ctl_inspect_run (context, "network", ctl_pretty_network, add_who_is_in, error);
}

/* ---- attach, detach ---- */

static GVariant *
call_for_container (CtlContext *context, const char *member, GError **error)
{
  GPtrArray *args = ctl_args_positional (context->args);
  return ctl_call_write (context, CTL_PATH, CTL_MANAGER_IFACE, member, g_variant_new ("(ss)", args->pdata[0], args->pdata[1]), FALSE, error);
}

gboolean
ctl_cmd_network_attach (CtlContext *context, GError **error)
{
  g_autoptr (GVariant) reply = call_for_container (context, "AttachNetwork", error);
  g_autofree const char **addresses = NULL;

  if (reply == NULL)
    return FALSE;
  g_variant_get (reply, "(&s^a&s)", NULL, &addresses);
  for (guint i = 0; addresses[i] != NULL; i++)
    printf ("%s\n", addresses[i]);
  return TRUE;
}

gboolean
ctl_cmd_network_detach (CtlContext *context, GError **error)
{
  g_autoptr (GVariant) reply = call_for_container (context, "DetachNetwork", error);

  return reply != NULL;
}

/* ---- rm ---- */

/* The mesh goes with it: docker asks. */
static gboolean
is_confirmed (CtlContext *context, const char *path, GError **error)
{
  g_autoptr (JsonNode) network = ctl_inspect (context, "network", path, error);
  char answer[16] = "";

  if (network == NULL)
    return FALSE;
  if (!ctl_json_bool (json_node_get_object (network), "Ingress"))
    return TRUE;
  fputs (_ ("WARNING! Without the routing-mesh network no service can publish ports on all nodes.\n"
            "Are you sure you want to continue? [y/N] "),
         stderr);
  if (fgets (answer, sizeof answer, stdin) != NULL && (answer[0] == 'y' || answer[0] == 'Y'))
    return TRUE;
  g_set_error (error, CTL_ERROR, CTL_ERROR_FAILED, _ ("network removal has been cancelled"));
  return FALSE;
}

gboolean
ctl_cmd_network_rm (CtlContext *context, GError **error)
{
  GPtrArray *references = ctl_args_positional (context->args);
  gboolean force = ctl_args_bool (context->args, "force");
  GString *errors = NULL;

  for (guint i = 0; i < references->len; i++) {
    const char *reference = g_ptr_array_index (references, i);
    g_autoptr (GError) reason = NULL;
    g_autoptr (GVariant) reply = NULL;
    g_autofree char *path = ctl_resolve (context, "network", reference, NULL, &reason);

    if (path == NULL && force && g_error_matches (reason, SWARM_ERROR, SWARM_ERROR_NOT_FOUND))
      continue;
    if (path != NULL && is_confirmed (context, path, &reason))
      reply = ctl_call_write (context, path, CTL_NETWORK_IFACE, "Remove", NULL, FALSE, &reason);
    if (reply == NULL)
      ctl_errors_add (&errors, reason, NULL);
    else
      printf ("%s\n", reference);
  }
  fflush (stdout);
  return ctl_errors_finish (errors, error);
}
