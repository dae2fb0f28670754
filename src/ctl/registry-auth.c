// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ctl/registry-auth.h"
#include "ctl/files.h"
#include "ctl/json.h"
#include "ctl/opts.h"
#include "model/image.h"
#include <string.h>
#include <unistd.h>

#define DOCKER_HUB_KEY "https://index.docker.io/v1/"

/* Where podman and docker look, in podman's order; NULL-terminated, caller frees. */
static char **
auth_files (void)
{
  g_autoptr (GStrvBuilder) files = g_strv_builder_new ();
  const char *explicit = g_getenv ("REGISTRY_AUTH_FILE");
  const char *runtime = g_getenv ("XDG_RUNTIME_DIR");
  const char *docker = g_getenv ("DOCKER_CONFIG");
  g_autofree char *own = g_strdup_printf ("/run/containers/%u/auth.json", (guint)geteuid ());
  g_autofree char *session = runtime != NULL ? g_build_filename (runtime, "containers/auth.json", NULL) : NULL;
  g_autofree char *config = g_build_filename (g_get_user_config_dir (), "containers/auth.json", NULL);
  g_autofree char *home = docker != NULL ? g_build_filename (docker, "config.json", NULL)
                                         : g_build_filename (g_get_home_dir (), ".docker/config.json", NULL);

  if (explicit != NULL)
    g_strv_builder_add (files, explicit);
  if (session != NULL)
    g_strv_builder_add (files, session);
  g_strv_builder_add_many (files, own, config, home, NULL);
  return g_strv_builder_end (files);
}

char **
ctl_registry_auth_keys (const char *image)
{
  g_autoptr (GStrvBuilder) keys = g_strv_builder_new ();
  g_autofree char *full = swarm_image_normalise (image, NULL);
  char *slash, *colon;

  if (full == NULL)
    return g_strv_builder_end (keys);
  full[strcspn (full, "@")] = 0;
  slash = strrchr (full, '/');
  colon = slash != NULL ? strchr (slash, ':') : NULL;
  if (colon != NULL)
    *colon = 0;
  for (; slash != NULL; slash = strrchr (full, '/')) {
    g_strv_builder_add (keys, full);
    *slash = 0;
  }
  g_strv_builder_add (keys, full);
  if (g_str_equal (full, "docker.io"))
    g_strv_builder_add_many (keys, DOCKER_HUB_KEY, "index.docker.io", NULL);
  return g_strv_builder_end (keys);
}

/* {"auth": base64 of "user:password"} → the header's text. */
static char *
encode (JsonObject *entry, const char *server)
{
  gsize len;
  g_autofree guchar *raw = g_base64_decode (ctl_json_string (entry, "auth"), &len);
  g_autofree char *pair = g_strndup ((const char *)raw, len);
  char *colon = strchr (pair, ':');
  g_autoptr (JsonObject) object = json_object_new ();
  g_autofree char *text = NULL;

  if (colon == NULL || !g_utf8_validate (pair, -1, NULL))
    return NULL;
  *colon = 0;
  json_object_set_string_member (object, "username", pair);
  json_object_set_string_member (object, "password", colon + 1);
  json_object_set_string_member (object, "serveraddress", server);
  text = ctl_json_print_object (object);
  return g_base64_encode ((const guchar *)text, strlen (text));
}

/* The credentials for one of @keys in @file; NULL without error: none there. */
static char *
look_in (const char *file, char **keys, GError **error)
{
  g_autoptr (GError) reason = NULL;
  g_autofree char *content = NULL;
  g_autoptr (JsonNode) root = NULL;
  JsonObject *auths;

  if (!g_file_test (file, G_FILE_TEST_EXISTS))
    return NULL;
  content = ctl_file_read (file, &reason);
  root = content != NULL ? ctl_json_parse (content, &reason) : NULL;
  if (reason != NULL) {
    g_set_error (error, CTL_ERROR, CTL_ERROR_FAILED, _ ("cannot read registry credentials from %s: %s"), file,
                 reason->message);
    return NULL;
  }
  if (root == NULL || !JSON_NODE_HOLDS_OBJECT (root))
    return NULL;
  auths = ctl_json_object (json_node_get_object (root), "auths");
  for (guint i = 0; keys[i] != NULL; i++) {
    JsonNode *entry = auths != NULL ? json_object_get_member (auths, keys[i]) : NULL;
    char *text
        = entry != NULL && JSON_NODE_HOLDS_OBJECT (entry) ? encode (json_node_get_object (entry), keys[i]) : NULL;

    if (text != NULL)
      return text;
    if (entry != NULL) {
      g_set_error (error, CTL_ERROR, CTL_ERROR_FAILED,
                   _ ("the credentials for %s are kept by a credential helper (%s), which is not supported yet: run "
                      "'podman login %s'"),
                   keys[i], file, keys[i]);
      return NULL;
    }
  }
  return NULL;
}

char *
ctl_registry_auth (const char *image, GError **error)
{
  g_auto (GStrv) keys = ctl_registry_auth_keys (image);
  g_auto (GStrv) files = auth_files ();

  for (guint i = 0; files[i] != NULL; i++) {
    g_autoptr (GError) reason = NULL;
    char *text = look_in (files[i], keys, &reason);

    if (text != NULL)
      return text;
    if (reason != NULL) {
      g_propagate_error (error, g_steal_pointer (&reason));
      return NULL;
    }
  }
  return g_strdup ("");
}
