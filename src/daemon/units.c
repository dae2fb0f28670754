// SPDX-License-Identifier: LGPL-2.1-or-later
/* org.freedesktop.systemd1 (man 5 org.freedesktop.systemd1). Jobs are awaited by JobRemoved; watched units are followed by UnitNew,
 * UnitRemoved and each unit's PropertiesChanged, of which systemd sends the Service part before the Unit part. */
#include "daemon/units.h"
#include "base/error.h"
#include <string.h>
#include <systemd/sd-bus.h>

#define SYSTEMD_NAME "org.freedesktop.systemd1"
#define SYSTEMD_PATH "/org/freedesktop/systemd1"
#define SYSTEMD_MANAGER "org.freedesktop.systemd1.Manager"
#define SYSTEMD_UNIT "org.freedesktop.systemd1.Unit"
#define SYSTEMD_SERVICE "org.freedesktop.systemd1.Service"
#define PROPERTIES "org.freedesktop.DBus.Properties"
#define CALL_TIMEOUT_MS 25000
#define JOB_TIMEOUT_MS (15 * 60 * 1000) /* pulls may be long; the plugin's own deadline is shorter */
#define ASK_AGAIN_S 1

typedef struct {
  SwarmPluginServices services;
  SwarmBus *bus;
  GCancellable *cancellable;
  GHashTable *jobs;    /* job path → Request */
  GPtrArray *watches;  /* Watch */
  GHashTable *watched; /* unit name → WatchedUnit */
  guint next_watch;
  guint signal_ids[3];
  GHashTable *doubtful; /* names of watched units, and prefixes with a '*', that systemd gave no answer about: asked again */
  guint ask_again;
} Units;

typedef struct {
  guint id;
  char *prefix;
  SwarmUnitWatchFunc func;
  gpointer data;
} Watch;

typedef struct {
  Units *owner;
  char *name;
  guint subscription;
  GVariant *unit;    /* a{sv}: the few properties that matter */
  GVariant *service;
  SwarmPluginUnitState last;
  char *last_result;
} WatchedUnit;

/* One request of a plugin on its way. */
typedef struct _Request Request;
struct _Request {
  Units *owner;
  Request *next; /* of those that wait for the same job */
  char *name;
  char *job;
  gboolean stopping;
  guint timeout;
  SwarmUnitFunc func;
  gpointer data;
  GError *error; /* of the job, reported with the state */
  GVariant *unit;
};

static gboolean
is_cancelled (const GError *error)
{
  return g_error_matches (error, SWARM_ERROR, SWARM_ERROR_CANCELLED);
}

static void check_unit (Units *self, const char *name);
static gboolean is_watched (Units *self, const char *name);
static void watch_unit (Units *self, const char *name);

/* ---- small helpers ---- */

static char *
unit_path (const char *name)
{
  char *path = NULL;
  if (sd_bus_path_encode (SYSTEMD_PATH "/unit", name, &path) < 0)
    return g_strdup ("/");
  char *copy = g_strdup (path);
  free (path);
  return copy;
}

static void
request_free (Request *request)
{
  if (request->timeout != 0)
    g_source_remove (request->timeout);
  g_free (request->name);
  g_free (request->job);
  g_clear_error (&request->error);
  g_clear_pointer (&request->unit, g_variant_unref);
  g_free (request);
}

static void
request_finish (Request *request, const SwarmPluginUnitState *state, const GError *error)
{
  request->func (state, error, request->data);
  request_free (request);
}

static void
manager_call (Units *self, const char *member, GVariant *args, SwarmBusReplyFunc func, gpointer data)
{
  swarm_bus_call (self->bus, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_MANAGER, member, args, CALL_TIMEOUT_MS, self->cancellable, func, data);
}

static void
get_all (Units *self, const char *name, const char *iface, SwarmBusReplyFunc func, gpointer data)
{
  g_autofree char *path = unit_path (name);
  swarm_bus_call (self->bus, SYSTEMD_NAME, path, PROPERTIES, "GetAll", g_variant_new ("(s)", iface), CALL_TIMEOUT_MS, self->cancellable,
                  func, data);
}

/* Keeps what swarm_plugin_unit_state() looks at. */
static GVariant *
pick (GVariant *old, GVariant *news)
{
  static const char *const keys[] = { "ActiveState", "SubState", "LoadState", "Id", "MainPID", "ExecMainPID", "ExecMainCode",
                                      "ExecMainStatus", "ExecMainStartTimestamp", "ExecMainExitTimestamp", "Result" };
  GVariantDict dict;
  g_variant_dict_init (&dict, old);
  for (guint i = 0; i < G_N_ELEMENTS (keys); i++) {
    g_autoptr (GVariant) value = g_variant_lookup_value (news, keys[i], NULL);
    if (value != NULL)
      g_variant_dict_insert_value (&dict, keys[i], value);
  }
  return g_variant_ref_sink (g_variant_dict_end (&dict));
}

/* ---- state of one unit ---- */

/* No answer is not "no such unit": whoever asked must not take a running unit for one that is gone. */
static void
query_service (GVariant *reply, GUnixFDList *fds, const GError *error, gpointer data)
{
  Request *request = data;
  SwarmPluginUnitState state;
  if (error != NULL) {
    request_finish (request, NULL, request->error != NULL ? request->error : error);
    return;
  }
  g_autoptr (GVariant) service = reply != NULL ? g_variant_get_child_value (reply, 0) : NULL;
  swarm_plugin_unit_state (request->name, request->unit, service, &state);
  request_finish (request, &state, request->error);
}

static void
query_unit (GVariant *reply, GUnixFDList *fds, const GError *error, gpointer data)
{
  Request *request = data;
  if (g_error_matches (error, SWARM_ERROR, SWARM_ERROR_NOT_FOUND)) {
    SwarmPluginUnitState absent = { .name = request->name, .phase = SWARM_PLUGIN_UNIT_ABSENT };
    request_finish (request, &absent, request->error);
    return;
  }
  if (error != NULL) {
    request_finish (request, NULL, request->error != NULL ? request->error : error);
    return;
  }
  request->unit = g_variant_get_child_value (reply, 0);
  get_all (request->owner, request->name, SYSTEMD_SERVICE, query_service, request);
}

static void
query_state (Request *request)
{
  get_all (request->owner, request->name, SYSTEMD_UNIT, query_unit, request);
}

/* GetUnit first: asking the properties of an unknown unit's path would load a stub of it. */
static void
got_unit (GVariant *reply, GUnixFDList *fds, const GError *error, gpointer data)
{
  if (error != NULL)
    query_unit (NULL, NULL, error, data);
  else
    query_state (data);
}

static Request *
request_new (SwarmPluginServices *services, const char *name, SwarmUnitFunc func, gpointer data)
{
  Request *request = g_new0 (Request, 1);
  request->owner = (Units *) services;
  request->name = g_strdup (name);
  request->func = func;
  request->data = data;
  return request;
}

static void
units_query (SwarmPluginServices *services, const char *name, SwarmUnitFunc func, gpointer data)
{
  Request *request = request_new (services, name, func, data);
  manager_call (request->owner, "GetUnit", g_variant_new ("(s)", name), got_unit, request);
}

/* ---- jobs ---- */

static void
reset_done (GVariant *reply, GUnixFDList *fds, const GError *error, gpointer data)
{
  Request *request = data; /* not failed any more, or never was: both fine */
  SwarmPluginUnitState absent = { .name = request->name, .phase = SWARM_PLUGIN_UNIT_ABSENT };
  request_finish (request, &absent, request->error);
}

/* What the signals have told of a watched unit. systemd sends a unit's changes before it says that a job is over; NULL: not enough is known. */
static WatchedUnit *
told_unit (Units *self, const char *name)
{
  WatchedUnit *unit = g_hash_table_lookup (self->watched, name);
  gboolean told = unit != NULL && unit->service != NULL && unit->unit != NULL && g_variant_lookup (unit->unit, "ActiveState", "&s", &(const char *){ NULL });
  return told ? unit : NULL;
}

static void
job_ended (Request *request, const char *result)
{
  SwarmPluginUnitState state;
  WatchedUnit *told;
  if (request->timeout != 0)
    g_source_remove (request->timeout);
  request->timeout = 0;
  if (request->stopping) {
    manager_call (request->owner, "ResetFailedUnit", g_variant_new ("(s)", request->name), reset_done, request);
    return;
  }
  if (strcmp (result, "done") != 0)
    request->error = g_error_new (SWARM_ERROR, strcmp (result, "timeout") == 0 ? SWARM_ERROR_TIMED_OUT : SWARM_ERROR_FAILED,
                                  "start job of %s: %s", request->name, result);
  told = told_unit (request->owner, request->name);
  if (told != NULL) {
    swarm_plugin_unit_state (request->name, told->unit, told->service, &state);
    request_finish (request, &state, request->error);
    return;
  }
  manager_call (request->owner, "GetUnit", g_variant_new ("(s)", request->name), got_unit, request);
}

static void
on_job_removed (const char *sender, const char *path, const char *member, GVariant *args, gpointer data)
{
  Units *self = data;
  const char *job, *unit, *result;
  if (!g_variant_is_of_type (args, G_VARIANT_TYPE ("(uoss)")))
    return;
  g_variant_get (args, "(u&o&s&s)", NULL, &job, &unit, &result);
  Request *request = g_hash_table_lookup (self->jobs, job), *next;
  if (request == NULL)
    return;
  g_hash_table_remove (self->jobs, job);
  for (; request != NULL; request = next) {
    next = request->next;
    job_ended (request, result);
  }
}

/* systemd merges what is asked twice, so that several may wait for one job. */
static void
wait_for_job (Request *request)
{
  request->next = g_hash_table_lookup (request->owner->jobs, request->job);
  g_hash_table_replace (request->owner->jobs, request->job, request);
}

static void
wait_no_more (Request *request)
{
  GHashTable *jobs = request->owner->jobs;
  Request *first = g_hash_table_lookup (jobs, request->job);
  if (first != request) {
    while (first->next != request)
      first = first->next;
    first->next = request->next;
  } else if (request->next != NULL) {
    g_hash_table_replace (jobs, request->next->job, request->next);
  } else {
    g_hash_table_remove (jobs, request->job);
  }
}

static gboolean
job_timeout (gpointer data)
{
  Request *request = data;
  request->timeout = 0;
  wait_no_more (request);
  g_autoptr (GError) error = g_error_new (SWARM_ERROR, SWARM_ERROR_TIMED_OUT, "systemd did not finish its job for %s", request->name);
  request_finish (request, NULL, error);
  return G_SOURCE_REMOVE;
}

static void
job_started (GVariant *reply, GUnixFDList *fds, const GError *error, gpointer data)
{
  Request *request = data;
  if (error == NULL) {
    g_variant_get (reply, "(o)", &request->job);
    request->timeout = g_timeout_add (JOB_TIMEOUT_MS, job_timeout, request);
    wait_for_job (request);
    return;
  }
  if (request->stopping && g_error_matches (error, SWARM_ERROR, SWARM_ERROR_NOT_FOUND)) { /* not loaded: nothing to stop */
    job_ended (request, "done");
    return;
  }
  if (strstr (error->message, "already") != NULL || strstr (error->message, "has a fragment file") != NULL) {
    g_autoptr (GError) exists = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_ALREADY_EXISTS, error->message);
    request_finish (request, NULL, exists);
    return;
  }
  if (!is_cancelled (error) && g_hash_table_contains (request->owner->watched, request->name))
    check_unit (request->owner, request->name);
  request_finish (request, NULL, error);
}

static void
units_start (SwarmPluginServices *services, const char *name, GVariant *properties, SwarmUnitFunc func, gpointer data)
{
  Request *request = request_new (services, name, func, data);
  if (is_watched (request->owner, name)) /* from its first change on, so that nothing has to be asked */
    watch_unit (request->owner, name);
  manager_call (request->owner, "StartTransientUnit",
                g_variant_new ("(ss@a(sv)@a(sa(sv)))", name, "fail", properties, g_variant_new_array (G_VARIANT_TYPE ("(sa(sv))"), NULL, 0)),
                job_started, request);
}

static void
units_stop (SwarmPluginServices *services, const char *name, SwarmUnitFunc func, gpointer data)
{
  Request *request = request_new (services, name, func, data);
  request->stopping = TRUE;
  manager_call (request->owner, "StopUnit", g_variant_new ("(ss)", name, "replace"), job_started, request);
}

/* ---- lists ---- */

typedef struct {
  Units *owner;
  SwarmUnitListFunc func;
  gpointer data;
  GArray *states;
  GPtrArray *keep; /* strings that states point to */
  guint waiting;
  GError *error; /* one unit that cannot be asked about spoils the list: it would look as if it were gone */
} ListRequest;

static void
list_finish (ListRequest *list, const GError *error)
{
  if (error != NULL)
    list->func (NULL, 0, error, list->data);
  else
    list->func ((SwarmPluginUnitState *) list->states->data, list->states->len, NULL, list->data);
  g_array_unref (list->states);
  g_ptr_array_unref (list->keep);
  g_clear_error (&list->error);
  g_free (list);
}

static void
list_item (const SwarmPluginUnitState *state, const GError *error, gpointer data)
{
  ListRequest *list = data;
  if (state != NULL && state->phase != SWARM_PLUGIN_UNIT_ABSENT) {
    SwarmPluginUnitState copy = *state;
    char *name = g_strdup (state->name), *result = g_strdup (state->result);
    g_ptr_array_add (list->keep, name);
    g_ptr_array_add (list->keep, result);
    copy.name = name;
    copy.result = result;
    g_array_append_val (list->states, copy);
  }
  if (error != NULL && list->error == NULL)
    list->error = g_error_copy (error);
  if (--list->waiting == 0)
    list_finish (list, list->error);
}

static void
listed (GVariant *reply, GUnixFDList *fds, const GError *error, gpointer data)
{
  ListRequest *list = data;
  if (error != NULL) {
    list_finish (list, error);
    return;
  }
  g_autoptr (GVariant) units = g_variant_get_child_value (reply, 0);
  gsize n = g_variant_n_children (units);
  list->waiting = n + 1;
  for (gsize i = 0; i < n; i++) {
    const char *name;
    g_variant_get_child (units, i, "(&ssssssouso)", &name, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
    units_query (&list->owner->services, name, list_item, list);
  }
  list_item (NULL, NULL, list);
}

static void
units_list (SwarmPluginServices *services, const char *prefix, SwarmUnitListFunc func, gpointer data)
{
  ListRequest *list = g_new0 (ListRequest, 1);
  g_autofree char *pattern = g_strconcat (prefix, "*", NULL);
  const char *states[] = { NULL }, *patterns[] = { pattern, NULL };
  list->owner = (Units *) services;
  list->func = func;
  list->data = data;
  list->states = g_array_new (FALSE, TRUE, sizeof (SwarmPluginUnitState));
  list->keep = g_ptr_array_new_with_free_func (g_free);
  manager_call (list->owner, "ListUnitsByPatterns", g_variant_new ("(^as^as)", states, patterns), listed, list);
}

/* ---- watches ---- */

static void
watched_free (gpointer data)
{
  WatchedUnit *unit = data;
  swarm_bus_unsubscribe (unit->owner->bus, unit->subscription);
  g_free (unit->name);
  g_free (unit->last_result);
  g_clear_pointer (&unit->unit, g_variant_unref);
  g_clear_pointer (&unit->service, g_variant_unref);
  g_free (unit);
}

static void
tell_watchers (Units *self, const SwarmPluginUnitState *state)
{
  for (guint i = 0; i < self->watches->len; i++) {
    Watch *watch = self->watches->pdata[i];
    if (g_str_has_prefix (state->name, watch->prefix))
      watch->func (state, watch->data);
  }
}

static void
watched_changed (WatchedUnit *unit)
{
  SwarmPluginUnitState state;
  /* Signals carry what changed: without a known ActiveState there is nothing to tell yet. */
  if (unit->unit == NULL || !g_variant_lookup (unit->unit, "ActiveState", "&s", &(const char *){ NULL }))
    return;
  swarm_plugin_unit_state (unit->name, unit->unit, unit->service, &state);
  if (state.phase == unit->last.phase && state.main_pid == unit->last.main_pid && state.exit_code == unit->last.exit_code
      && state.exited_at == unit->last.exited_at)
    return;
  g_free (unit->last_result);
  unit->last_result = g_strdup (state.result);
  unit->last = state;
  tell_watchers (unit->owner, &state);
}

static void
on_properties (const char *sender, const char *path, const char *member, GVariant *args, gpointer data)
{
  WatchedUnit *unit = data;
  const char *iface;
  g_autoptr (GVariant) changed = NULL;
  if (!g_variant_is_of_type (args, G_VARIANT_TYPE ("(sa{sv}as)")))
    return;
  g_variant_get (args, "(&s@a{sv}as)", &iface, &changed, NULL);
  gboolean is_unit = strcmp (iface, SYSTEMD_UNIT) == 0;
  if (!is_unit && strcmp (iface, SYSTEMD_SERVICE) != 0)
    return;
  GVariant **slot = is_unit ? &unit->unit : &unit->service;
  GVariant *merged = pick (*slot, changed);
  g_clear_pointer (slot, g_variant_unref);
  *slot = merged;
  if (is_unit)
    watched_changed (unit);
}

static void
watch_unit (Units *self, const char *name)
{
  if (g_hash_table_contains (self->watched, name))
    return;
  WatchedUnit *unit = g_new0 (WatchedUnit, 1);
  g_autofree char *path = unit_path (name);
  unit->owner = self;
  unit->name = g_strdup (name);
  unit->last.phase = G_MAXUINT32;
  unit->subscription = swarm_bus_subscribe (self->bus, SYSTEMD_NAME, path, PROPERTIES, "PropertiesChanged", on_properties, unit);
  g_hash_table_insert (self->watched, unit->name, unit);
}

/* ---- what systemd gave no answer about ---- */

static void checked_removed (const SwarmPluginUnitState *state, const GError *error, gpointer data);
static void list_for_watch (Units *self, const char *prefix);

typedef struct {
  Units *owner;
  char *name;
} Check;

static void
check_unit (Units *self, const char *name)
{
  Check *check = g_new (Check, 1);
  *check = (Check){ self, g_strdup (name) };
  units_query (&self->services, name, checked_removed, check);
}

static gboolean
ask_again (gpointer data)
{
  Units *self = data;
  g_autoptr (GHashTable) doubtful = g_steal_pointer (&self->doubtful);
  GHashTableIter iter;
  const char *name;
  self->ask_again = 0;
  self->doubtful = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_hash_table_iter_init (&iter, doubtful);
  while (g_hash_table_iter_next (&iter, (gpointer *) &name, NULL)) {
    if (g_str_has_suffix (name, "*")) {
      g_autofree char *prefix = g_strndup (name, strlen (name) - 1);
      list_for_watch (self, prefix);
    } else if (g_hash_table_contains (self->watched, name)) {
      check_unit (self, name);
    }
  }
  return G_SOURCE_REMOVE;
}

/* Takes @name. */
static void
doubt (Units *self, char *name)
{
  g_hash_table_add (self->doubtful, name);
  if (self->ask_again == 0)
    self->ask_again = g_timeout_add_seconds (ASK_AGAIN_S, ask_again, self);
}

/* A unit that was there before the watch: what signals do not repeat is asked for. The answers are newer than all signals before them. */
typedef struct {
  Units *owner;
  char *name;
  gboolean service;
} BaseRequest;

static void
got_base (GVariant *reply, GUnixFDList *fds, const GError *error, gpointer data)
{
  BaseRequest *request = data;
  WatchedUnit *unit = error == NULL ? g_hash_table_lookup (request->owner->watched, request->name) : NULL;
  if (error != NULL && !is_cancelled (error))
    doubt (request->owner, g_strdup (request->name));
  if (unit != NULL) {
    g_autoptr (GVariant) all = g_variant_get_child_value (reply, 0);
    GVariant **slot = request->service ? &unit->service : &unit->unit;
    g_clear_pointer (slot, g_variant_unref);
    *slot = pick (NULL, all);
    if (!request->service)
      watched_changed (unit);
  }
  g_free (request->name);
  g_free (request);
}

static void
ask_base (Units *self, const char *name, gboolean service)
{
  BaseRequest *request = g_new (BaseRequest, 1);
  *request = (BaseRequest){ self, g_strdup (name), service };
  get_all (self, name, service ? SYSTEMD_SERVICE : SYSTEMD_UNIT, got_base, request);
}

static gboolean
is_watched (Units *self, const char *name)
{
  for (guint i = 0; i < self->watches->len; i++)
    if (g_str_has_prefix (name, ((Watch *) self->watches->pdata[i])->prefix))
      return TRUE;
  return FALSE;
}

static void
on_unit_new (const char *sender, const char *path, const char *member, GVariant *args, gpointer data)
{
  Units *self = data;
  const char *name;
  if (!g_variant_is_of_type (args, G_VARIANT_TYPE ("(so)")))
    return;
  g_variant_get (args, "(&so)", &name, NULL);
  if (is_watched (self, name))
    watch_unit (self, name);
}

/* ---- units that go ---- */

static void
check_removed_now (Units *self, const SwarmPluginUnitState *state)
{
  if (!g_hash_table_contains (self->watched, state->name))
    return;
  if (state->phase != SWARM_PLUGIN_UNIT_ABSENT) {
    ask_base (self, state->name, TRUE);
    ask_base (self, state->name, FALSE);
    return;
  }
  g_hash_table_remove (self->watched, state->name);
  tell_watchers (self, state);
}

/* Cancelled: the units are freed already. */
static void
checked_removed (const SwarmPluginUnitState *state, const GError *error, gpointer data)
{
  g_autofree Check *check = data;
  g_autofree char *name = check->name;
  if (is_cancelled (error))
    return;
  if (state != NULL)
    check_removed_now (check->owner, state);
  else
    doubt (check->owner, g_steal_pointer (&name));
}

/* A daemon-reload says that all units are removed and new: only asking tells. */
static void
on_unit_removed (const char *sender, const char *path, const char *member, GVariant *args, gpointer data)
{
  Units *self = data;
  const char *name;
  if (!g_variant_is_of_type (args, G_VARIANT_TYPE ("(so)")))
    return;
  g_variant_get (args, "(&so)", &name, NULL);
  if (g_hash_table_contains (self->watched, name))
    check_unit (self, name);
}

static void
found_for_watch (const SwarmPluginUnitState *states, gsize n_states, const GError *error, gpointer data)
{
  g_autofree Check *check = data;
  g_autofree char *pattern = check->name;
  Units *self = check->owner;
  if (is_cancelled (error))
    return;
  if (error != NULL)
    doubt (self, g_steal_pointer (&pattern));
  for (gsize i = 0; i < n_states; i++) {
    watch_unit (self, states[i].name);
    ask_base (self, states[i].name, TRUE);
    ask_base (self, states[i].name, FALSE);
  }
}

static void
list_for_watch (Units *self, const char *prefix)
{
  Check *check = g_new (Check, 1);
  *check = (Check){ self, g_strconcat (prefix, "*", NULL) };
  units_list (&self->services, prefix, found_for_watch, check);
}

static guint
units_watch (SwarmPluginServices *services, const char *prefix, SwarmUnitWatchFunc func, gpointer data)
{
  Units *self = (Units *) services;
  Watch *watch = g_new0 (Watch, 1);
  watch->id = ++self->next_watch;
  watch->prefix = g_strdup (prefix);
  watch->func = func;
  watch->data = data;
  g_ptr_array_add (self->watches, watch);
  list_for_watch (self, prefix);
  return watch->id;
}

static void
watch_free (gpointer data)
{
  Watch *watch = data;
  g_free (watch->prefix);
  g_free (watch);
}

static void
units_unwatch (SwarmPluginServices *services, guint id)
{
  Units *self = (Units *) services;
  for (guint i = 0; i < self->watches->len; i++)
    if (((Watch *) self->watches->pdata[i])->id == id) {
      g_ptr_array_remove_index (self->watches, i);
      return;
    }
}

/* ---- life ---- */

static void
subscribed (GVariant *reply, GUnixFDList *fds, const GError *error, gpointer data)
{
  /* AlreadySubscribed and the like are fine; a bus without systemd shows at the first request. */
}

SwarmPluginServices *
swarm_units_new (SwarmBus *bus)
{
  static const struct {
    const char *member;
    SwarmBusSignalFunc func;
  } signals[] = { { "JobRemoved", on_job_removed }, { "UnitNew", on_unit_new }, { "UnitRemoved", on_unit_removed } };
  Units *self = g_new0 (Units, 1);
  self->services = (SwarmPluginServices){ units_start, units_stop, units_query, units_list, units_watch, units_unwatch };
  self->bus = bus;
  self->cancellable = g_cancellable_new ();
  self->jobs = g_hash_table_new (g_str_hash, g_str_equal);
  self->watches = g_ptr_array_new_with_free_func (watch_free);
  self->watched = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, watched_free);
  self->doubtful = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (signals); i++)
    self->signal_ids[i] = swarm_bus_subscribe (bus, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_MANAGER, signals[i].member, signals[i].func, self);
  manager_call (self, "Subscribe", NULL, subscribed, self);
  return &self->services;
}

void
swarm_units_free (SwarmPluginServices *services)
{
  Units *self = (Units *) services;
  if (services == NULL || services == swarm_units_none ())
    return;
  /* Answers of calls under way come as CANCELLED, after this: they touch nothing of ours. */
  g_cancellable_cancel (self->cancellable);
  if (self->ask_again != 0)
    g_source_remove (self->ask_again);
  for (guint i = 0; i < G_N_ELEMENTS (self->signal_ids); i++)
    swarm_bus_unsubscribe (self->bus, self->signal_ids[i]);
  GHashTableIter iter;
  Request *request, *next;
  g_hash_table_iter_init (&iter, self->jobs);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &request)) {
    g_hash_table_iter_steal (&iter);
    for (; request != NULL; request = next) {
      next = request->next;
      request_free (request);
    }
  }
  g_hash_table_unref (self->jobs);
  g_hash_table_unref (self->watched);
  g_hash_table_unref (self->doubtful);
  g_ptr_array_unref (self->watches);
  g_object_unref (self->cancellable);
  g_free (self);
}

/* ---- without a bus ---- */

static void
none_answer (gpointer func, gpointer data, gboolean is_list)
{
  g_autoptr (GError) error = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_UNAVAILABLE, "no system bus: units cannot be started (--bus none)");
  if (is_list)
    ((SwarmUnitListFunc) func) (NULL, 0, error, data);
  else
    ((SwarmUnitFunc) func) (NULL, error, data);
}

typedef struct {
  gpointer func;
  gpointer data;
  gboolean is_list;
} NoneAnswer;

static gboolean
none_idle (gpointer data)
{
  NoneAnswer *answer = data;
  none_answer (answer->func, answer->data, answer->is_list);
  return G_SOURCE_REMOVE;
}

static void
none_later (gpointer func, gpointer data, gboolean is_list)
{
  NoneAnswer *answer = g_new (NoneAnswer, 1);
  *answer = (NoneAnswer){ func, data, is_list };
  g_idle_add_full (G_PRIORITY_DEFAULT, none_idle, answer, g_free);
}

static void
none_start (SwarmPluginServices *self, const char *name, GVariant *properties, SwarmUnitFunc func, gpointer data)
{
  g_variant_unref (g_variant_ref_sink (properties));
  none_later (func, data, FALSE);
}

static void
none_unit (SwarmPluginServices *self, const char *name, SwarmUnitFunc func, gpointer data)
{
  none_later (func, data, FALSE);
}

static void
none_list (SwarmPluginServices *self, const char *prefix, SwarmUnitListFunc func, gpointer data)
{
  none_later (func, data, TRUE);
}

static guint
none_watch (SwarmPluginServices *self, const char *prefix, SwarmUnitWatchFunc func, gpointer data)
{
  return 1;
}

static void
none_unwatch (SwarmPluginServices *self, guint watch)
{
}

SwarmPluginServices *
swarm_units_none (void)
{
  static SwarmPluginServices services = { none_start, none_unit, none_unit, none_list, none_watch, none_unwatch };
  return &services;
}
