// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/error.h"
#include "base/log.h"
#include "base/random-system.h"
#include "plugin/host-private.h"
#include <glib-unix.h>
#include <string.h>

#define MAX_TIMERS 4096
#define MAX_WATCHES 64
#define MAX_REQUESTS 256
#define GIVE_UP_US (5 * G_USEC_PER_SEC)
#define OUTPUT_MAX (64 * 1024)
#define LONG_CALL_US (10 * 1000)

typedef struct {
  SwarmHost *host;
  guint64 number;
  SwarmTimer *timer;
  SwarmPluginTimerFunc func;
  void *data;
} HostTimer;

typedef struct {
  SwarmHost *host;
  guint source;
  SwarmPluginFdFunc func;
  void *data;
} HostWatch;

/* One request of the plugin to the services. */
typedef struct {
  SwarmHost *host; /* NULL once it is gone: the answer is dropped */
  gboolean is_ours; /* nobody else holds it: a file request, or a refusal that waits for its turn */
  SwarmTimer *timer; /* of a refusal */
  GError *refusal;
  SwarmPluginUnitFunc unit_func;
  SwarmPluginUnitListFunc list_func;
  SwarmPluginFileFunc file_func;
  void *data;
} HostRequest;

typedef struct {
  SwarmHost *host;
  guint64 number;
  char *op;
  char *about;
  gint64 started;
  SwarmTimer *deadline;  /* then: give up */
  SwarmTimer *last;      /* given up: then answer without the plugin */
  SwarmTimer *delivery;
  gboolean timed_out;
  gboolean cancelled;
  gboolean abandoned; /* answered without the plugin, which may still finish it */
  SwarmHostAnswer *answer;
  SwarmHostDone done;
  gpointer data;
} HostCall;

/* All operations under way in this process. Plugins hold numbers dressed as pointers, so that a stale one is found out. */
static GHashTable *live_calls;
static guint64 last_number;

static SwarmHost *
host_of (SwarmPluginHost *abi)
{
  return (SwarmHost *) abi;
}

const char *
swarm_host_plugin_name (SwarmHost *self)
{
  return swarm_plugin_descriptor_of (self->plugin)->name;
}

/* ---- answers ---- */

static const char *
answer_string (SwarmHostAnswer *answer, const char *text)
{
  char *copy;

  if (text == NULL)
    return NULL;
  copy = g_utf8_make_valid (text, (gssize) strnlen (text, 4096));
  g_ptr_array_add (answer->strings, copy);
  return copy;
}

static SwarmHostAnswer *
answer_copy (const SwarmPluginResult *result)
{
  SwarmHostAnswer *answer = g_new0 (SwarmHostAnswer, 1);

  answer->strings = g_ptr_array_new_with_free_func (g_free);
  answer->view = *result;
  answer->view.error = answer_string (answer, result->error);
  answer->view.container_id = answer_string (answer, result->container_id);
  answer->view.image = answer_string (answer, result->image);
  answer->view.network_mode = answer_string (answer, result->network_mode);
  answer->view.resolver = answer_string (answer, result->resolver);
  answer->view.name = answer_string (answer, result->name);
  answer->view.output_length = result->output != NULL ? MIN (result->output_length, OUTPUT_MAX) : 0;
  answer->output = g_memdup2 (result->output, answer->view.output_length);
  answer->view.output = answer->output;
  if (result->health != NULL) {
    answer->health = *result->health;
    answer->health_test = g_strdupv ((char **) result->health->test);
    answer->health.test = (const char *const *) answer->health_test;
    answer->view.health = &answer->health;
  }
  answer->tasks = g_new0 (SwarmPluginTaskInfo, result->n_tasks + 1);
  for (gsize i = 0; i < result->n_tasks; i++) {
    answer->tasks[i] = result->tasks[i];
    answer->tasks[i].task_id = answer_string (answer, result->tasks[i].task_id);
    answer->tasks[i].container_id = answer_string (answer, result->tasks[i].container_id);
  }
  answer->view.tasks = answer->tasks;
  return answer;
}

static void
answer_free (SwarmHostAnswer *answer)
{
  if (answer == NULL)
    return;
  g_ptr_array_unref (answer->strings);
  g_free (answer->tasks);
  g_free (answer->output);
  g_strfreev (answer->health_test);
  g_free (answer);
}

static SwarmError
code_to_error (SwarmPluginCode code)
{
  switch (code) {
  case SWARM_PLUGIN_INVALID:
    return SWARM_ERROR_INVALID_ARGUMENT;
  case SWARM_PLUGIN_NOT_FOUND:
    return SWARM_ERROR_NOT_FOUND;
  case SWARM_PLUGIN_UNAVAILABLE:
    return SWARM_ERROR_UNAVAILABLE;
  case SWARM_PLUGIN_TIMED_OUT:
    return SWARM_ERROR_TIMED_OUT;
  case SWARM_PLUGIN_CANCELLED:
    return SWARM_ERROR_CANCELLED;
  default:
    return SWARM_ERROR_FAILED;
  }
}

static SwarmPluginCode
error_to_code (const GError *error)
{
  if (error == NULL)
    return SWARM_PLUGIN_OK;
  if (g_error_matches (error, G_FILE_ERROR, G_FILE_ERROR_NOENT) || g_error_matches (error, SWARM_ERROR, SWARM_ERROR_NOT_FOUND))
    return SWARM_PLUGIN_NOT_FOUND;
  if (g_error_matches (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT))
    return SWARM_PLUGIN_INVALID;
  if (g_error_matches (error, SWARM_ERROR, SWARM_ERROR_UNAVAILABLE))
    return SWARM_PLUGIN_UNAVAILABLE;
  if (g_error_matches (error, SWARM_ERROR, SWARM_ERROR_TIMED_OUT))
    return SWARM_PLUGIN_TIMED_OUT;
  if (g_error_matches (error, SWARM_ERROR, SWARM_ERROR_ALREADY_EXISTS))
    return SWARM_PLUGIN_EXISTS;
  return SWARM_PLUGIN_FAILED;
}

/* ---- operations that the host asks of the plugin ---- */

static void
call_free (gpointer data)
{
  HostCall *call = data;

  g_hash_table_remove (live_calls, &call->number);
  swarm_clock_clear_timer (call->host->clock, &call->deadline);
  swarm_clock_clear_timer (call->host->clock, &call->last);
  swarm_clock_clear_timer (call->host->clock, &call->delivery);
  answer_free (call->answer);
  g_free (call->op);
  g_free (call->about);
  g_free (call->data);
  g_free (call);
}

/* The plugin's answer reaches the asker in a turn of its own. */
static void
call_deliver (gpointer data)
{
  HostCall *call = data;
  SwarmHostAnswer *answer = g_steal_pointer (&call->answer);
  const SwarmPluginResult *view = &answer->view;
  gint64 took = swarm_clock_boottime (call->host->clock) - call->started;
  SwarmHostDone done = call->done;
  gpointer done_data = g_steal_pointer (&call->data);
  g_autoptr (GError) error = NULL;

  call->delivery = NULL;
  g_hash_table_steal (call->host->calls, &call->number);
  swarm_debug ("%s: %s %s: %s after %" G_GINT64_FORMAT " µs", swarm_host_plugin_name (call->host), call->op,
               call->about != NULL ? call->about : "", view->code == SWARM_PLUGIN_OK ? "done" : "failed", took);
  if (view->code != SWARM_PLUGIN_OK && call->timed_out)
    error = g_error_new (SWARM_ERROR, SWARM_ERROR_TIMED_OUT, "%s: %s took too long%s%s", swarm_host_plugin_name (call->host), call->op,
                         view->error != NULL && view->error[0] != '\0' ? ": " : "", view->error != NULL ? view->error : "");
  else if (view->code != SWARM_PLUGIN_OK)
    error = g_error_new_literal (SWARM_ERROR, (int) code_to_error (view->code),
                                 view->error != NULL && view->error[0] != '\0' ? view->error : "failed, and the plugin gave no reason");
  call_free (call); /* before the asker hears of it: it may do away with the host */
  done (error == NULL ? view : NULL, error, done_data);
  answer_free (answer);
}

static void
host_finish (SwarmPluginCall *plugin_call, const SwarmPluginResult *result)
{
  guint64 number = (guint64) GPOINTER_TO_SIZE (plugin_call);
  HostCall *call = live_calls != NULL ? g_hash_table_lookup (live_calls, &number) : NULL;

  if (call == NULL || call->answer != NULL) {
    swarm_warning ("A plugin answered operation %" G_GUINT64_FORMAT " a second time; the answer is dropped", number);
    return;
  }
  if (call->abandoned) {
    g_hash_table_remove (call->host->calls, &number);
    return;
  }
  call->answer = answer_copy (result);
  swarm_clock_clear_timer (call->host->clock, &call->deadline);
  swarm_clock_clear_timer (call->host->clock, &call->last);
  call->delivery = swarm_clock_timer (call->host->clock, 0, SWARM_PRIORITY_NORMAL, call_deliver, call);
}

static void
call_abandon (gpointer data)
{
  HostCall *call = data;
  g_autoptr (GError) error = NULL;

  call->last = NULL;
  call->abandoned = TRUE;
  swarm_warning ("%s does not give up %s %s; going on without it", swarm_host_plugin_name (call->host), call->op,
                 call->about != NULL ? call->about : "");
  error = g_error_new (SWARM_ERROR, (int) (call->timed_out ? SWARM_ERROR_TIMED_OUT : SWARM_ERROR_CANCELLED), "%s: %s %s",
                       swarm_host_plugin_name (call->host), call->op, call->timed_out ? "took too long" : "was cancelled");
  call->done (NULL, error, g_steal_pointer (&call->data));
}

static void
call_give_up (HostCall *call)
{
  if (call->cancelled || call->abandoned || call->answer != NULL)
    return;
  call->cancelled = TRUE;
  swarm_clock_clear_timer (call->host->clock, &call->deadline);
  call->last = swarm_clock_timer (call->host->clock, GIVE_UP_US, SWARM_PRIORITY_NORMAL, call_abandon, call);
  if (call->host->cancel != NULL)
    call->host->cancel (call->host->owner, (SwarmPluginCall *) GSIZE_TO_POINTER ((gsize) call->number));
}

static void
call_deadline (gpointer data)
{
  HostCall *call = data;

  call->deadline = NULL;
  call->timed_out = TRUE;
  call_give_up (call);
}

SwarmPluginCall *
swarm_host_call (SwarmHost *self, const char *op, const char *about, gint64 timeout_us, SwarmHostDone done, gpointer data,
                 guint64 *ret_number)
{
  HostCall *call = g_new0 (HostCall, 1);

  if (live_calls == NULL)
    live_calls = g_hash_table_new (g_int64_hash, g_int64_equal);
  call->host = self;
  call->number = ++last_number;
  call->op = g_strdup (op);
  call->about = g_strdup (about);
  call->started = swarm_clock_boottime (self->clock);
  call->done = done;
  call->data = data;
  call->deadline = swarm_clock_timer (self->clock, timeout_us, SWARM_PRIORITY_NORMAL, call_deadline, call);
  g_hash_table_insert (live_calls, &call->number, call);
  g_hash_table_insert (self->calls, &call->number, call);
  if (ret_number != NULL)
    *ret_number = call->number;
  return (SwarmPluginCall *) GSIZE_TO_POINTER ((gsize) call->number);
}

void
swarm_host_give_up (SwarmHost *self, guint64 number)
{
  HostCall *call = g_hash_table_lookup (self->calls, &number);

  if (call != NULL)
    call_give_up (call);
}

void
swarm_host_timed (SwarmHost *self, const char *op, gint64 started_us)
{
  gint64 took = g_get_monotonic_time () - started_us;

  if (took > LONG_CALL_US)
    swarm_warning ("%s held the agent for %" G_GINT64_FORMAT " ms in %s", swarm_host_plugin_name (self), took / 1000, op);
}

/* ---- log, configuration, time ---- */

static void
host_log (SwarmPluginHost *abi, int priority, const char *task_id, const char *text)
{
  SwarmHost *self = host_of (abi);
  g_autofree char *valid = g_utf8_make_valid (text, (gssize) strnlen (text, 4096));

  swarm_log (CLAMP (priority, LOG_ERR, LOG_DEBUG), NULL, SWARM_LOG_FIELDS ({ "SWARM_TASK_ID", task_id }), "%s: %s",
             swarm_host_plugin_name (self), valid);
}

static const char *
host_config (SwarmPluginHost *abi, const char *key)
{
  SwarmHost *self = host_of (abi);

  return self->config != NULL ? self->config (swarm_host_plugin_name (self), key, self->config_data) : NULL;
}

static int64_t
host_now (SwarmPluginHost *abi)
{
  return swarm_clock_now (host_of (abi)->clock);
}

static int64_t
host_monotonic (SwarmPluginHost *abi)
{
  return swarm_clock_boottime (host_of (abi)->clock);
}

static void
host_random (SwarmPluginHost *abi, void *buffer, size_t length)
{
  SwarmRandom *random = host_of (abi)->random;

  random->fill (random, buffer, length);
}

static void
timer_fired (gpointer data)
{
  HostTimer *timer = data;
  SwarmPluginTimerFunc func = timer->func;
  void *func_data = timer->data;
  SwarmHost *self = timer->host;
  gint64 started = g_get_monotonic_time ();

  timer->timer = NULL;
  g_hash_table_remove (self->timers, &timer->number);
  func (func_data);
  swarm_host_timed (self, "a timer", started);
}

static void
timer_free (gpointer data)
{
  HostTimer *timer = data;

  swarm_clock_clear_timer (timer->host->clock, &timer->timer);
  g_free (timer);
}

static uint64_t
host_timer (SwarmPluginHost *abi, int64_t delay_us, SwarmPluginTimerFunc func, void *data)
{
  SwarmHost *self = host_of (abi);
  HostTimer *timer;

  if (g_hash_table_size (self->timers) >= MAX_TIMERS || self->closing)
    return 0;
  timer = g_new0 (HostTimer, 1);
  timer->host = self;
  timer->number = ++last_number;
  timer->func = func;
  timer->data = data;
  timer->timer = swarm_clock_timer (self->clock, MAX (delay_us, 0), SWARM_PRIORITY_NORMAL, timer_fired, timer);
  g_hash_table_insert (self->timers, &timer->number, timer);
  return timer->number;
}

static void
host_timer_cancel (SwarmPluginHost *abi, uint64_t number)
{
  guint64 key = number;

  g_hash_table_remove (host_of (abi)->timers, &key);
}

/* ---- descriptors ---- */

static gboolean
fd_ready (gint fd, GIOCondition condition, gpointer data)
{
  HostWatch *watch = data;
  SwarmHost *self = watch->host;
  gboolean gone = (condition & (G_IO_HUP | G_IO_ERR | G_IO_NVAL)) != 0;
  guint32 ready = (gone || (condition & G_IO_IN) ? SWARM_PLUGIN_READABLE : 0) | (gone || (condition & G_IO_OUT) ? SWARM_PLUGIN_WRITABLE : 0);
  gint64 started = g_get_monotonic_time ();

  watch->func (fd, ready, watch->data); /* which may end the watch */
  swarm_host_timed (self, "a descriptor's watch", started);
  return G_SOURCE_CONTINUE;
}

static void
watch_free (gpointer data)
{
  HostWatch *watch = data;

  g_source_remove (watch->source);
  g_free (watch);
}

static uint64_t
host_fd_watch (SwarmPluginHost *abi, int fd, uint32_t events, SwarmPluginFdFunc func, void *data)
{
  SwarmHost *self = host_of (abi);
  HostWatch *watch;
  guint64 *number;

  if (g_hash_table_size (self->watches) >= MAX_WATCHES || self->closing)
    return 0;
  watch = g_new0 (HostWatch, 1);
  watch->host = self;
  watch->func = func;
  watch->data = data;
  watch->source = g_unix_fd_add (fd, (events & SWARM_PLUGIN_READABLE ? G_IO_IN : 0) | (events & SWARM_PLUGIN_WRITABLE ? G_IO_OUT : 0), fd_ready, watch);
  number = g_new (guint64, 1);
  *number = ++last_number;
  g_hash_table_insert (self->watches, number, watch);
  return *number;
}

static void
host_fd_unwatch (SwarmPluginHost *abi, uint64_t number)
{
  guint64 key = number;

  g_hash_table_remove (host_of (abi)->watches, &key);
}

/* ---- units and files ---- */

/* NULL when too many are under way, or services are not given here: the caller then refuses. */
static HostRequest *
request_new (SwarmHost *self, void *data)
{
  HostRequest *request;

  if (self->closing || g_hash_table_size (self->requests) >= MAX_REQUESTS)
    return NULL;
  request = g_new0 (HostRequest, 1);
  request->host = self;
  request->data = data;
  g_hash_table_add (self->requests, request);
  return request;
}

static void
request_free (HostRequest *request)
{
  if (request->timer != NULL)
    swarm_clock_clear_timer (request->host->clock, &request->timer);
  g_clear_error (&request->refusal);
  g_free (request);
}

/* FALSE: the plugin is gone. Frees nothing. */
static gboolean
request_ends (HostRequest *request)
{
  if (request->host == NULL)
    return FALSE;
  g_hash_table_remove (request->host->requests, request);
  return TRUE;
}

static void
unit_answer (const SwarmPluginUnitState *state, const GError *error, gpointer data)
{
  HostRequest *request = data;

  if (request_ends (request))
    request->unit_func (error_to_code (error), error != NULL ? error->message : NULL, state, request->data);
  g_free (request);
}

static void
list_answer (const SwarmPluginUnitState *states, gsize n_states, const GError *error, gpointer data)
{
  HostRequest *request = data;

  if (request_ends (request))
    request->list_func (error_to_code (error), error != NULL ? error->message : NULL, states, error == NULL ? n_states : 0,
                        request->data);
  g_free (request);
}

static void
file_answer (GBytes *content, const GError *error, gpointer data)
{
  HostRequest *request = data;
  gsize length = 0;
  const char *bytes = content != NULL ? g_bytes_get_data (content, &length) : NULL;

  if (request_ends (request) && request->file_func != NULL)
    request->file_func (error_to_code (error), error != NULL ? error->message : NULL, bytes, length, request->data);
  g_free (request);
}

static void
refusal_fires (gpointer data)
{
  HostRequest *request = data;
  SwarmPluginCode code = error_to_code (request->refusal);

  request->timer = NULL;
  request_ends (request);
  if (request->unit_func != NULL)
    request->unit_func (code, request->refusal->message, NULL, request->data);
  else if (request->list_func != NULL)
    request->list_func (code, request->refusal->message, NULL, 0, request->data);
  else if (request->file_func != NULL)
    request->file_func (code, request->refusal->message, NULL, 0, request->data);
  request_free (request);
}

/* A refusal comes in a turn of its own like any other answer. Takes @error. */
static void
refuse (SwarmHost *self, SwarmPluginUnitFunc unit, SwarmPluginUnitListFunc list, SwarmPluginFileFunc file, void *data, GError *error)
{
  HostRequest *request = g_new0 (HostRequest, 1);

  request->host = self;
  request->is_ours = TRUE;
  request->unit_func = unit;
  request->list_func = list;
  request->file_func = file;
  request->data = data;
  request->refusal = error;
  request->timer = swarm_clock_timer (self->clock, 0, SWARM_PRIORITY_NORMAL, refusal_fires, request);
  g_hash_table_add (self->requests, request);
}

static GError *
error_busy (void)
{
  return g_error_new_literal (SWARM_ERROR, SWARM_ERROR_UNAVAILABLE, "too many requests of this plugin are under way");
}

static GError *
error_not_here (const char *what)
{
  return g_error_new (SWARM_ERROR, SWARM_ERROR_NOT_SUPPORTED, "this plugin may not use %s", what);
}

static HostRequest *
unit_request (SwarmHost *self, SwarmPluginUnitFunc func, void *data)
{
  HostRequest *request = self->services != NULL ? request_new (self, data) : NULL;

  if (request == NULL)
    refuse (self, func, NULL, NULL, data, self->services != NULL ? error_busy () : error_not_here ("units"));
  else
    request->unit_func = func;
  return request;
}

static void
host_unit_start (SwarmPluginHost *abi, const SwarmPluginUnit *unit, SwarmPluginUnitFunc func, void *data)
{
  SwarmHost *self = host_of (abi);
  GError *error = NULL;
  GVariant *properties = swarm_plugin_unit_properties (unit, &error);
  HostRequest *request;

  if (properties == NULL) {
    refuse (self, func, NULL, NULL, data, error);
    return;
  }
  g_variant_ref_sink (properties);
  request = unit_request (self, func, data);
  if (request != NULL)
    self->services->start (self->services, unit->name, properties, unit_answer, request);
  g_variant_unref (properties);
}

static void
host_unit_stop (SwarmPluginHost *abi, const char *name, SwarmPluginUnitFunc func, void *data)
{
  SwarmHost *self = host_of (abi);
  HostRequest *request = unit_request (self, func, data);

  if (request != NULL)
    self->services->stop (self->services, name, unit_answer, request);
}

static void
host_unit_query (SwarmPluginHost *abi, const char *name, SwarmPluginUnitFunc func, void *data)
{
  SwarmHost *self = host_of (abi);
  HostRequest *request = unit_request (self, func, data);

  if (request != NULL)
    self->services->query (self->services, name, unit_answer, request);
}

static void
host_unit_list (SwarmPluginHost *abi, const char *prefix, SwarmPluginUnitListFunc func, void *data)
{
  SwarmHost *self = host_of (abi);
  HostRequest *request = self->services != NULL ? request_new (self, data) : NULL;

  if (request == NULL) {
    refuse (self, NULL, func, NULL, data, self->services != NULL ? error_busy () : error_not_here ("units"));
    return;
  }
  request->list_func = func;
  self->services->list (self->services, prefix, list_answer, request);
}

static void
unit_changed (const SwarmPluginUnitState *state, gpointer data)
{
  SwarmHost *self = data;

  if (self->watch_func != NULL)
    self->watch_func (state, self->watch_data);
}

static void
host_unit_watch (SwarmPluginHost *abi, const char *prefix, SwarmPluginUnitWatchFunc func, void *data)
{
  SwarmHost *self = host_of (abi);

  if (self->services == NULL)
    return;
  if (self->watch != 0)
    self->services->unwatch (self->services, self->watch);
  self->watch = 0;
  self->watch_func = func;
  self->watch_data = data;
  if (func != NULL)
    self->watch = self->services->watch (self->services, prefix, unit_changed, self);
}

static const char *
host_scope_path (SwarmPluginHost *abi, const char *scope, char *buffer, size_t length)
{
  SwarmHost *self = host_of (abi);
  g_autofree char *path = self->files != NULL ? swarm_scope_files_path (self->files, scope, NULL) : NULL;

  if (path == NULL || g_strlcpy (buffer, path, length) >= length)
    return NULL;
  return buffer;
}

static HostRequest *
file_request (SwarmHost *self, SwarmPluginFileFunc func, void *data)
{
  HostRequest *request = self->files != NULL ? request_new (self, data) : NULL;

  if (request == NULL)
    refuse (self, NULL, NULL, func, data, self->files != NULL ? error_busy () : error_not_here ("files"));
  else {
    request->is_ours = TRUE; /* the files are this host's own, and forget what they were asked */
    request->file_func = func;
  }
  return request;
}

static void
host_files_write (SwarmPluginHost *abi, const char *scope, const SwarmPluginFile *files, size_t n_files, SwarmPluginFileFunc func,
                  void *data)
{
  SwarmHost *self = host_of (abi);
  HostRequest *request = file_request (self, func, data);

  if (request != NULL)
    swarm_scope_files_write (self->files, scope, files, n_files, file_answer, request);
}

static void
host_file_read (SwarmPluginHost *abi, const char *scope, const char *name, size_t max, SwarmPluginFileFunc func, void *data)
{
  SwarmHost *self = host_of (abi);
  HostRequest *request = file_request (self, func, data);

  if (request != NULL)
    swarm_scope_files_read (self->files, scope, name, max, file_answer, request);
}

static void
host_file_remove (SwarmPluginHost *abi, const char *scope, const char *name, SwarmPluginFileFunc func, void *data)
{
  SwarmHost *self = host_of (abi);
  HostRequest *request = file_request (self, func, data);

  if (request != NULL)
    swarm_scope_files_remove (self->files, scope, name, file_answer, request);
}

static void
host_task_exited (SwarmPluginHost *abi, const SwarmPluginExit *exit)
{
  SwarmHost *self = host_of (abi);

  if (self->exited != NULL && !self->closing)
    self->exited (self->owner, exit);
}

static void
host_network_state (SwarmPluginHost *abi, const SwarmPluginNetworkState *state)
{
  SwarmHost *self = host_of (abi);

  if (self->state != NULL && !self->closing)
    self->state (self->owner, state);
}

/* ---- life ---- */

static const SwarmPluginHost host_table = {
  .size = sizeof (SwarmPluginHost),
  .log = host_log,
  .config = host_config,
  .now = host_now,
  .monotonic = host_monotonic,
  .random = host_random,
  .timer = host_timer,
  .timer_cancel = host_timer_cancel,
  .unit_start = host_unit_start,
  .unit_stop = host_unit_stop,
  .unit_query = host_unit_query,
  .unit_list = host_unit_list,
  .unit_watch = host_unit_watch,
  .scope_path = host_scope_path,
  .files_write = host_files_write,
  .file_read = host_file_read,
  .file_remove = host_file_remove,
  .finish = host_finish,
  .task_exited = host_task_exited,
  .network_state = host_network_state,
};

static SwarmHost *
host_new (SwarmPlugin *plugin, const SwarmPluginHostConfig *config, gpointer owner)
{
  SwarmHost *self = g_new0 (SwarmHost, 1);

  self->abi = host_table;
  if (config->descriptors) {
    self->abi.fd_watch = host_fd_watch;
    self->abi.fd_unwatch = host_fd_unwatch;
  }
  self->plugin = swarm_plugin_ref (plugin);
  self->clock = config->clock;
  self->random = config->random != NULL ? config->random : swarm_random_system ();
  self->services = config->services;
  self->files = config->scope_dir != NULL ? swarm_scope_files_new (config->scope_dir) : NULL;
  self->config = config->config;
  self->config_data = config->data;
  self->owner = owner;
  self->timers = g_hash_table_new_full (g_int64_hash, g_int64_equal, NULL, timer_free);
  self->watches = g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, watch_free);
  self->requests = g_hash_table_new (NULL, NULL);
  self->calls = g_hash_table_new_full (g_int64_hash, g_int64_equal, NULL, call_free);
  return self;
}

static void
host_free (SwarmHost *self)
{
  GHashTableIter iter;
  gpointer request;

  if (self == NULL)
    return;
  self->closing = TRUE;
  if (self->watch != 0)
    self->services->unwatch (self->services, self->watch);
  g_hash_table_iter_init (&iter, self->requests);
  while (g_hash_table_iter_next (&iter, &request, NULL)) {
    if (((HostRequest *) request)->is_ours)
      request_free (request);
    else
      ((HostRequest *) request)->host = NULL;
  }
  g_hash_table_unref (self->requests);
  g_hash_table_unref (self->timers);
  g_hash_table_unref (self->watches);
  g_hash_table_unref (self->calls);
  swarm_scope_files_free (self->files);
  swarm_plugin_unref (self->plugin);
  g_free (self);
}

static SwarmPluginInstance *
host_init (SwarmHost *self, SwarmPluginInstance *(*init) (SwarmPluginHost *host, char *error, size_t error_length),
                 GError **error)
{
  char reason[512] = "";
  gint64 started = g_get_monotonic_time ();
  SwarmPluginInstance *instance = init (&self->abi, reason, sizeof reason);
  g_autofree char *valid = NULL;

  swarm_host_timed (self, "init", started);
  if (instance != NULL)
    return instance;
  reason[sizeof reason - 1] = '\0';
  valid = g_utf8_make_valid (reason, -1);
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_FAILED, "plugin %s: its init failed: %s", swarm_host_plugin_name (self),
               valid[0] != '\0' ? valid : "no reason given");
  return NULL;
}

/* ---- the head of each wrapper ---- */

gboolean
swarm_host_open (SwarmHostHead *self, SwarmPlugin *plugin, const SwarmPluginHostConfig *config, SwarmHostCancel cancel,
                 SwarmHostExited exited, SwarmHostState state, GError **error)
{
  self->life = swarm_plugin_descriptor_of (plugin)->ops;
  self->host = host_new (plugin, config, self);
  self->host->cancel = cancel;
  self->host->exited = exited;
  self->host->state = state;
  self->instance = host_init (self->host, self->life->init, error);
  return self->instance != NULL;
}

void
swarm_host_close (SwarmHostHead *self)
{
  self->host->closing = TRUE;
  if (self->instance != NULL)
    self->life->fini (self->instance);
  host_free (self->host);
}
