// SPDX-License-Identifier: LGPL-2.1-or-later
#include "api/private.h"
#include "base/error.h"
#include <string.h>

#define DEFAULT_PAGE 500
#define MAX_PAGE 2000
#define PAGE_BYTES (1 << 20)
#define PAGE_US (5 * G_TIME_SPAN_MILLISECOND)
#define PAGE_PART 64 /* objects between two looks at the clock */

SwarmApi *
swarm_api_of (SwarmInvocation *invocation)
{
  return swarm_invocation_data (invocation);
}

GError *
swarm_api_not_manager_error (SwarmApi *self)
{
  const char *text;
  if (self->state == SWARM_LOCAL_LOCKED)
    return g_error_new_literal (SWARM_ERROR, SWARM_ERROR_LOCKED,
                                "Swarm is encrypted and needs to be unlocked before it can be used. "
                                "Please use \"swarmctl unlock\" to unlock it.");
  if (self->state == SWARM_LOCAL_INACTIVE)
    text = "This node is not a swarm manager. Use \"swarmctl init\" or \"swarmctl join\" to connect this node to swarm and try again.";
  else if (self->state == SWARM_LOCAL_ACTIVE)
    text = "This node is not a swarm manager. Worker nodes can't be used to view or modify cluster state. "
           "Please run this command on a manager node or promote the current node to a manager.";
  else
    text = "This node is not a swarm manager. Manager is being prepared or has trouble connecting to the cluster.";
  if (self->state != SWARM_LOCAL_ACTIVE && self->error != NULL) /* a wrong clock, an expired certificate, a full or damaged disk: say so where it is noticed */
    return g_error_new (SWARM_ERROR, SWARM_ERROR_NOT_MANAGER, "%s This node says: %s", text, self->error);
  return g_error_new_literal (SWARM_ERROR, SWARM_ERROR_NOT_MANAGER, text);
}

gboolean
swarm_api_need_manager (SwarmApi *self, SwarmInvocation *invocation)
{
  if (self->store != NULL && swarm_store_cluster (self->store) != NULL)
    return TRUE;
  g_autoptr (GError) error = swarm_api_not_manager_error (self);
  swarm_invocation_fail (invocation, error);
  return FALSE;
}

void
swarm_api_done (const SwarmControlReply *reply, const GError *error, gpointer data)
{
  SwarmInvocation *invocation = data;
  if (error != NULL)
    swarm_invocation_fail (invocation, error);
  else
    swarm_invocation_return (invocation, NULL);
}

void
swarm_api_object_dict (GVariantDict *dict, gconstpointer object, const SwarmApi *self)
{
  g_autoptr (GVariant) members = g_variant_ref_sink (swarm_message_to_variant (object, SWARM_FORM_COMPLETE));
  GVariantDict version;
  g_variant_dict_init (dict, members);
  g_variant_dict_init (&version, NULL);
  g_variant_dict_insert (&version, "Index", "t", SWARM_OBJECT (object)->version);
  g_variant_dict_insert_value (dict, "Version", g_variant_dict_end (&version));
}

GVariant *
swarm_api_list (GPtrArray *variants)
{
  return g_variant_new_array (G_VARIANT_TYPE_VARDICT, (GVariant *const *) variants->pdata, variants->len);
}

void
swarm_api_page_init (SwarmApiPage *self, guint limit)
{
  *self = (SwarmApiPage){ .items = g_ptr_array_new_with_free_func ((GDestroyNotify) g_variant_unref),
                          .limit = limit == 0 ? DEFAULT_PAGE : MIN (limit, MAX_PAGE),
                          .end = g_get_monotonic_time () + PAGE_US };
}

void
swarm_api_page_clear (SwarmApiPage *self)
{
  g_clear_pointer (&self->items, g_ptr_array_unref);
}

gboolean
swarm_api_page_take (SwarmApiPage *self, GVariant *item)
{
  g_autoptr (GVariant) kept = item != NULL ? g_variant_ref_sink (item) : NULL;
  gsize size = kept != NULL ? g_variant_get_size (kept) : 0;
  gboolean time_is_up = self->n_seen > 0 && self->n_seen % PAGE_PART == 0 && g_get_monotonic_time () > self->end;
  gboolean is_full = kept != NULL && self->items->len > 0 && (self->items->len == self->limit || self->bytes + size > PAGE_BYTES);
  if (time_is_up || is_full) {
    self->more = TRUE;
    return FALSE;
  }
  self->n_seen++;
  self->bytes += size;
  if (kept != NULL)
    g_ptr_array_add (self->items, g_steal_pointer (&kept));
  return TRUE;
}

gpointer
swarm_api_find (SwarmApi *self, SwarmKind kind, const char *tail)
{
  SwarmId id;
  if (self->store == NULL || !swarm_id_parse (tail, &id))
    return NULL;
  return swarm_store_get (self->store, kind, &id);
}

typedef struct {
  SwarmBusEachFunc func;
  gpointer data;
} EachContext;

static gboolean
each_object (gpointer object, gpointer data)
{
  EachContext *context = data;
  context->func (swarm_id_string (&SWARM_OBJECT (object)->id).str, object, context->data);
  return TRUE;
}

void
swarm_api_each (SwarmApi *self, SwarmKind kind, SwarmBusEachFunc func, gpointer each_data)
{
  EachContext context = { func, each_data };
  if (self->store != NULL)
    swarm_store_foreach (self->store, kind, each_object, &context);
}

gboolean
swarm_api_check_options (GVariant *options, const char *const *allowed, GError **error)
{
  GVariantIter iter;
  const char *key;
  GVariant *value;
  g_variant_iter_init (&iter, options);
  while (g_variant_iter_next (&iter, "{&sv}", &key, &value)) {
    g_autoptr (GVariant) owned = value;
    gsize len = strlen (key);
    guint i;
    for (i = 0; allowed[i] != NULL; i++)
      if (strncmp (allowed[i], key, len) == 0 && allowed[i][len] == ':')
        break;
    if (allowed[i] == NULL) {
      g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "unknown option %s", key);
      return FALSE;
    }
    if (!g_variant_is_of_type (value, G_VARIANT_TYPE (allowed[i] + len + 1))) {
      g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "option %s has type %s, not %s", key,
                   g_variant_get_type_string (value), allowed[i] + len + 1);
      return FALSE;
    }
  }
  return TRUE;
}

static gboolean
is_state (const char *value)
{
  g_autofree char *lower = g_ascii_strdown (value, -1);
  SwarmTaskState state;
  return swarm_task_state_from_string (lower, &state);
}

static gboolean
is_role (const char *value)
{
  SwarmRole role;
  return swarm_role_from_string (value, &role);
}

static gboolean
is_membership (const char *value)
{
  return strcmp (value, "accepted") == 0 || strcmp (value, "pending") == 0;
}

static gboolean
is_mode (const char *value)
{
  SwarmServiceKind kind;
  return swarm_service_kind_from_string (value, &kind);
}

static gboolean
is_network_type (const char *value)
{
  return strcmp (value, "builtin") == 0 || strcmp (value, "custom") == 0;
}

/* A filter that has few values: another one leaves everything out, and would do so without a word. The texts are docker's. */
static gboolean
check_values (const char *key, GVariant *list, GError **error)
{
  static const struct {
    const char *key;
    gboolean (*is) (const char *value);
    const char *text; /* what stands before the value */
  } rules[] = {
    { "desired-state", is_state, "Invalid desired_state filter: " },
    { "membership", is_membership, "Invalid membership filter: " },
    { "mode", is_mode, "invalid filter: 'mode'=" },
    { "role", is_role, "Invalid role filter: " },
    { "type", is_network_type, "invalid filter: 'type'=" },
  };
  g_autofree const char **values = g_variant_get_strv (list, NULL);
  for (guint rule = 0; rule < G_N_ELEMENTS (rules); rule++) {
    for (guint i = 0; strcmp (key, rules[rule].key) == 0 && values[i] != NULL; i++) {
      if (rules[rule].is (values[i]))
        continue;
      g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "%s'%s'", rules[rule].text, values[i]);
      return FALSE;
    }
  }
  return TRUE;
}

gboolean
swarm_api_check_filters (GVariant *filters, const char *const *allowed, GError **error)
{
  GVariantIter iter;
  const char *key;
  GVariant *value;
  g_variant_iter_init (&iter, filters);
  while (g_variant_iter_next (&iter, "{&sv}", &key, &value)) {
    g_autoptr (GVariant) owned = value;
    if (!g_strv_contains (allowed, key)) {
      g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "invalid filter '%s'", key);
      return FALSE;
    }
    if (!g_variant_is_of_type (value, G_VARIANT_TYPE_STRING_ARRAY)) {
      g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "filter '%s' is not a list of strings", key);
      return FALSE;
    }
    if (!check_values (key, value, error))
      return FALSE;
  }
  return TRUE;
}

gboolean
swarm_api_filter (GVariant *filters, const char *name, gboolean (*match) (const char *value, gpointer data), gpointer data)
{
  g_autofree const char **values = NULL;
  g_autoptr (GVariant) list = g_variant_lookup_value (filters, name, G_VARIANT_TYPE_STRING_ARRAY);
  if (list == NULL)
    return TRUE;
  values = g_variant_get_strv (list, NULL);
  for (guint i = 0; values[i] != NULL; i++)
    if (match (values[i], data))
      return TRUE;
  return FALSE;
}
