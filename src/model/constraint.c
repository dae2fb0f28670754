// SPDX-License-Identifier: LGPL-2.1-or-later
#include "model/constraint.h"
#include "base/error.h"
#include <gio/gio.h>
#include <string.h>

#define NODE_LABELS "node.labels."
#define ENGINE_LABELS "engine.labels."

static const char *
or_empty (const char *s)
{
  return s != NULL ? s : "";
}

/* ---- what a node says to a key ---- */

static const char *
get_hostname (const SwarmNode *node)
{
  return node->description != NULL ? node->description->hostname : NULL;
}

static const char *
get_role (const SwarmNode *node)
{
  return swarm_role_to_string (node->role);
}

static const char *
get_os (const SwarmNode *node)
{
  return node->description != NULL && node->description->platform != NULL ? node->description->platform->os : NULL;
}

static const char *
get_arch (const SwarmNode *node)
{
  return node->description != NULL && node->description->platform != NULL ? node->description->platform->architecture : NULL;
}

static const char *
get_node_label (const SwarmNode *node, const char *label)
{
  return node->spec != NULL && node->spec->labels != NULL ? g_hash_table_lookup (node->spec->labels, label) : NULL;
}

static const char *
get_engine_label (const SwarmNode *node, const char *label)
{
  const SwarmEngineDescription *engine = node->description != NULL ? node->description->engine : NULL;

  return engine != NULL && engine->labels != NULL ? g_hash_table_lookup (engine->labels, label) : NULL;
}

enum { KEY_ID, KEY_IP, KEY_HOSTNAME, KEY_ROLE, KEY_OS, KEY_ARCH, KEY_NODE_LABEL, KEY_ENGINE_LABEL, N_KEYS };

static const struct {
  const char *key;
  const char *(*get) (const SwarmNode *node); /* NULL: handled apart */
  gboolean by_node;
} keys[N_KEYS] = {
  [KEY_ID] = { "node.id", NULL, TRUE },
  [KEY_IP] = { "node.ip", NULL, TRUE },
  [KEY_HOSTNAME] = { "node.hostname", get_hostname, TRUE },
  [KEY_ROLE] = { "node.role", get_role, FALSE },
  [KEY_OS] = { "node.platform.os", get_os, FALSE },
  [KEY_ARCH] = { "node.platform.arch", get_arch, FALSE },
  [KEY_NODE_LABEL] = { NODE_LABELS, NULL, FALSE },
  [KEY_ENGINE_LABEL] = { ENGINE_LABELS, NULL, FALSE },
};

static const char *
label_of (const char *key, const char *prefix)
{
  gsize len = strlen (prefix);

  return g_ascii_strncasecmp (key, prefix, len) == 0 && key[len] != '\0' ? key + len : NULL;
}

/* The row of a key; N_KEYS: there is none. @ret_label: what stands behind "node.labels." or "engine.labels.". */
static guint
find_key (const char *key, const char **ret_label)
{
  *ret_label = NULL;
  for (guint i = 0; i < KEY_NODE_LABEL; i++)
    if (g_ascii_strcasecmp (key, keys[i].key) == 0)
      return i;
  for (guint i = KEY_NODE_LABEL; i < N_KEYS; i++)
    if ((*ret_label = label_of (key, keys[i].key)) != NULL)
      return i;
  return N_KEYS;
}

/* ---- parsing ---- */

static void
constraint_free (gpointer data)
{
  SwarmConstraint *self = data;

  g_clear_object ((GInetAddressMask **) &self->mask);
  g_free (self->key);
  g_free (self->value);
  g_free (self);
}

/* [a-z_][a-z0-9\-_.]+ of any case. */
static gboolean
is_key (const char *key)
{
  if (!g_ascii_isalpha (key[0]) && key[0] != '_')
    return FALSE;
  return key[1] != '\0' && strspn (key + 1, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == strlen (key + 1);
}

static gboolean
is_value (const char *value)
{
  for (const char *c = value; *c != '\0'; c++)
    if (!g_ascii_isalnum (*c) && !g_ascii_isspace (*c) && strchr (":-_.*()?+[]\\^$|/", *c) == NULL)
      return FALSE;
  return *value != '\0';
}

static GInetAddressMask *
parse_ip (const char *value)
{
  return g_inet_address_mask_new_from_string (value, NULL);
}

static gboolean
refuse (GError **error, const char *what, const char *text, const char *hint)
{
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "%s '%s' is invalid%s", what, text, hint);
  return FALSE;
}

static gboolean
compile (SwarmConstraint *self, GError **error)
{
  if (!is_key (self->key))
    return refuse (error, "key", self->key, "");
  if (!is_value (self->value))
    return refuse (error, "value", self->value, "");
  self->what = find_key (self->key, &self->label);
  if (self->what == N_KEYS)
    return refuse (error, "key", self->key,
                   ": use node.id, node.hostname, node.role, node.ip, node.platform.os, node.platform.arch, node.labels.NAME or "
                   "engine.labels.NAME");
  if (self->what != KEY_IP)
    return TRUE;
  self->mask = parse_ip (self->value);
  return self->mask != NULL || refuse (error, "value", self->value, "");
}

static SwarmConstraint *
constraint_parse (const char *expression, GError **error)
{
  const char *equal = strstr (expression, "==");
  const char *operator = equal != NULL ? equal : strstr (expression, "!=");
  SwarmConstraint *self;

  if (operator == NULL) {
    g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "constraint expected one operator from ==, !=");
    return NULL;
  }
  self = g_new0 (SwarmConstraint, 1);
  self->equal = equal != NULL;
  self->key = g_strstrip (g_strndup (expression, (gsize) (operator - expression)));
  self->value = g_strstrip (g_strdup (operator + 2));
  if (compile (self, error))
    return self;
  constraint_free (self);
  return NULL;
}

GPtrArray *
swarm_constraints_parse (GPtrArray *expressions, GError **error)
{
  g_autoptr (GPtrArray) constraints = g_ptr_array_new_with_free_func (constraint_free);

  for (guint i = 0; expressions != NULL && i < expressions->len; i++) {
    SwarmConstraint *constraint = constraint_parse (expressions->pdata[i], error);

    if (constraint == NULL)
      return NULL;
    g_ptr_array_add (constraints, constraint);
  }
  return g_steal_pointer (&constraints);
}

/* ---- matching ---- */

static gboolean
ip_is_equal (GInetAddressMask *mask, const SwarmNode *node)
{
  g_autoptr (GInetAddress) address = g_inet_address_new_from_string (or_empty (node->status != NULL ? node->status->addr : NULL));

  return address != NULL && g_inet_address_mask_matches (mask, address);
}

static gboolean
is_equal (const SwarmConstraint *self, const SwarmNode *node)
{
  switch (self->what) {
  case KEY_IP:
    return ip_is_equal (self->mask, node);
  case KEY_ID:
    return g_ascii_strcasecmp (self->value, swarm_id_string (&node->object.id).str) == 0;
  case KEY_NODE_LABEL:
    return g_ascii_strcasecmp (self->value, or_empty (get_node_label (node, self->label))) == 0;
  case KEY_ENGINE_LABEL:
    return g_ascii_strcasecmp (self->value, or_empty (get_engine_label (node, self->label))) == 0;
  default:
    return g_ascii_strcasecmp (self->value, or_empty (keys[self->what].get (node))) == 0;
  }
}

gboolean
swarm_constraints_by_node (GPtrArray *constraints)
{
  for (guint i = 0; i < constraints->len; i++)
    if (keys[((const SwarmConstraint *) constraints->pdata[i])->what].by_node)
      return TRUE;
  return FALSE;
}

gboolean
swarm_constraints_match (GPtrArray *constraints, const SwarmNode *node)
{
  for (guint i = 0; i < constraints->len; i++) {
    const SwarmConstraint *constraint = constraints->pdata[i];

    if (is_equal (constraint, node) != constraint->equal)
      return FALSE;
  }
  return TRUE;
}
