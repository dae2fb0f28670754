// SPDX-License-Identifier: LGPL-2.1-or-later
/* ca: the root certificate, and its rotation. */
#include "base/error.h"
#include "ctl/ca.h"
#include "ctl/client.h"
#include "ctl/files.h"
#include "ctl/screen.h"
#include "ctl/service-fields.h"
#include <glib-unix.h>
#include <stdio.h>
#include <string.h>

#define POLL_MS 300

static JsonNode *
inspect_cluster (CtlContext *context, GError **error)
{
  return ctl_call_json (context, CTL_CLUSTER_PATH, CTL_CLUSTER_IFACE, "Inspect", NULL, error);
}

static gboolean
print_root (CtlContext *context, GError **error)
{
  g_autoptr (JsonNode) cluster = inspect_cluster (context, error);
  g_autofree char *root = cluster != NULL ? g_strdup (ctl_json_string (json_node_get_object (cluster), "TLSInfo.TrustRoot")) : NULL;

  if (root == NULL)
    return FALSE;
  if (*g_strstrip (root) == 0) {
    g_set_error_literal (error, CTL_ERROR, CTL_ERROR_FAILED, _ ("No CA information available"));
    return FALSE;
  }
  printf ("%s\n", root);
  return TRUE;
}

/* ---- external CAs ---- */

static char *
read_file (const char *path, GError **error)
{
  char *text = ctl_file_read (path, error);

  if (text == NULL || g_utf8_validate (text, -1, NULL))
    return text;
  ctl_invalid (error, _ ("%s is not a PEM text"), path);
  g_free (text);
  return NULL;
}

SwarmExternalCA *
ctl_external_ca_parse (const char *text, GError **error)
{
  g_autoptr (SwarmExternalCA) ca = swarm_external_ca_new ();
  g_auto (GStrv) parts = g_strsplit (text, ",", -1);

  for (guint i = 0; parts[i] != NULL; i++) {
    char *value = strchr (parts[i], '=');
    g_autofree char *key = value != NULL ? g_ascii_strdown (parts[i], value - parts[i]) : NULL;

    if (key == NULL) {
      ctl_invalid (error, _ ("invalid field '%s' must be a key=value pair"), parts[i]);
      return NULL;
    }
    value++;
    if (g_str_equal (key, "protocol")) {
      if (g_ascii_strcasecmp (value, "cfssl") != 0) {
        ctl_invalid (error, _ ("unrecognized external CA protocol %s"), value);
        return NULL;
      }
      swarm_string_set (&ca->protocol, "cfssl");
    } else if (g_str_equal (key, "url"))
      swarm_string_set (&ca->url, value);
    else if (g_str_equal (key, "cacert")) {
      g_free (ca->ca_cert);
      ca->ca_cert = read_file (value, error);
      if (ca->ca_cert == NULL)
        return NULL;
    } else {
      if (ca->options == NULL)
        ca->options = swarm_map_new ();
      g_hash_table_replace (ca->options, g_steal_pointer (&key), g_strdup (value));
    }
  }
  if (ca->protocol == NULL || ca->url == NULL) {
    ctl_invalid (error, ca->protocol == NULL ? _ ("the external-ca option needs a protocol= parameter") : _ ("the external-ca option needs a url= parameter"));
    return NULL;
  }
  return g_steal_pointer (&ca);
}

gboolean
ctl_check_external_ca (const char *value, GError **error)
{
  g_autoptr (SwarmExternalCA) ca = ctl_external_ca_parse (value, error);

  return ca != NULL;
}

gboolean
ctl_external_cas_set (CtlArgs *args, GPtrArray **cas, GError **error)
{
  GPtrArray *list = ctl_args_list (args, "external-ca");
  g_autoptr (GPtrArray) parsed = swarm_messages_new ();

  if (list->len == 0)
    return TRUE;
  for (guint i = 0; i < list->len; i++) {
    SwarmExternalCA *ca = ctl_external_ca_parse (list->pdata[i], error);
    if (ca == NULL)
      return FALSE;
    g_ptr_array_add (parsed, ca);
  }
  g_clear_pointer (cas, g_ptr_array_unref);
  *cas = g_steal_pointer (&parsed);
  return TRUE;
}

/* ---- rotation ---- */

static gboolean
check_options (CtlArgs *args, GError **error)
{
  static const char *const needs_rotate[] = { "ca-cert", "ca-key", "cert-expiry", "external-ca" };
  gboolean cert = ctl_args_given (args, "ca-cert"), key = ctl_args_given (args, "ca-key");
  gboolean external = ctl_args_given (args, "external-ca");

  for (guint i = 0; !ctl_args_bool (args, "rotate") && i < G_N_ELEMENTS (needs_rotate); i++)
    if (ctl_args_given (args, needs_rotate[i]))
      return ctl_invalid (error, _ ("`--%s` flag requires the `--rotate` flag to update the CA"), needs_rotate[i]);
  if (external && !cert)
    return ctl_invalid (error, _ ("rotating to an external CA requires the `--ca-cert` flag to specify the external CA's cert - to add an "
                                  "external CA with the current root CA certificate, use the `update` command instead"));
  if (cert && !key && !external)
    return ctl_invalid (error, _ ("the --ca-cert flag requires that a --ca-key flag and/or --external-ca flag be provided as well"));
  if (key && !cert)
    return ctl_invalid (error, _ ("the --ca-key flag requires that a --ca-cert flag be provided as well"));
  return TRUE;
}

/* What the options bring along, read once: a file may be the standard input. */
static SwarmCAConfig *
read_options (CtlArgs *args, GError **error)
{
  g_autoptr (SwarmCAConfig) given = swarm_ca_config_new ();

  if (ctl_args_given (args, "ca-cert") && (given->signing_ca_cert = read_file (ctl_args_string (args, "ca-cert"), error)) == NULL)
    return NULL;
  if (ctl_args_given (args, "ca-key") && (given->signing_ca_key = read_file (ctl_args_string (args, "ca-key"), error)) == NULL)
    return NULL;
  return ctl_external_cas_set (args, &given->external_cas, error) ? g_steal_pointer (&given) : NULL;
}

static void
wipe_key (SwarmCAConfig *config)
{
  if (config->signing_ca_key != NULL)
    explicit_bzero (config->signing_ca_key, strlen (config->signing_ca_key));
}

static void
set_rotation (CtlArgs *args, const SwarmCAConfig *given, SwarmCAConfig *config)
{
  swarm_string_set (&config->signing_ca_cert, given->signing_ca_cert);
  swarm_string_set (&config->signing_ca_key, given->signing_ca_key);
  ctl_fields_set_int (args, "cert-expiry", &config->node_cert_expiry);
  config->force_rotate++;
  if (given->external_cas == NULL)
    return;
  g_clear_pointer (&config->external_cas, g_ptr_array_unref);
  config->external_cas = g_ptr_array_ref (given->external_cas);
}

static gboolean
read_and_rotate (CtlContext *context, const char *path, gpointer given, GError **error)
{
  g_autoptr (JsonNode) cluster = inspect_cluster (context, error);
  JsonObject *object = cluster != NULL ? json_node_get_object (cluster) : NULL;
  JsonNode *node = object != NULL ? ctl_json_get (object, "Spec") : NULL;
  g_autoptr (SwarmClusterSpec) spec = node != NULL ? swarm_message_from_json (&swarm_cluster_spec_type, node, 0, error) : NULL;
  g_autoptr (GVariant) reply = NULL;

  if (spec == NULL)
    return FALSE;
  CTL_FIELDS_OWN (spec->ca_config, swarm_ca_config);
  set_rotation (context->args, given, spec->ca_config);
  reply = ctl_call_write (context, path, CTL_CLUSTER_IFACE, "Update",
                          g_variant_new ("(t@a{sv})", (guint64)ctl_json_int (object, "Version.Index"),
                                         swarm_message_to_variant (spec, SWARM_FORM_WITH_SECRETS)),
                          FALSE, error);
  wipe_key (spec->ca_config);
  return reply != NULL;
}

static gboolean
begin_rotation (CtlContext *context, GError **error)
{
  g_autoptr (SwarmCAConfig) given = read_options (context->args, error);
  gboolean ok = given != NULL && ctl_write_fresh (context, CTL_CLUSTER_PATH, read_and_rotate, given, error);

  if (given != NULL)
    wipe_key (given);
  return ok;
}

/* ---- progress ---- */

void
ctl_ca_progress (JsonObject *cluster, GPtrArray *nodes, CtlCAProgress *ret)
{
  const char *desired = ctl_json_string (cluster, "DesiredRootDigest");

  *ret = (CtlCAProgress){ .desired = desired, .total = nodes->len };
  for (guint i = 0; i < nodes->len; i++) {
    JsonObject *node = nodes->pdata[i];
    const char *serial = ctl_json_string (node, "CertSerial");
    gboolean used = g_str_equal (ctl_json_string (node, "Description.TLSInfo.CertSerial"), serial);

    ret->away += g_str_equal (ctl_json_string (node, "Status.State"), "down");
    ret->certs += used && g_str_equal (ctl_json_string (node, "CertIssuer"), desired);
    ret->roots += g_str_equal (ctl_json_string (node, "Description.TLSInfo.TrustDigest"), desired);
  }
  ret->over = !ctl_json_bool (cluster, "RootRotationInProgress");
  if (!ret->over)
    ret->roots = 0;
}

static gboolean
show_progress (CtlContext *context, CtlScreen *screen, gboolean *ret_over, GError **error)
{
  g_autoptr (JsonNode) cluster = inspect_cluster (context, error);
  g_autoptr (JsonNode) list = cluster != NULL ? ctl_list (context, "ListNodes", ctl_filters (NULL), error) : NULL;
  g_autoptr (GPtrArray) nodes = list != NULL ? ctl_json_objects (json_node_get_array (list)) : NULL;
  g_autofree char *digest = NULL, *certs = NULL, *roots = NULL, *away = NULL;
  CtlCAProgress progress;

  if (nodes == NULL)
    return FALSE;
  ctl_ca_progress (json_node_get_object (cluster), nodes, &progress);
  /* Who is down is not waited for: it comes back by its old key. */
  away = progress.away > 0 ? g_strdup_printf (_ (" (%u down, to be renewed when they are back)"), progress.away) : g_strdup ("");
  digest = g_strdup_printf ("sha256:%s", progress.desired);
  certs = g_strdup_printf (_ ("%u/%u nodes%s"), progress.certs, progress.total, away);
  roots = g_strdup_printf (_ ("%u/%u nodes"), progress.roots, progress.total);
  ctl_screen_show ("desired root digest", digest, TRUE, screen);
  ctl_screen_show ("  rotated TLS certificates", certs, TRUE, screen);
  ctl_screen_show ("  rotated CA certificates", roots, TRUE, screen);
  *ret_over = progress.over && progress.certs + progress.away >= progress.total && progress.roots + progress.away >= progress.total;
  return TRUE;
}

static gboolean
on_interrupt (gpointer data)
{
  *(gboolean *)data = TRUE;
  return G_SOURCE_CONTINUE;
}

static gboolean
on_time (gpointer data)
{
  *(gboolean *)data = TRUE;
  return G_SOURCE_REMOVE;
}

static gboolean
wait_for_rotation (CtlContext *context, GError **error)
{
  guint signal_id = g_unix_signal_add (SIGINT, on_interrupt, &context->interrupted);
  gboolean quiet = ctl_args_bool (context->args, "quiet"), over = FALSE, ok;
  CtlScreen screen;

  ctl_screen_init (&screen, quiet);
  while ((ok = show_progress (context, &screen, &over, error)) && !over && !context->interrupted) {
    gboolean wake = FALSE;
    guint timer = g_timeout_add (POLL_MS, on_time, &wake);
    while (!wake && !context->interrupted)
      g_main_context_iteration (NULL, TRUE);
    if (!wake)
      g_source_remove (timer);
  }
  ctl_screen_clear (&screen);
  g_source_remove (signal_id);
  if (ok && !over && !quiet)
    printf (_ ("Operation continuing in background.\n"));
  return ok && (!over || print_root (context, error));
}

gboolean
ctl_cmd_ca (CtlContext *context, GError **error)
{
  if (!check_options (context->args, error))
    return FALSE;
  if (!ctl_args_bool (context->args, "rotate"))
    return print_root (context, error);
  return begin_rotation (context, error) && (ctl_args_bool (context->args, "detach") || wait_for_rotation (context, error));
}
