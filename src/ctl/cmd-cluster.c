// SPDX-License-Identifier: LGPL-2.1-or-later
/* init, join, join-token, leave, update. */
#include "base/error.h"
#include "ctl/ca.h"
#include "ctl/client.h"
#include "ctl/files.h"
#include "ctl/help.h"
#include "ctl/secret.h"
#include "ctl/service-fields.h"
#include "ctl/waiting.h"
#include <stdio.h>
#include <string.h>

/* Options that init and join share, as the agent names them. */
static void
add_listen_options (GVariantDict *dict, CtlArgs *args)
{
  static const struct {
    const char *option, *key;
  } rows[] = { { "advertise-addr", "AdvertiseAddr" }, { "listen-addr", "ListenAddr" } };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    if (ctl_args_given (args, rows[i].option))
      g_variant_dict_insert (dict, rows[i].key, "s", ctl_args_string (args, rows[i].option));
  if (ctl_args_given (args, "availability")) {
    g_autofree char *lower = g_ascii_strdown (ctl_args_string (args, "availability"), -1);
    g_variant_dict_insert (dict, "Availability", "s", lower);
  }
}

/* What describes the cluster, not the node that makes it. */
static gboolean
set_cluster_options (CtlArgs *args, SwarmClusterSpec *spec, GError **error)
{
  CTL_FIELDS_OWN (spec->orchestration, swarm_orchestration_config);
  CTL_FIELDS_OWN (spec->ca_config, swarm_ca_config);
  CTL_FIELDS_OWN (spec->dispatcher, swarm_dispatcher_config);
  CTL_FIELDS_OWN (spec->raft, swarm_raft_config);
  CTL_FIELDS_OWN (spec->encryption, swarm_encryption_config);
  ctl_fields_set_bool (args, "autolock", &spec->encryption->auto_lock_managers);
  ctl_fields_set_string (args, "seal", &spec->encryption->seal);
  ctl_fields_set_string (args, "strategy", &spec->orchestration->strategy);
  ctl_fields_set_int (args, "task-history-limit", &spec->orchestration->task_history_limit);
  ctl_fields_set_int (args, "cert-expiry", &spec->ca_config->node_cert_expiry);
  ctl_fields_set_int (args, "cert-grace", &spec->ca_config->expired_renewal);
  if (!ctl_external_cas_set (args, &spec->ca_config->external_cas, error))
    return FALSE;
  ctl_fields_set_int (args, "dispatcher-heartbeat", &spec->dispatcher->heartbeat_period);
  ctl_fields_set_int (args, "node-down-grace", &spec->dispatcher->down_grace);
  ctl_fields_set_uint (args, "snapshot-interval", &spec->raft->snapshot_interval);
  if (spec->orchestration->strategy != NULL && *spec->orchestration->strategy == 0)
    g_clear_pointer (&spec->orchestration->strategy, g_free);
  return TRUE;
}

/* Only what was asked for: the agent knows what is usual. */
static gboolean
add_spec (GVariantDict *dict, CtlArgs *args, GError **error)
{
  static const char *const options[] = { "strategy", "task-history-limit", "cert-expiry", "cert-grace", "external-ca", "dispatcher-heartbeat",
                                         "node-down-grace", "snapshot-interval" };
  g_autoptr (SwarmClusterSpec) spec = swarm_cluster_spec_new ();
  gboolean given = FALSE;

  for (guint i = 0; i < G_N_ELEMENTS (options); i++)
    given |= ctl_args_given (args, options[i]);
  if (!given)
    return TRUE;
  if (!set_cluster_options (args, spec, error))
    return FALSE;
  g_variant_dict_insert_value (dict, "Spec", swarm_message_to_variant (spec, 0));
  return TRUE;
}

/* A node whose agent does not start at boot falls out of the swarm with the next reboot. */
static void
warn_if_disabled (CtlContext *context)
{
  g_autoptr (JsonNode) info = ctl_call_json (context, CTL_PATH, CTL_MANAGER_IFACE, "Info", NULL, NULL);
  JsonNode *enabled = info != NULL && JSON_NODE_HOLDS_OBJECT (info)
                          ? ctl_json_get (json_node_get_object (info), "UnitEnabled")
                          : NULL;

  if (enabled != NULL && !json_node_get_boolean (enabled))
    g_printerr (_ ("WARNING: swarm-agent.service is not enabled: after a reboot this node will not come back to the "
                   "swarm by itself.\n"
                   "         Run 'systemctl enable swarm-agent'.\n"));
}

/* HOST:PORT at which other nodes reach @node_id; NULL: it is no manager. Caller frees. */
static char *
manager_address (CtlContext *context, const char *node_id, GError **error)
{
  g_autofree char *path = ctl_resolve (context, "node", node_id, NULL, error);
  g_autoptr (JsonNode) node = path != NULL ? ctl_inspect (context, "node", path, error) : NULL;
  const char *address = node != NULL ? ctl_json_string (json_node_get_object (node), "ManagerStatus.Addr") : "";

  return *address != 0 ? g_strdup (address) : NULL;
}

static gboolean
get_tokens (CtlContext *context, char **ret_worker, char **ret_manager, GError **error)
{
  g_autoptr (GVariant) reply
      = ctl_call_write (context, CTL_CLUSTER_PATH, CTL_CLUSTER_IFACE, "GetJoinTokens", NULL, FALSE, error);

  if (reply == NULL)
    return FALSE;
  g_variant_get (reply, "(ss)", ret_worker, ret_manager);
  return TRUE;
}

static gboolean
print_join_command (CtlContext *context, const char *node_id, const char *role, GError **error)
{
  g_autofree char *worker = NULL;
  g_autofree char *manager = NULL;
  g_autofree char *address = NULL;
  gboolean for_worker = g_str_equal (role, "worker");

  if (!get_tokens (context, &worker, &manager, error))
    return FALSE;
  address = manager_address (context, node_id, error);
  if (address == NULL)
    return error == NULL || *error == NULL;
  if (for_worker)
    printf (_ ("To add a worker to this swarm, run the following command:\n\n    swarmctl join --token %s %s\n\n"),
            worker, address);
  else
    printf (_ ("To add a manager to this swarm, run the following command:\n\n    swarmctl join --token %s %s\n\n"),
            manager, address);
  return TRUE;
}

static gboolean
show_unlock_key (CtlContext *context, GError **error)
{
  char *key = ctl_get_unlock_key (context, error);

  if (key == NULL)
    return FALSE;
  ctl_print_unlock_command (key);
  ctl_secret_free (key);
  return TRUE;
}

/* Each option may hold several, separated by commas. */
static GVariant *
pool_variant (GPtrArray *options)
{
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE_STRING_ARRAY);
  for (guint i = 0; i < options->len; i++) {
    g_auto (GStrv) parts = g_strsplit (options->pdata[i], ",", -1);

    if (parts[0] == NULL) /* an empty one is wrong, not none */
      g_variant_builder_add (&builder, "s", "");
    for (guint k = 0; parts[k] != NULL; k++)
      g_variant_builder_add (&builder, "s", g_strstrip (parts[k]));
  }
  return g_variant_builder_end (&builder);
}

gboolean
ctl_cmd_init (CtlContext *context, GError **error)
{
  GVariantDict dict;
  g_autoptr (GVariant) reply = NULL;
  g_autoptr (GError) reason = NULL;
  const char *node_id;

  if (ctl_args_uint (context->args, "default-addr-pool-mask-length") > G_MAXUINT)
    return ctl_invalid (error, "subnet size is out of range: %" G_GUINT64_FORMAT, ctl_args_uint (context->args, "default-addr-pool-mask-length"));
  g_variant_dict_init (&dict, NULL);
  add_listen_options (&dict, context->args);
  if (ctl_args_bool (context->args, "autolock"))
    g_variant_dict_insert (&dict, "AutoLockManagers", "b", TRUE);
  if (ctl_args_given (context->args, "default-addr-pool"))
    g_variant_dict_insert_value (&dict, "DefaultAddrPool", pool_variant (ctl_args_list (context->args, "default-addr-pool")));
  if (ctl_args_given (context->args, "default-addr-pool-mask-length"))
    g_variant_dict_insert (&dict, "SubnetSize", "u", (guint)ctl_args_uint (context->args, "default-addr-pool-mask-length"));
  if (ctl_args_bool (context->args, "force-new-cluster"))
    g_variant_dict_insert (&dict, "ForceNewCluster", "b", TRUE);
  if (ctl_args_given (context->args, "seal"))
    g_variant_dict_insert (&dict, "Seal", "s", ctl_args_string (context->args, "seal"));
  if (!add_spec (&dict, context->args, error)) {
    g_variant_dict_clear (&dict);
    return FALSE;
  }
  reply = ctl_call_write (context, CTL_PATH, CTL_MANAGER_IFACE, "Init",
                          g_variant_new ("(@a{sv})", g_variant_dict_end (&dict)), FALSE, &reason);
  if (reply == NULL) {
    gboolean choose = strstr (reason->message, "could not choose an IP address") != NULL
                      || strstr (reason->message, "could not find the system's IP address") != NULL;

    if (choose && strstr (reason->message, "--advertise-addr") == NULL)
      g_set_error (error, CTL_ERROR, CTL_ERROR_FAILED, _ ("%s - specify one with --advertise-addr"), reason->message);
    else
      g_propagate_error (error, g_steal_pointer (&reason));
    return FALSE;
  }
  g_variant_get (reply, "(&s)", &node_id);
  printf (_ ("Swarm initialized: current node (%s) is now a manager.\n\n"), node_id);
  if (!print_join_command (context, node_id, "worker", error))
    return FALSE;
  printf (_ ("To add a manager to this swarm, run 'swarmctl join-token manager' and follow the instructions.\n"));
  if (ctl_args_bool (context->args, "autolock")) {
    printf ("\n");
    if (!show_unlock_key (context, error))
      return FALSE;
  }
  warn_if_disabled (context);
  return TRUE;
}

/* The whole of @file ("-": stdin) without white space around it. Caller frees. */
static char *
read_token (const char *file, GError **error)
{
  char *token = ctl_file_read (file, error);

  if (token == NULL)
    return NULL;
  g_strstrip (token);
  if (*token != 0 && g_utf8_validate (token, -1, NULL))
    return token;
  ctl_secret_free (token);
  g_set_error (error, CTL_ERROR, CTL_ERROR_INVALID, _ ("there is no join token in %s"), file);
  return NULL;
}

static char *
token_from_args (CtlArgs *args, GError **error)
{
  if (ctl_args_given (args, "token") && ctl_args_given (args, "token-file")) {
    g_set_error_literal (error, CTL_ERROR, CTL_ERROR_USAGE, _ ("give either --token or --token-file, not both"));
    return NULL;
  }
  if (ctl_args_given (args, "token-file"))
    return read_token (ctl_args_string (args, "token-file"), error);
  if (ctl_args_given (args, "token"))
    return g_strdup (ctl_args_string (args, "token"));
  g_set_error_literal (error, CTL_ERROR, CTL_ERROR_USAGE,
                       _ ("a join token is needed: run 'swarmctl join-token worker' on a manager and give it with "
                          "--token or --token-file"));
  return NULL;
}

gboolean
ctl_cmd_join (CtlContext *context, GError **error)
{
  GVariantDict dict;
  g_autofree char *token = token_from_args (context->args, error);
  const char *remotes[] = { g_ptr_array_index (ctl_args_positional (context->args), 0), NULL };
  g_autoptr (GVariant) reply = NULL;
  CtlWaiting *waiting;
  const char *role;

  if (token == NULL)
    return FALSE;
  g_variant_dict_init (&dict, NULL);
  add_listen_options (&dict, context->args);
  g_variant_dict_insert (&dict, "JoinToken", "s", token);
  g_variant_dict_insert_value (&dict, "RemoteAddrs", g_variant_new_strv (remotes, 1));
  waiting = ctl_waiting_start (context, remotes[0]);
  reply = ctl_call_write (context, CTL_PATH, CTL_MANAGER_IFACE, "Join",
                          g_variant_new ("(@a{sv})", g_variant_dict_end (&dict)), FALSE, error);
  ctl_waiting_stop (waiting);
  explicit_bzero (token, strlen (token));
  if (reply == NULL)
    return FALSE;
  g_variant_get (reply, "(&s&s)", NULL, &role);
  if (g_str_equal (role, "manager"))
    printf (_ ("This node joined a swarm as a manager.\n"));
  else
    printf (_ ("This node joined a swarm as a worker.\n"));
  warn_if_disabled (context);
  return TRUE;
}

/* Rotates, and returns the new token. */
static char *
rotate (CtlContext *context, const char *role, GError **error)
{
  g_autoptr (GVariant) reply = ctl_call_write (context, CTL_CLUSTER_PATH, CTL_CLUSTER_IFACE, "RotateJoinToken",
                                               g_variant_new ("(s)", role), FALSE, error);
  char *token = NULL;

  if (reply != NULL)
    g_variant_get (reply, "(s)", &token);
  return token;
}

gboolean
ctl_cmd_join_token (CtlContext *context, GError **error)
{
  const char *role = g_ptr_array_index (ctl_args_positional (context->args), 0);
  gboolean quiet = ctl_args_bool (context->args, "quiet");
  g_autofree char *worker = NULL;
  g_autofree char *manager = NULL;
  g_autofree char *rotated = NULL;
  g_autoptr (JsonNode) info = NULL;

  if (!g_str_equal (role, "worker") && !g_str_equal (role, "manager")) {
    g_set_error (error, CTL_ERROR, CTL_ERROR_INVALID, _ ("unknown role %s"), role);
    return FALSE;
  }
  if (ctl_args_bool (context->args, "rotate")) {
    rotated = rotate (context, role, error);
    if (rotated == NULL)
      return FALSE;
    if (!quiet)
      printf (_ ("Successfully rotated %s join token.\n\n"), role);
  }
  if (quiet) {
    if (rotated == NULL && !get_tokens (context, &worker, &manager, error))
      return FALSE;
    printf ("%s\n", rotated != NULL ? rotated : g_str_equal (role, "worker") ? worker : manager);
    return TRUE;
  }
  info = ctl_call_json (context, CTL_PATH, CTL_MANAGER_IFACE, "Info", NULL, error);
  return info != NULL
         && print_join_command (context, ctl_json_string (json_node_get_object (info), "NodeID"), role, error);
}

gboolean
ctl_cmd_leave (CtlContext *context, GError **error)
{
  g_autoptr (GVariant) reply
      = ctl_call_write (context, CTL_PATH, CTL_MANAGER_IFACE, "Leave",
                        g_variant_new ("(b)", ctl_args_bool (context->args, "force")), FALSE, error);

  if (reply == NULL)
    return FALSE;
  printf (_ ("Node left the swarm.\n"));
  return TRUE;
}

/* ---- update ---- */

static SwarmClusterSpec *
changed_spec (CtlContext *context, JsonObject *cluster, GError **error)
{
  JsonNode *node = ctl_json_get (cluster, "Spec");
  g_autoptr (SwarmClusterSpec) spec
      = node != NULL ? swarm_message_from_json (&swarm_cluster_spec_type, node, 0, error) : swarm_cluster_spec_new ();

  if (spec == NULL)
    return NULL;
  return set_cluster_options (context->args, spec, error) ? g_steal_pointer (&spec) : NULL;
}

static gboolean
read_and_update (CtlContext *context, const char *path, gpointer data, GError **error)
{
  g_autoptr (JsonNode) cluster = ctl_call_json (context, path, CTL_CLUSTER_IFACE, "Inspect", NULL, error);
  g_autoptr (SwarmClusterSpec) spec = cluster != NULL ? changed_spec (context, json_node_get_object (cluster), error) : NULL;
  g_autoptr (GVariant) reply = NULL;
  guint64 version;
  gboolean locked;

  if (spec == NULL)
    return FALSE;
  locked = ctl_json_bool (json_node_get_object (cluster), "Spec.EncryptionConfig.AutoLockManagers");
  version = (guint64)ctl_json_int (json_node_get_object (cluster), "Version.Index");
  reply = ctl_call_write (context, path, CTL_CLUSTER_IFACE, "Update",
                          g_variant_new ("(t@a{sv})", version, swarm_message_to_variant (spec, 0)), FALSE, error);
  if (reply == NULL)
    return FALSE;
  printf (_ ("Swarm updated.\n"));
  return locked || !spec->encryption->auto_lock_managers || show_unlock_key (context, error);
}

gboolean
ctl_cmd_update (CtlContext *context, GError **error)
{
  static const char *const nothing[] = { NULL };

  if (ctl_args_only (context->args, nothing)) {
    g_autofree char *help = ctl_help_command (context->command, ctl_terminal_width ());
    fputs (help, stdout);
    return TRUE;
  }
  return ctl_write_fresh (context, CTL_CLUSTER_PATH, read_and_update, NULL, error);
}
