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

static const struct {
  const char *key;
  const char *(*get) (const SwarmNode *node); /* NULL: handled apart */
} keys[] = {
  { "node.id", NULL },
  { "node.ip", NULL },
  { "node.hostname", get_hostname },
  { "node.role", get_role },
  { "node.platform.os", get_os },
  { "node.platform.arch", get_arch },
};

static const char *
label_of (const char *key, const char *prefix)
{
  gsize len = strlen (prefix);

  return g_ascii_strncasecmp (key, prefix, len) == 0 && key[len] != '\0' ? key + len : NULL;
}

static gboolean
is_known_key (const char *key)
{
  for (guint i = 0; i < G_N_ELEMENTS (keys); i++)
    if (g_ascii_strcasecmp (key, keys[i].key) == 0)
      return TRUE;
  return label_of (key, NODE_LABELS) != NULL || label_of (key, ENGINE_LABELS) != NULL;
}

/* ---- parsing ---- */

static void
constraint_free (gpointer data)
{
  SwarmConstraint *self = data;

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
check (const SwarmConstraint *self, GError **error)
{
  g_autoptr (GInetAddressMask) mask = NULL;

  if (!is_key (self->key))
    return refuse (error, "key", self->key, "");
  if (!is_value (self->value))
    return refuse (error, "value", self->value, "");
  if (!is_known_key (self->key))
    return refuse (error, "key", self->key,
                   ": use node.id, node.hostname, node.role, node.ip, node.platform.os, node.platform.arch, node.labels.NAME or "
                   "engine.labels.NAME");
  if (g_ascii_strcasecmp (self->key, "node.ip") != 0)
    return TRUE;
  mask = parse_ip (self->value);
  return mask != NULL || refuse (error, "value", self->value, "");
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
  if (check (self, error))
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
ip_is_equal (const char *value, const SwarmNode *node)
{
  const char *addr = or_empty (node->status != NULL ? node->status->addr : NULL);
  g_autoptr (GInetAddress) address = g_inet_address_new_from_string (addr);
  g_autoptr (GInetAddressMask) mask = parse_ip (value);

  return address != NULL && mask != NULL && g_inet_address_mask_matches (mask, address);
}

static const char *
label_value (GHashTable *labels, const char *label)
{
  return labels != NULL ? g_hash_table_lookup (labels, label) : NULL;
}

static const char *
node_value (const char *key, const SwarmNode *node)
{
  const char *label = label_of (key, NODE_LABELS);

  if (label != NULL)
    return label_value (node->spec != NULL ? node->spec->labels : NULL, label);
  label = label_of (key, ENGINE_LABELS);
  if (label != NULL)
    return label_value (node->description != NULL && node->description->engine != NULL ? node->description->engine->labels : NULL,
                        label);
  for (guint i = 0; i < G_N_ELEMENTS (keys); i++)
    if (keys[i].get != NULL && g_ascii_strcasecmp (key, keys[i].key) == 0)
      return keys[i].get (node);
  return NULL;
}

static gboolean
is_equal (const SwarmConstraint *self, const SwarmNode *node)
{
  if (g_ascii_strcasecmp (self->key, "node.ip") == 0)
    return ip_is_equal (self->value, node);
  if (g_ascii_strcasecmp (self->key, "node.id") == 0)
    return g_ascii_strcasecmp (self->value, swarm_id_string (&node->object.id).str) == 0;
  return g_ascii_strcasecmp (self->value, or_empty (node_value (self->key, node))) == 0;
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
