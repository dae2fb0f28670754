// SPDX-License-Identifier: LGPL-2.1-or-later
/* runtime-podman against a pretended systemd: which units it starts, what they show to others, what it makes of their ends. */
#include "base/clock-glib.h"
#include "base/error.h"
#include "base/log.h"
#include "plugin/runtime-host.h"
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

#define SECRET_ENV "planted-environment-value"
#define SECRET_ARG "planted-argument"
#define SECRET_PASSWORD "planted-password"
#define CONTAINER "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* ---- systemd ---- */

typedef struct {
  SwarmPluginServices services;
  char *dir;
  GString *calls; /* "start NAME, stop NAME, …" with short ids */
  GPtrArray *properties; /* printed, of all units that were started */
  const char *exists;    /* a unit whose name contains this is there already, once */
  const char *fails;     /* a unit whose name contains this fails with @stderr_text */
  const char *stderr_text;
  const char *output; /* what a command in a container, or podman image inspect, writes */
  const char *hangs; /* a unit whose name contains this runs until it is stopped */
  SwarmUnitFunc hanging;
  gpointer hanging_data;
  SwarmUnitWatchFunc watch;
  gpointer watch_data;
} Systemd;

typedef struct {
  SwarmUnitFunc func;
  gpointer data;
  char *name;
  SwarmPluginUnitState state;
  GError *error;
} Answer;

static gboolean
answer_now (gpointer data)
{
  Answer *answer = data;

  answer->state.name = answer->name;
  answer->func (&answer->state, answer->error, answer->data);
  g_clear_error (&answer->error);
  g_free (answer->name);
  g_free (answer);
  return G_SOURCE_REMOVE;
}

static void
answer_later (const char *name, SwarmPluginUnitPhase phase, GError *error, SwarmUnitFunc func, gpointer data)
{
  Answer *answer = g_new0 (Answer, 1);

  answer->func = func;
  answer->data = data;
  answer->name = g_strdup (name);
  answer->state.phase = phase;
  answer->state.exit_code = error != NULL ? 125 : -1;
  answer->error = error;
  g_idle_add (answer_now, answer);
}

static void
note (Systemd *self, const char *what, const char *name)
{
  g_autofree char *short_name = g_strdup (name);
  char *id = strstr (short_name, "0000000000");

  if (id != NULL)
    g_strlcpy (id, "T", 2);
  if (g_str_has_prefix (name, "swarm-pull-"))
    g_strlcpy (short_name, "swarm-pull", strlen (short_name));
  g_string_append_printf (self->calls, "%s%s %s", self->calls->len > 0 ? ", " : "", what, short_name);
}

static gboolean
is_the (const char **which, const char *name)
{
  return *which != NULL && strstr (name, *which) != NULL;
}

/* What the unit's program leaves in its directory: of its task, or of the pull or removal. */
static void
put_file (Systemd *self, const char *name, const char *file, const char *text)
{
  gboolean of_task = g_str_has_prefix (name, "swarm-prepare-") || g_str_has_prefix (name, "swarm-task-");
  const char *id = of_task ? strrchr (name, '-') + 1 : strchr (name, '-') + 1;
  g_autofree char *scope = g_strndup (id, strcspn (id, "."));
  g_autofree char *path = g_build_filename (self->dir, scope, file, NULL);

  g_assert_true (g_file_set_contents (path, text, -1, NULL));
}

/* Into the file that StandardOutput= names. */
static void
put_output (Systemd *self, GVariant *properties)
{
  const char *name;
  g_autoptr (GVariant) value = NULL;
  GVariantIter iter;

  g_variant_iter_init (&iter, properties);
  while (g_variant_iter_next (&iter, "(&sv)", &name, &value)) {
    if (strcmp (name, "StandardOutputFileToTruncate") == 0)
      g_assert_true (g_file_set_contents (g_variant_get_string (value, NULL), self->output, -1, NULL));
    g_clear_pointer (&value, g_variant_unref);
  }
}

static void
systemd_start (SwarmPluginServices *services, const char *name, GVariant *properties, SwarmUnitFunc func, gpointer data)
{
  Systemd *self = (Systemd *) services;

  note (self, "start", name);
  g_ptr_array_add (self->properties, g_variant_print (properties, FALSE));
  if (is_the (&self->exists, name)) {
    self->exists = NULL;
    answer_later (name, SWARM_PLUGIN_UNIT_RUNNING, g_error_new (SWARM_ERROR, SWARM_ERROR_ALREADY_EXISTS, "already loaded"), func, data);
    return;
  }
  if (is_the (&self->hangs, name)) {
    self->hanging = func;
    self->hanging_data = data;
    return;
  }
  if (is_the (&self->fails, name)) {
    put_file (self, name, "error", self->stderr_text);
    answer_later (name, SWARM_PLUGIN_UNIT_ABSENT, g_error_new (SWARM_ERROR, SWARM_ERROR_FAILED, "start job: failed"), func, data);
    return;
  }
  if (g_str_has_prefix (name, "swarm-prepare-") || g_str_has_prefix (name, "swarm-task-"))
    put_file (self, name, "container-id", CONTAINER "\n");
  if (self->output != NULL && (g_str_has_prefix (name, "swarm-exec-") || g_str_has_prefix (name, "swarm-inspect-") || g_str_has_prefix (name, "swarm-find-")))
    put_output (self, properties);
  answer_later (name, g_str_has_prefix (name, "swarm-task-") ? SWARM_PLUGIN_UNIT_RUNNING : SWARM_PLUGIN_UNIT_ABSENT, NULL, func, data);
}

static void
systemd_stop (SwarmPluginServices *services, const char *name, SwarmUnitFunc func, gpointer data)
{
  Systemd *self = (Systemd *) services;

  note (self, "stop", name);
  if (self->hanging != NULL) {
    answer_later (name, SWARM_PLUGIN_UNIT_ABSENT, g_error_new (SWARM_ERROR, SWARM_ERROR_FAILED, "start job: canceled"), self->hanging,
                  self->hanging_data);
    self->hanging = NULL;
  }
  answer_later (name, SWARM_PLUGIN_UNIT_ABSENT, NULL, func, data);
}

static void
systemd_query (SwarmPluginServices *services, const char *name, SwarmUnitFunc func, gpointer data)
{
  answer_later (name, SWARM_PLUGIN_UNIT_ABSENT, NULL, func, data);
}

typedef struct {
  SwarmUnitListFunc func;
  gpointer data;
} ListAnswer;

static gboolean
list_now (gpointer data)
{
  g_autofree ListAnswer *answer = data;
  SwarmPluginUnitState none = { NULL };

  answer->func (&none, 0, NULL, answer->data);
  return G_SOURCE_REMOVE;
}

static void
systemd_list (SwarmPluginServices *services, const char *prefix, SwarmUnitListFunc func, gpointer data)
{
  ListAnswer *answer = g_new0 (ListAnswer, 1);

  answer->func = func;
  answer->data = data;
  g_idle_add (list_now, answer);
}

static guint
systemd_watch (SwarmPluginServices *services, const char *prefix, SwarmUnitWatchFunc func, gpointer data)
{
  Systemd *self = (Systemd *) services;

  self->watch = func;
  self->watch_data = data;
  return 1;
}

static void
systemd_unwatch (SwarmPluginServices *services, guint watch)
{
  ((Systemd *) services)->watch = NULL;
}

/* ---- the bed ---- */

typedef struct {
  Systemd systemd;
  SwarmPlugin *plugin;
  SwarmRuntimeHost *host;
  SwarmTask *task;
  char *id;
  gboolean done;
  GError *error;
  char *container;
  guint exits;
  int exit_code;
  guint64 call;
  int command_code; /* of exec */
  char *output;
  SwarmHealthcheck *health;
  char *found; /* "id name pid started" */
} Bed;

static void
on_done (const SwarmRuntimeResult *result, const GError *error, gpointer data)
{
  Bed *bed = data;

  bed->done = TRUE;
  g_clear_error (&bed->error);
  bed->error = error != NULL ? g_error_copy (error) : NULL;
  if (result != NULL) {
    bed->command_code = result->exit_code;
    g_free (bed->output);
    bed->output = g_strdup (result->output);
    swarm_message_unref (bed->health);
    bed->health = result->health != NULL ? swarm_healthcheck_ref (result->health) : NULL;
    g_free (bed->found);
    bed->found = result->name != NULL ? g_strdup_printf ("%s %s %u %" G_GUINT64_FORMAT, result->container_id, result->name, result->pid, result->started) : NULL;
  }
  if (result != NULL && result->container_id != NULL) {
    g_free (bed->container);
    bed->container = g_strdup (result->container_id);
  }
}

static void
on_listed (GPtrArray *tasks, const GError *error, gpointer data)
{
  g_assert_no_error (error);
  g_assert_cmpuint (tasks->len, ==, 0);
  ((Bed *) data)->done = TRUE;
}

static void
on_task_exited (const SwarmId *task, int exit_code, gint64 exited_at, const char *reason, gpointer data)
{
  Bed *bed = data;

  bed->exits++;
  bed->exit_code = exit_code;
}

static gboolean
too_long (gpointer data)
{
  g_error ("no answer after a minute");
  return G_SOURCE_REMOVE;
}

static void
finish_call (Bed *bed)
{
  guint guard = g_timeout_add_seconds (60, too_long, NULL);

  while (!bed->done)
    g_main_context_iteration (NULL, TRUE);
  bed->done = FALSE;
  g_source_remove (guard);
}

static SwarmTask *
make_task (void)
{
  SwarmTask *task = swarm_task_new ();
  SwarmContainerSpec *container = swarm_container_spec_new ();
  const char *auth = "{\"username\":\"me\",\"password\":\"" SECRET_PASSWORD "\"}";

  task->object.id.bytes[15] = 35;
  task->slot = 3;
  task->service_name = g_strdup ("my-web");
  task->spec = swarm_task_spec_new ();
  task->spec->container = container;
  container->image = g_strdup ("docker.io/library/nginx:latest");
  container->env = g_ptr_array_new_with_free_func (g_free);
  g_ptr_array_add (container->env, g_strdup ("TOKEN=" SECRET_ENV));
  g_ptr_array_add (container->env, g_strdup ("LINES=" SECRET_ENV "\nand more"));
  container->args = g_ptr_array_new_with_free_func (g_free);
  g_ptr_array_add (container->args, g_strdup ("--key=" SECRET_ARG));
  container->pull_options = swarm_pull_options_new ();
  container->pull_options->registry_auth = g_base64_encode ((const guchar *) auth, strlen (auth));
  return task;
}

static Bed *
bed_new (void)
{
  static const SwarmPluginServices services = { systemd_start, systemd_stop, systemd_query, systemd_list, systemd_watch, systemd_unwatch };
  Bed *bed = g_new0 (Bed, 1);
  g_autofree char *path = g_test_build_filename (G_TEST_BUILT, "..", "..", "plugins", "runtime-podman.so", NULL);
  SwarmPluginHostConfig config = { .clock = swarm_clock_glib (), .services = &bed->systemd.services };
  g_autoptr (GError) error = NULL;

  bed->systemd.services = services;
  bed->systemd.dir = g_dir_make_tmp ("swarm-podman-XXXXXX", NULL);
  bed->systemd.calls = g_string_new (NULL);
  bed->systemd.properties = g_ptr_array_new_with_free_func (g_free);
  config.scope_dir = bed->systemd.dir;
  bed->plugin = swarm_plugin_load (path, SWARM_PLUGIN_RUNTIME, &error);
  g_assert_no_error (error);
  bed->host = swarm_runtime_host_new (bed->plugin, &config, &error);
  g_assert_no_error (error);
  swarm_runtime_host_set_exit_func (bed->host, on_task_exited, bed);
  bed->task = make_task ();
  bed->id = swarm_id_dup_string (&bed->task->object.id);
  swarm_runtime_host_list (bed->host, 60 * G_USEC_PER_SEC, on_listed, bed);
  finish_call (bed);
  g_string_truncate (bed->systemd.calls, 0);
  return bed;
}

/* Two levels of directories, no more. */
static void
remove_tree (const char *path)
{
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL) {
    g_autofree char *child = g_build_filename (path, name, NULL);
    if (g_file_test (child, G_FILE_TEST_IS_DIR))
      remove_tree (child);
    else
      g_unlink (child);
  }
  g_rmdir (path);
}

static void
bed_free (Bed *bed)
{
  swarm_runtime_host_free (bed->host);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  swarm_plugin_unref (bed->plugin);
  swarm_task_unref (bed->task);
  g_string_free (bed->systemd.calls, TRUE);
  g_ptr_array_unref (bed->systemd.properties);
  g_clear_error (&bed->error);
  g_free (bed->output);
  swarm_message_unref (bed->health);
  g_free (bed->container);
  g_free (bed->id);
  remove_tree (bed->systemd.dir);
  g_free (bed->systemd.dir);
  g_free (bed);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Bed, bed_free)

static void
prepare (Bed *bed)
{
  bed->call = swarm_runtime_host_prepare (bed->host, bed->task, &SWARM_ID_NIL, "n1", "bridge", NULL, 60 * G_USEC_PER_SEC, on_done, bed);
}

static void
start (Bed *bed)
{
  swarm_runtime_host_start (bed->host, bed->task, &SWARM_ID_NIL, "n1", "bridge", NULL, 60 * G_USEC_PER_SEC, on_done, bed);
}

static char *
file_of (Bed *bed, const char *name)
{
  return g_build_filename (bed->systemd.dir, bed->id, name, NULL);
}

static void
unit_is (Bed *bed, SwarmPluginUnitPhase phase, int exit_code)
{
  g_autofree char *name = g_strdup_printf ("swarm-task-%s.service", bed->id);
  SwarmPluginUnitState state = { .name = name, .phase = phase, .exit_code = exit_code, .result = "exit-code", .exited_at = 77 };

  bed->systemd.watch (&state, bed->systemd.watch_data);
}

/* ---- tests ---- */

static void
test_life (void)
{
  g_autoptr (Bed) bed = bed_new ();
  g_autofree char *create = file_of (bed, "create");
  g_autofree char *env = file_of (bed, "env");
  g_autofree char *scope = g_build_filename (bed->systemd.dir, bed->id, NULL);
  g_autofree char *env_text = NULL;
  GStatBuf st;

  prepare (bed);
  finish_call (bed);
  g_assert_no_error (bed->error);
  g_assert_cmpstr (bed->container, ==, CONTAINER);
  g_assert_cmpint (g_stat (create, &st), ==, 0);
  g_assert_cmpint (st.st_mode & 0777, ==, 0600);
  g_assert_true (g_file_get_contents (env, &env_text, NULL, NULL));
  g_assert_cmpstr (env_text, ==, "TOKEN=" SECRET_ENV "\n");
  start (bed);
  finish_call (bed);
  g_assert_no_error (bed->error);
  unit_is (bed, SWARM_PLUGIN_UNIT_EXITED, 3);
  unit_is (bed, SWARM_PLUGIN_UNIT_EXITED, 3);
  unit_is (bed, SWARM_PLUGIN_UNIT_ABSENT, -1);
  g_assert_cmpuint (bed->exits, ==, 1);
  g_assert_cmpint (bed->exit_code, ==, 3);
  swarm_runtime_host_remove (bed->host, &bed->task->object.id, 60 * G_USEC_PER_SEC, on_done, bed);
  finish_call (bed);
  g_assert_no_error (bed->error);
  g_assert_false (g_file_test (scope, G_FILE_TEST_EXISTS));
  g_assert_true (g_str_has_prefix (bed->systemd.calls->str, "start swarm-pull, start swarm-prepare-T, start swarm-task-T, stop swarm-task-T, "
                                                              "start swarm-remove.service"));
}

/* "--name=x --dns 10.9.9.1 …": of the container that was prepared last. */
static char *
words_of_create (Bed *bed)
{
  g_autofree char *path = file_of (bed, "create");
  char *text;
  gsize length;

  g_assert_true (g_file_get_contents (path, &text, &length, NULL));
  for (gsize i = 0; i < length; i++)
    if (text[i] == '\0')
      text[i] = ' ';
  return text;
}

/* A resolver of the networks stands before the task's own servers, which the network plugin was told of. */
static void
test_names (void)
{
  static const char *const modes[] = { "bridge", "ns:/proc/1/fd/7", "none" };
  static const char *const words[] = { " --dns 10.9.9.1 --dns-search corp.example --dns-option ndots:2 ",
                                       " --dns=127.0.0.11 --dns-search corp.example --dns-option ndots:2 ", NULL };
  g_autoptr (Bed) bed = bed_new ();
  SwarmDnsConfig *dns = bed->task->spec->container->dns = swarm_dns_config_new ();
  GPtrArray **lists[] = { &dns->nameservers, &dns->search, &dns->options };
  const char *values[] = { "10.9.9.1", "corp.example", "ndots:2" };

  for (guint i = 0; i < G_N_ELEMENTS (lists); i++) {
    *lists[i] = g_ptr_array_new_with_free_func (g_free);
    g_ptr_array_add (*lists[i], g_strdup (values[i]));
  }
  for (guint i = 0; i < G_N_ELEMENTS (modes); i++) {
    swarm_runtime_host_prepare (bed->host, bed->task, &SWARM_ID_NIL, "n1", modes[i], i == 1 ? "127.0.0.11" : NULL, 60 * G_USEC_PER_SEC, on_done, bed);
    finish_call (bed);
    g_assert_no_error (bed->error);
    g_autofree char *text = words_of_create (bed);
    g_assert_true (words[i] != NULL ? strstr (text, words[i]) != NULL : strstr (text, "--dns") == NULL);
    swarm_runtime_host_remove (bed->host, &bed->task->object.id, 60 * G_USEC_PER_SEC, on_done, bed);
    finish_call (bed);
  }
}

/* Any user can read units. */
static void
test_units_show_nothing (void)
{
  g_autoptr (Bed) bed = bed_new ();
  static const char *const planted[] = { SECRET_ENV, SECRET_ARG, SECRET_PASSWORD, "me:" };

  prepare (bed);
  finish_call (bed);
  start (bed);
  finish_call (bed);
  swarm_runtime_host_stop (bed->host, &bed->task->object.id, 60 * G_USEC_PER_SEC, on_done, bed);
  finish_call (bed);
  swarm_runtime_host_remove (bed->host, &bed->task->object.id, 60 * G_USEC_PER_SEC, on_done, bed);
  finish_call (bed);
  g_assert_cmpuint (bed->systemd.properties->len, >=, 2);
  for (guint i = 0; i < bed->systemd.properties->len; i++) {
    for (guint k = 0; k < G_N_ELEMENTS (planted); k++) {
      g_autofree char *encoded = g_base64_encode ((const guchar *) planted[k], strlen (planted[k]));
      g_assert_null (strstr (bed->systemd.properties->pdata[i], planted[k]));
      g_assert_null (strstr (bed->systemd.properties->pdata[i], encoded));
    }
  }
  g_assert_cmpuint (bed->exits, ==, 0); /* it was stopped, it did not end */
}

static void
test_reasons (void)
{
  g_autoptr (Bed) bed = bed_new ();

  bed->systemd.fails = "swarm-prepare-";
  bed->systemd.stderr_text = "Trying to pull…\nError: manifest unknown\n";
  prepare (bed);
  finish_call (bed);
  g_assert_error (bed->error, SWARM_ERROR, SWARM_ERROR_FAILED);
  g_assert_cmpstr (bed->error->message, ==, "manifest unknown");
  bed->systemd.fails = NULL;
  prepare (bed);
  finish_call (bed);
  g_assert_no_error (bed->error);
  bed->systemd.fails = "swarm-task-";
  bed->systemd.stderr_text = "Error: unable to start container \"" CONTAINER "\": address already in use\n";
  start (bed);
  finish_call (bed);
  g_assert_cmpstr (bed->error->message, ==, "address already in use");
  g_assert_cmpuint (bed->exits, ==, 0);
}

/* An agent that was killed left its unit; it is stopped and ours runs. */
static void
test_leftover (void)
{
  g_autoptr (Bed) bed = bed_new ();

  bed->systemd.exists = "swarm-prepare-";
  prepare (bed);
  finish_call (bed);
  g_assert_no_error (bed->error);
  g_assert_cmpstr (bed->systemd.calls->str, ==, "start swarm-pull, start swarm-prepare-T, stop swarm-prepare-T, start swarm-prepare-T");
}

static void
test_cancel (gconstpointer unit)
{
  g_autoptr (Bed) bed = bed_new ();

  bed->systemd.hangs = unit;
  prepare (bed);
  while (bed->systemd.hanging == NULL)
    g_main_context_iteration (NULL, TRUE);
  swarm_runtime_host_cancel (bed->host, bed->call);
  finish_call (bed);
  g_assert_error (bed->error, SWARM_ERROR, SWARM_ERROR_CANCELLED);
}

/* What podman cannot be told is refused before anything runs. */
static void
test_refused (void)
{
  g_autoptr (Bed) bed = bed_new ();
  g_autoptr (GPtrArray) env = g_ptr_array_new_with_free_func (g_free);

  g_ptr_array_add (env, g_strdup ("LD_PRELOAD=a\nb"));
  g_ptr_array_unref (bed->task->spec->container->env);
  bed->task->spec->container->env = g_steal_pointer (&env);
  prepare (bed);
  finish_call (bed);
  g_assert_error (bed->error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT);
  g_assert_nonnull (strstr (bed->error->message, "LD_PRELOAD"));
  g_assert_cmpstr (bed->systemd.calls->str, ==, "");
}

/* ---- images ---- */

static void
set_image (Bed *bed, const char *image)
{
  g_free (bed->task->spec->container->image);
  bed->task->spec->container->image = g_strdup (image);
}

/* What has a digest is asked about once, until no container can be made: then somebody may have removed it. */
static void
test_known_image (void)
{
  g_autoptr (Bed) bed = bed_new ();

  set_image (bed, "docker.io/library/nginx:latest@sha256:" CONTAINER);
  for (guint i = 0; i < 2; i++) {
    prepare (bed);
    finish_call (bed);
    g_assert_no_error (bed->error);
  }
  g_assert_cmpstr (bed->systemd.calls->str, ==, "start swarm-pull, start swarm-prepare-T, start swarm-prepare-T");
  bed->systemd.fails = "swarm-prepare-";
  bed->systemd.stderr_text = "Error: image not known\n";
  prepare (bed);
  finish_call (bed);
  g_assert_nonnull (bed->error);
  g_string_truncate (bed->systemd.calls, 0);
  bed->systemd.fails = NULL;
  prepare (bed);
  finish_call (bed);
  g_assert_no_error (bed->error);
  g_assert_cmpstr (bed->systemd.calls->str, ==, "start swarm-pull, start swarm-prepare-T");
}

/* ---- tasks that share ---- */

static guint
count_of (const char *text, const char *what)
{
  guint n = 0;

  for (const char *at = strstr (text, what); at != NULL; at = strstr (at + 1, what))
    n++;
  return n;
}

static void
count_done (const SwarmRuntimeResult *result, const GError *error, gpointer data)
{
  g_assert_no_error (error);
  ++*(guint *) data;
}

static SwarmTask *
another_task (Bed *bed, guint8 number)
{
  SwarmTask *task = swarm_task_copy (bed->task);

  task->object.id.bytes[15] = number;
  return task;
}

static void
prepare_other (Bed *bed, guint8 number, guint *done)
{
  g_autoptr (SwarmTask) task = another_task (bed, number);

  swarm_runtime_host_prepare (bed->host, task, &SWARM_ID_NIL, "n1", "bridge", NULL, 60 * G_USEC_PER_SEC, count_done, done);
}

static void
wait_until (guint *counter, guint n)
{
  guint guard = g_timeout_add_seconds (60, too_long, NULL);

  while (*counter < n)
    g_main_context_iteration (NULL, TRUE);
  g_source_remove (guard);
}

static void
test_shared_pull (void)
{
  g_autoptr (Bed) bed = bed_new ();
  guint done = 0;

  for (guint8 i = 1; i <= 3; i++)
    prepare_other (bed, i, &done);
  g_free (bed->task->spec->container->pull_options->registry_auth);
  bed->task->spec->container->pull_options->registry_auth = NULL;
  prepare_other (bed, 4, &done); /* other credentials: a pull of its own */
  wait_until (&done, 4);
  g_assert_cmpuint (count_of (bed->systemd.calls->str, "start swarm-pull"), ==, 2);
}

/* The only one that waited goes, and another comes before the pull is stopped: it is begun again. */
static void
test_pull_again (void)
{
  g_autoptr (Bed) bed = bed_new ();
  guint done = 0;

  set_image (bed, "docker.io/library/nginx:latest@sha256:" CONTAINER);
  bed->systemd.hangs = "swarm-pull-";
  prepare (bed);
  while (bed->systemd.hanging == NULL)
    g_main_context_iteration (NULL, TRUE);
  bed->systemd.hangs = NULL;
  swarm_runtime_host_cancel (bed->host, bed->call);
  prepare_other (bed, 2, &done);
  wait_until (&done, 1);
  g_assert_cmpstr (bed->systemd.calls->str, ==, "start swarm-pull, stop swarm-pull, start swarm-pull, start swarm-prepare-T");
}

static void
remove_some (Bed *bed, guint8 n, SwarmRuntimeFunc func, guint *done)
{
  for (guint8 i = 1; i <= n; i++) {
    g_autoptr (SwarmTask) task = another_task (bed, i);
    swarm_runtime_host_remove (bed->host, &task->object.id, 60 * G_USEC_PER_SEC, func, done);
  }
  wait_until (done, n);
}

static void
test_remove_many (void)
{
  g_autoptr (Bed) bed = bed_new ();
  guint done = 0;

  remove_some (bed, 10, count_done, &done);
  g_assert_cmpuint (count_of (bed->systemd.calls->str, "start swarm-remove.service"), <=, 3);
}

static void
count_failed (const SwarmRuntimeResult *result, const GError *error, gpointer data)
{
  g_assert_cmpstr (error->message, ==, "device or resource busy");
  ++*(guint *) data;
}

/* Each of a batch that fails is tried alone: one that cannot go is not the others' trouble. */
static void
test_remove_fails (void)
{
  g_autoptr (Bed) bed = bed_new ();
  guint done = 0;

  bed->systemd.fails = "swarm-remove.service";
  bed->systemd.stderr_text = "Error: device or resource busy\n";
  remove_some (bed, 4, count_failed, &done);
  g_assert_cmpuint (count_of (bed->systemd.calls->str, "start swarm-remove.service"), >=, 4);
}

/* ---- commands and images ---- */

static void
exec_command (Bed *bed, gsize max_output)
{
  static const char *const argv[] = { "/bin/sh", "-c", "check " SECRET_ARG, NULL };

  bed->call = swarm_runtime_host_exec (bed->host, &bed->task->object.id, argv, 2 * G_USEC_PER_SEC, max_output, on_done, bed);
}

static guint
count_files (Bed *bed, const char *prefix)
{
  g_autofree char *scope = g_build_filename (bed->systemd.dir, bed->id, NULL);
  g_autoptr (GDir) dir = g_dir_open (scope, 0, NULL);
  const char *name;
  guint n = 0;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    n += g_str_has_prefix (name, prefix);
  return n;
}

/* Its code and output, whatever the code; the unit shows neither the command nor what it wrote, and its files go. */
static void
test_exec (void)
{
  g_autoptr (Bed) bed = bed_new ();

  exec_command (bed, 100);
  finish_call (bed);
  g_assert_error (bed->error, SWARM_ERROR, SWARM_ERROR_NOT_FOUND); /* nothing runs */
  prepare (bed);
  finish_call (bed);
  start (bed);
  finish_call (bed);
  bed->systemd.output = "exit 3\nnot well\n";
  exec_command (bed, 100);
  finish_call (bed);
  g_assert_no_error (bed->error);
  g_assert_cmpint (bed->command_code, ==, 3);
  g_assert_cmpstr (bed->output, ==, "not well\n");
  exec_command (bed, 3);
  finish_call (bed);
  g_assert_cmpstr (bed->output, ==, "not");
  bed->systemd.output = "timeout\nbegan";
  exec_command (bed, 100);
  finish_call (bed);
  g_assert_error (bed->error, SWARM_ERROR, SWARM_ERROR_TIMED_OUT);
  bed->systemd.output = "nonsense";
  exec_command (bed, 100);
  finish_call (bed);
  g_assert_error (bed->error, SWARM_ERROR, SWARM_ERROR_FAILED);
  const char *unit = bed->systemd.properties->pdata[bed->systemd.properties->len - 1];
  g_assert_null (strstr (unit, SECRET_ARG));
  g_assert_nonnull (strstr (unit, CONTAINER));
  swarm_runtime_host_stop (bed->host, &bed->task->object.id, 60 * G_USEC_PER_SEC, on_done, bed);
  finish_call (bed);
  g_assert_cmpint (bed->command_code, ==, -1);
}

/* Given up: its unit is stopped, its files go. */
static void
test_exec_cancel (void)
{
  g_autoptr (Bed) bed = bed_new ();

  prepare (bed);
  finish_call (bed);
  start (bed);
  finish_call (bed);
  g_string_truncate (bed->systemd.calls, 0);
  bed->systemd.hangs = "swarm-exec-";
  exec_command (bed, 100);
  while (bed->systemd.hanging == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpuint (count_files (bed, "exec-"), ==, 1);
  swarm_runtime_host_cancel (bed->host, bed->call);
  finish_call (bed);
  g_assert_error (bed->error, SWARM_ERROR, SWARM_ERROR_CANCELLED);
  g_assert_cmpstr (bed->systemd.calls->str, ==, "start swarm-exec-T, stop swarm-exec-T");
  bed->systemd.hangs = NULL;
  swarm_runtime_host_remove (bed->host, &bed->task->object.id, 60 * G_USEC_PER_SEC, on_done, bed);
  finish_call (bed); /* after the files' removals, which keep their order */
  g_assert_cmpuint (count_files (bed, "exec-"), ==, 0);
}

/* podman's form of docker's health configuration; what is not understood declares nothing. */
static void
test_inspect (void)
{
  static const char *const nothing[] = { "null\n", "", "{}", "[1]", "{\"Test\": []}", "{\"Test\": [\"WHAT\", \"x\"]}", "no json" };
  g_autoptr (Bed) bed = bed_new ();

  bed->systemd.output = "{\"Test\":[\"CMD-SHELL\",\"curl -f localhost\"],\"StartPeriod\":5000000000,\"Interval\":7000000000,\"Timeout\":3000000000,"
                        "\"Retries\":4}\n";
  swarm_runtime_host_inspect_image (bed->host, "docker.io/library/nginx:latest", 60 * G_USEC_PER_SEC, on_done, bed);
  finish_call (bed);
  g_assert_no_error (bed->error);
  g_assert_cmpuint (bed->health->test->len, ==, 2);
  g_assert_cmpstr (bed->health->test->pdata[1], ==, "curl -f localhost");
  g_assert_cmpint (bed->health->interval, ==, G_GINT64_CONSTANT (7000000000));
  g_assert_cmpint (bed->health->timeout, ==, G_GINT64_CONSTANT (3000000000));
  g_assert_cmpint (bed->health->start_period, ==, G_GINT64_CONSTANT (5000000000));
  g_assert_cmpint (bed->health->start_interval, ==, 0);
  g_assert_cmpint (bed->health->retries, ==, 4);
  swarm_log_set_level (LOG_ERR);
  for (guint i = 0; i < G_N_ELEMENTS (nothing); i++) {
    bed->systemd.output = nothing[i];
    swarm_runtime_host_inspect_image (bed->host, "docker.io/library/nginx:latest", 60 * G_USEC_PER_SEC, on_done, bed);
    finish_call (bed);
    g_assert_no_error (bed->error);
    g_assert_null (bed->health);
  }
  swarm_log_set_level (LOG_INFO);
}

/* ---- containers that are no tasks ---- */

static void
find (Bed *bed, const char *reference, const char *output, const char *failure)
{
  bed->systemd.output = output;
  bed->systemd.fails = failure != NULL ? "swarm-find-" : NULL;
  bed->systemd.stderr_text = failure;
  g_clear_pointer (&bed->found, g_free);
  swarm_runtime_host_find (bed->host, reference, 60 * G_USEC_PER_SEC, on_done, bed);
  finish_call (bed);
}

static void
test_find (void)
{
  static const struct {
    const char *output, *failure;
    int code;
    const char *text; /* of the error, or what was found */
  } rows[] = {
    { "99|" CONTAINER "|4711|bridge||probe\n", NULL, -1, CONTAINER " probe 4711 99" },
    { "0|" CONTAINER "|4711|bridge||probe\n", NULL, -1, CONTAINER " probe 0 0" }, /* it has just ended */
    { "99|" CONTAINER "|0|slirp4netns|<no value>|probe\n", NULL, -1, CONTAINER " probe 0 99" },
    { "99|" CONTAINER "|4711|host||probe\n", NULL, SWARM_ERROR_INVALID_ARGUMENT, "container probe has no network of its own, but the host's" },
    { "99|" CONTAINER "|4711|container:ab|<no value>|probe\n", NULL, SWARM_ERROR_INVALID_ARGUMENT,
      "container probe has no network of its own, but another's (container:ab)" },
    { "99|" CONTAINER "|4711|ns:/proc/7/fd/3|abc|web.1.x\n", NULL, SWARM_ERROR_INVALID_ARGUMENT,
      "container web.1.x is a task of the cluster: its networks are its service's" },
    { "what\n", NULL, SWARM_ERROR_FAILED, "podman tells nothing of the container" },
    { "99|short|4711|bridge||probe\n", NULL, SWARM_ERROR_FAILED, "the runtime found something that is no container" },
    { "99|" CONTAINER "|4711|bridge||a b\n", NULL, SWARM_ERROR_FAILED, "the runtime found something that is no container" },
    { NULL, "Error: inspecting object: no such container probe\n", SWARM_ERROR_NOT_FOUND, "No such container: probe" },
    { NULL, "Error: no container with name or ID \"probe\" found: no such container\n", SWARM_ERROR_NOT_FOUND, "No such container: probe" },
    { NULL, "Error: the database is locked\n", SWARM_ERROR_UNAVAILABLE, "the database is locked" },
  };
  g_autoptr (Bed) bed = bed_new ();

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    find (bed, "probe", rows[i].output, rows[i].failure);
    if (rows[i].code >= 0) {
      g_assert_error (bed->error, SWARM_ERROR, rows[i].code);
      g_assert_cmpstr (bed->error->message, ==, rows[i].text);
    } else {
      g_assert_no_error (bed->error);
      g_assert_cmpstr (bed->found, ==, rows[i].text);
    }
  }
  g_autofree char *first = g_build_filename (bed->systemd.dir, "find-1", NULL);
  g_assert_false (g_file_test (first, G_FILE_TEST_EXISTS));
  g_string_truncate (bed->systemd.calls, 0);
  find (bed, "--latest", NULL, NULL); /* never gets into a unit */
  g_assert_error (bed->error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT);
  g_assert_cmpstr (bed->systemd.calls->str, ==, "");
  g_clear_pointer (&bed->found, g_free);
}

/* ---- an agent that comes back ---- */

static void
on_left_over (GPtrArray *tasks, const GError *error, gpointer data)
{
  Bed *bed = data;

  g_assert_no_error (error);
  g_assert_cmpuint (tasks->len, ==, 1);
  const SwarmRuntimeTask *task = tasks->pdata[0];
  g_assert_true (swarm_id_equal (&task->task, &bed->task->object.id));
  g_assert_false (task->running);
  g_assert_cmpint (task->exit_code, ==, -1);
  g_assert_cmpint (task->exited_at, ==, 0);
  bed->done = TRUE;
}

/* What the agent before it had prepared and not started is told, and can be removed, even while it is still being made. */
static void
test_left_over (void)
{
  g_autoptr (Bed) bed = bed_new ();
  g_autofree char *dir = g_build_filename (bed->systemd.dir, bed->id, NULL);

  g_assert_cmpint (g_mkdir (dir, 0700), ==, 0);
  swarm_runtime_host_list (bed->host, 60 * G_USEC_PER_SEC, on_left_over, bed);
  finish_call (bed);
  g_string_truncate (bed->systemd.calls, 0);
  swarm_runtime_host_remove (bed->host, &bed->task->object.id, 60 * G_USEC_PER_SEC, on_done, bed);
  finish_call (bed);
  g_assert_no_error (bed->error);
  g_assert_true (g_str_has_prefix (bed->systemd.calls->str, "stop swarm-prepare-T, stop swarm-task-T, start swarm-remove.service"));
  g_assert_false (g_file_test (dir, G_FILE_TEST_EXISTS));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/runtime-podman/life", test_life);
  g_test_add_func ("/runtime-podman/names", test_names);
  g_test_add_func ("/runtime-podman/units-show-nothing", test_units_show_nothing);
  g_test_add_func ("/runtime-podman/reasons", test_reasons);
  g_test_add_func ("/runtime-podman/leftover", test_leftover);
  g_test_add_data_func ("/runtime-podman/cancel/pull", "swarm-pull-", test_cancel);
  g_test_add_data_func ("/runtime-podman/cancel/create", "swarm-prepare-", test_cancel);
  g_test_add_func ("/runtime-podman/known-image", test_known_image);
  g_test_add_func ("/runtime-podman/shared-pull", test_shared_pull);
  g_test_add_func ("/runtime-podman/pull-again", test_pull_again);
  g_test_add_func ("/runtime-podman/left-over", test_left_over);
  g_test_add_func ("/runtime-podman/remove-many", test_remove_many);
  g_test_add_func ("/runtime-podman/remove-fails", test_remove_fails);
  g_test_add_func ("/runtime-podman/refused", test_refused);
  g_test_add_func ("/runtime-podman/exec", test_exec);
  g_test_add_func ("/runtime-podman/exec-cancel", test_exec_cancel);
  g_test_add_func ("/runtime-podman/inspect", test_inspect);
  g_test_add_func ("/runtime-podman/find", test_find);
  return g_test_run ();
}
