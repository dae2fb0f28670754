// SPDX-License-Identifier: LGPL-2.1-or-later
/* The command table, the parser, and the specs that create and update make. */
#include "ctl/help.h"
#include "ctl/json.h"
#include "ctl/opts.h"
#include "ctl/progress.h"
#include "ctl/registry-auth.h"
#include "ctl/service-spec.h"
#include <glib/gstdio.h>
#include <string.h>

static const CtlCommand *
command (const char *path)
{
  g_auto (GStrv) words = g_strsplit (path, " ", -1);
  guint used;
  const CtlCommand *found = ctl_command_find ((const char *const *)words, &used);

  g_assert_nonnull (found);
  return found;
}

/* The arguments as a program gets them: parsed from one line; @error as parse gives it. */
static CtlArgs *
parse (const char *path, const char *line, GError **error)
{
  g_auto (GStrv) argv = NULL;
  int argc = 0;

  if (*line != 0)
    g_assert_true (g_shell_parse_argv (line, &argc, &argv, NULL));
  return ctl_args_parse (command (path), argc, argv, error);
}

/* ---- the table ---- */

static void
check_options (const CtlCommand *row)
{
  g_autoptr (GHashTable) names = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  for (const CtlOption *const *tables = row->options; tables != NULL && *tables != NULL; tables++)
    for (const CtlOption *option = *tables; option->name != NULL; option++) {
      g_test_message ("%s --%s", row->path, option->name);
      g_assert_true (option->help != NULL && *option->help != 0);
      g_assert_true (g_hash_table_add (names, g_strdup (option->name)));
      g_assert_true (option->letter == 0 || g_hash_table_add (names, g_strdup_printf ("-%c", option->letter)));
    }
  for (const char *const *name = row->unsupported; name != NULL && *name != NULL; name++)
    g_assert_true (g_hash_table_add (names, g_strdup (*name)));
}

static void
test_table (void)
{
  for (const CtlCommand *row = ctl_commands; row->path != NULL; row++) {
    g_autofree char *help = ctl_help_command (row, 80);

    g_assert_nonnull (row->run);
    g_assert_nonnull (row->examples);
    g_assert_true (row->max_args < 0 || row->min_args <= row->max_args);
    g_assert_cmpint (strstr (row->args, "[OPTIONS]") != NULL, ==, row->options != NULL);
    g_assert_nonnull (strstr (help, "Examples:"));
    g_assert_true (command (row->path) == row);
    check_options (row);
  }
}

/* Examples in help texts are commands that the parser takes. */
static void
test_examples (void)
{
  for (const CtlCommand *row = ctl_commands; row->path != NULL; row++) {
    g_auto (GStrv) lines = g_strsplit (row->examples, "\n", -1);

    for (guint i = 0; lines[i] != NULL; i++) {
      g_auto (GStrv) parts = g_strsplit (lines[i], "\t", -1);
      const char *start = parts[0] != NULL ? strstr (parts[0], row->path) : NULL;
      g_autoptr (GError) error = NULL;
      g_autoptr (CtlArgs) args = NULL;

      g_assert_cmpuint (g_strv_length (parts), ==, 2);
      g_assert_nonnull (start);
      args = parse (row->path, g_strchug ((char *)start + strlen (row->path)), &error);
      g_assert_no_error (error);
      ctl_args_check_count (args, &error);
      g_assert_no_error (error);
    }
  }
}

/* Man page and completion know every command and option. */
static void
test_generated (void)
{
  g_autofree char *man = ctl_help_man ();
  g_autofree char *completion = ctl_help_bash_completion ();

  for (const CtlCommand *row = ctl_commands; row->path != NULL; row++) {
    g_autofree char *title = g_strdup_printf (".SS \"%s", row->path);
    g_auto (GStrv) pieces = g_strsplit (title, "-", -1);
    g_autofree char *escaped = g_strjoinv ("\\-", pieces);

    g_assert_nonnull (strstr (man, escaped));
    for (const CtlOption *const *tables = row->options; tables != NULL && *tables != NULL; tables++)
      for (const CtlOption *option = *tables; option->name != NULL; option++) {
        g_autofree char *word = g_strdup_printf ("--%s ", option->name);
        g_assert_nonnull (strstr (completion, word));
      }
  }
  g_assert_nonnull (strstr (completion, "'service create:--network') COMPREPLY=($(compgen -W \"$(swarmctl network ls "));
  g_assert_nonnull (strstr (completion, "'service update:--network-rm') COMPREPLY=($(compgen -W \"$(swarmctl network ls "));
}

/* Every source with texts for people is in po/POTFILES, and none of them breaks off in a macro, behind which translators see nothing. */
static void
test_potfiles (void)
{
  g_autofree char *list_path = g_test_build_filename (G_TEST_DIST, "../../po/POTFILES", NULL);
  g_autofree char *dir_path = g_test_build_filename (G_TEST_DIST, "../../src/ctl", NULL);
  g_autofree char *list = NULL;
  g_autoptr (GDir) dir = g_dir_open (dir_path, 0, NULL);
  const char *name;

  g_assert_true (g_file_get_contents (list_path, &list, NULL, NULL));
  g_assert_nonnull (dir);
  while ((name = g_dir_read_name (dir)) != NULL) {
    g_autofree char *path = g_build_filename (dir_path, name, NULL);
    g_autofree char *line = g_strdup_printf ("src/ctl/%s\n", name);
    g_autofree char *text = NULL;

    g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
    if (g_str_has_suffix (name, ".c") && g_regex_match_simple ("\\b(N?_|ngettext) ?\\(\\s*\"", text, 0, 0)) {
      g_test_message ("%s", name);
      g_assert_nonnull (strstr (list, line));
      g_assert_false (g_regex_match_simple ("_ \\((\\s*\"([^\"\\\\]|\\\\.)*\")+\\s*G_G", text, 0, 0));
    }
  }
}

/* ---- the parser ---- */

static void
test_parse (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (CtlArgs) args = parse ("service create",
                                    "-dq --name web -e A=1 -eB=2 --env=C --limit-memory 512m --init=false -p "
                                    "mode=host,target=80 -- nginx -v --name x",
                                    &error);
  GPtrArray *env, *words;

  g_assert_no_error (error);
  g_assert_true (ctl_args_bool (args, "detach"));
  g_assert_true (ctl_args_bool (args, "quiet"));
  g_assert_true (ctl_args_given (args, "init"));
  g_assert_false (ctl_args_bool (args, "init"));
  g_assert_false (ctl_args_given (args, "label"));
  g_assert_cmpstr (ctl_args_string (args, "name"), ==, "web");
  g_assert_cmpint (ctl_args_int (args, "limit-memory"), ==, 512 * 1024 * 1024);
  env = ctl_args_list (args, "env");
  g_assert_cmpuint (env->len, ==, 3);
  g_assert_cmpstr (g_ptr_array_index (env, 1), ==, "B=2");
  words = ctl_args_positional (args);
  g_assert_cmpuint (words->len, ==, 4);
  g_assert_cmpstr (g_ptr_array_index (words, 1), ==, "-v");
}

static void
test_interspersed (void)
{
  g_autoptr (CtlArgs) args = parse ("node update", "n1 --availability drain -H root@n2", NULL);
  g_autoptr (CtlArgs) mapping = parse ("service create", "--host db:10.0.0.1 nginx", NULL);
  g_autoptr (CtlArgs) usual = parse ("update", "--max-snapshots 0", NULL);

  g_assert_cmpuint (ctl_args_positional (args)->len, ==, 1);
  g_assert_cmpstr (ctl_args_string (args, "availability"), ==, "drain");
  g_assert_cmpstr (ctl_args_host (args), ==, "root@n2");
  g_assert_cmpstr (ctl_args_string (mapping, "host"), ==, "db:10.0.0.1");
  g_assert_null (ctl_args_host (mapping));
  g_assert_nonnull (usual);
}

static void
test_parse_errors (void)
{
  static const char *const rows[][3] = {
    { "service create", "--bogus x", "unknown flag: --bogus" },
    { "node ls", "-z", "unknown shorthand flag: 'z' in -z" },
    { "service create", "--replicas", "flag needs an argument: --replicas" },
    { "service create", "-e", "flag needs an argument: 'e' in -e" },
    { "service create", "--replicas -1 nginx",
      "invalid argument \"-1\" for \"--replicas\" flag: \"-1\" is not a number that is 0 or more" },
    { "service create", "-p foo nginx",
      "invalid argument \"foo\" for \"-p, --publish\" flag: invalid containerPort: foo" },
    { "service create", "--limit-cpu x nginx",
      "invalid argument \"x\" for \"--limit-cpu\" flag: failed to parse x as a rational number" },
    { "service create", "-t nginx", "option --tty is not supported yet" },
    { "service update", "--secret-add x web", "option --secret-add is not supported yet" },
    { "init", "--external-ca x", "invalid argument \"x\" for \"--external-ca\" flag: invalid field 'x' must be a key=value pair" },
    { "init", "--max-snapshots 3",
      "invalid argument \"3\" for \"--max-snapshots\" flag: no old snapshots are kept: to go back to an earlier state, run 'swarmctl backup FILE' from time to time" },
    { "update", "--max-snapshots 3",
      "invalid argument \"3\" for \"--max-snapshots\" flag: no old snapshots are kept: to go back to an earlier state, run 'swarmctl backup FILE' from time to time" },
    { "node ls", "--=x", "bad flag syntax: --=x" },
    { "service create", "--detach=foo x",
      "invalid argument \"foo\" for \"-d, --detach\" flag: \"foo\" is neither true nor false" },
    { "node ls", "--filter foo",
      "invalid argument \"foo\" for \"-f, --filter\" flag: bad format of filter (expected name=value)" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (CtlArgs) args = parse (rows[i][0], rows[i][1], &error);

    g_assert_null (args);
    g_assert_error (error, CTL_ERROR, CTL_ERROR_USAGE);
    g_assert_cmpstr (error->message, ==, rows[i][2]);
  }
}

static void
test_counts (void)
{
  static const char *const rows[][3] = {
    { "service create", "", "swarmctl: 'swarmctl service create' requires at least 1 argument" },
    { "join", "", "swarmctl: 'swarmctl join' requires 1 argument" },
    { "node ls", "foo", "swarmctl: 'swarmctl node ls' accepts no arguments" },
    { "join-token", "worker manager", "swarmctl: 'swarmctl join-token' requires 1 argument" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (CtlArgs) args = parse (rows[i][0], rows[i][1], &error);

    g_assert_no_error (error);
    g_assert_false (ctl_args_check_count (args, &error));
    g_assert_cmpstr (error->message, ==, rows[i][2]);
  }
}

static void
test_bad_utf8 (void)
{
  char word[] = "--name=\xff";
  char *argv[] = { word };
  g_autoptr (GError) error = NULL;

  g_assert_null (ctl_args_parse (command ("service create"), 1, argv, &error));
  g_assert_error (error, CTL_ERROR, CTL_ERROR_USAGE);
}

static void
test_secret (void)
{
  char one[] = "--token=SWMTKN-1-abc", two[] = "--token", three[] = "SWMTKN-1-def", address[] = "10.0.0.1:2377";
  char env[] = "-ePASSWORD=hunter2", image[] = "nginx";
  char *create[] = { env, image };
  g_autoptr (CtlArgs) third = ctl_args_parse (command ("service create"), 2, create, NULL);
  char *joined[] = { one, address };
  char *apart[] = { two, three, address };
  g_autoptr (CtlArgs) first = ctl_args_parse (command ("join"), 2, joined, NULL);
  g_autoptr (CtlArgs) second = ctl_args_parse (command ("join"), 3, apart, NULL);

  g_assert_cmpstr (ctl_args_string (first, "token"), ==, "SWMTKN-1-abc");
  g_assert_cmpstr (ctl_args_string (second, "token"), ==, "SWMTKN-1-def");
  g_assert_cmpstr (one, ==, "--token=xxxxxxxxxxxx");
  g_assert_cmpstr (three, ==, "xxxxxxxxxxxx");
  g_assert_cmpstr (ctl_args_string (third, "env"), ==, "PASSWORD=hunter2");
  g_assert_cmpstr (env, ==, "-exxxxxxxxxxxxxxxx");
}

/* ---- specs ---- */

static char *
spec_json (SwarmServiceSpec *spec)
{
  g_autoptr (JsonNode) node = swarm_message_to_json (spec, 0);

  return ctl_json_print (node, FALSE);
}

static void
test_create (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (CtlArgs) args = parse (
      "service create",
      "--name my-web --replicas 3 --publish mode=host,target=80,published=8080 --label a=b --container-label c -e X=1 "
      "-e X=2 -e Y=3 "
      "--mount type=bind,source=/src,target=/dst,ro --constraint node.labels.zone==a --host db:10.0.0.1 --hostname h "
      "-u me -w /w --init --dns 10.0.0.53 --dns fd00::53 --dns 10.0.0.53 --dns-search corp.example --dns-option ndots:2 "
      "--read-only --sysctl net.core.somaxconn=5 --cap-add net_admin --cap-drop CAP_CHOWN --limit-cpu .5 "
      "--limit-memory 1g --limit-pids 10 "
      "--reserve-cpu 1 --reserve-memory 64m --restart-condition on-failure --restart-delay 1s --restart-max-attempts 4 "
      "--restart-window 1m "
      "--stop-grace-period 3s --stop-signal SIGINT --replicas-max-per-node 2 --entrypoint '/bin/sh -c' nginx echo -n",
      &error);
  g_autoptr (SwarmServiceSpec) spec = NULL;
  g_autoptr (SwarmServiceSpec) again = NULL;
  g_autoptr (GVariant) variant = NULL;
  SwarmContainerSpec *container;

  g_assert_no_error (error);
  spec = ctl_service_spec_create (args, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (spec->name, ==, "my-web");
  g_assert_cmpuint (spec->mode->replicated->replicas, ==, 3);
  g_assert_cmpstr (g_hash_table_lookup (spec->labels, "a"), ==, "b");
  g_assert_cmpuint (((SwarmPortConfig *)g_ptr_array_index (spec->endpoint->ports, 0))->published_port, ==, 8080);
  container = spec->task->container;
  g_assert_cmpstr (container->image, ==, "nginx");
  g_assert_cmpuint (container->args->len, ==, 2);
  g_assert_cmpstr (g_ptr_array_index (container->args, 1), ==, "-n");
  g_assert_cmpuint (container->command->len, ==, 2);
  g_assert_cmpuint (container->env->len, ==, 2);
  g_assert_cmpstr (g_ptr_array_index (container->env, 0), ==, "X=2");
  g_assert_cmpstr (g_ptr_array_index (container->hosts, 0), ==, "10.0.0.1 db");
  g_assert_cmpuint (container->dns->nameservers->len, ==, 2);
  g_assert_cmpstr (g_ptr_array_index (container->dns->nameservers, 1), ==, "fd00::53");
  g_assert_cmpstr (g_ptr_array_index (container->dns->search, 0), ==, "corp.example");
  g_assert_cmpstr (g_ptr_array_index (container->dns->options, 0), ==, "ndots:2");
  g_assert_cmpstr (g_ptr_array_index (container->capability_add, 0), ==, "CAP_NET_ADMIN");
  g_assert_cmpstr (g_ptr_array_index (container->capability_drop, 0), ==, "CAP_CHOWN");
  g_assert_true (container->init && container->read_only);
  g_assert_true (((SwarmMount *)g_ptr_array_index (container->mounts, 0))->read_only);
  g_assert_cmpint (container->stop_grace_period, ==, G_GINT64_CONSTANT (3000000000));
  g_assert_cmpint (spec->task->resources->limits->nano_cpus, ==, 500000000);
  g_assert_cmpint (spec->task->resources->limits->pids, ==, 10);
  g_assert_cmpint (spec->task->resources->reservations->memory_bytes, ==, 64 * 1024 * 1024);
  g_assert_cmpint (spec->task->restart_policy->condition, ==, SWARM_RESTART_ON_FAILURE);
  g_assert_cmpuint (spec->task->restart_policy->max_attempts, ==, 4);
  g_assert_cmpuint (spec->task->placement->max_replicas, ==, 2);

  /* the agent takes it as it is sent */
  variant = g_variant_ref_sink (swarm_message_to_variant (spec, 0));
  again = swarm_message_from_variant (&swarm_service_spec_type, variant, SWARM_FORM_FROM_USER, &error);
  g_assert_no_error (error);
  g_assert_true (swarm_message_equal (spec, again));
}

static void
test_create_minimal (void)
{
  g_autoptr (CtlArgs) args = parse ("service create", "busybox", NULL);
  g_autoptr (SwarmServiceSpec) spec = ctl_service_spec_create (args, NULL);

  g_assert_null (spec->task->resources);
  g_assert_null (spec->task->restart_policy);
  g_assert_null (spec->task->placement);
  g_assert_null (spec->endpoint);
  g_assert_null (spec->task->container->env);
  g_assert_cmpuint (spec->mode->replicated->replicas, ==, 1);
}

static void
test_env_file (void)
{
  g_autofree char *path = NULL;
  g_autofree char *line = NULL;
  int fd = g_file_open_tmp ("ctl-env-XXXXXX", &path, NULL);
  const char *text = "\xEF\xBB\xBF# comment\n\nA=1 \n  B=x=y\nCTL_TEST_ENV\nCTL_TEST_NONE\n";
  g_autoptr (CtlArgs) args = NULL;
  g_autoptr (SwarmServiceSpec) spec = NULL;
  GPtrArray *env;

  g_assert_cmpint (fd, >=, 0);
  close (fd);
  g_assert_true (g_file_set_contents (path, text, -1, NULL));
  g_setenv ("CTL_TEST_ENV", "from here", TRUE);
  line = g_strdup_printf ("--env-file %s -e B=2 nginx", path);
  args = parse ("service create", line, NULL);
  spec = ctl_service_spec_create (args, NULL);
  env = spec->task->container->env;
  g_assert_cmpuint (env->len, ==, 3);
  g_assert_cmpstr (g_ptr_array_index (env, 0), ==, "A=1 ");
  g_assert_cmpstr (g_ptr_array_index (env, 1), ==, "CTL_TEST_ENV=from here");
  g_assert_cmpstr (g_ptr_array_index (env, 2), ==, "B=2");
  g_unlink (path);
}

static void
test_update (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (CtlArgs) create
      = parse ("service create",
               "--name w --replicas 2 -e A=1 -e B=2 --label x=1 --mount type=volume,source=v,target=/v "
               "--constraint node.role==worker -p mode=host,target=80,published=8080 --host a:10.0.0.1 --limit-cpu 1 "
               "--cap-drop CHOWN nginx old",
               NULL);
  g_autoptr (SwarmServiceSpec) before = ctl_service_spec_create (create, NULL);
  g_autofree char *before_text = spec_json (before);
  g_autofree char *kept = NULL;
  g_autoptr (JsonNode) wanted_json = NULL;
  g_autoptr (SwarmServiceSpec) wanted = NULL;
  g_autoptr (CtlArgs) args = parse (
      "service update",
      "--image nginx:2 --args 'new args' --env-add A=9 --env-rm B --label-add y=2 --label-rm x "
      "--mount-rm /v --mount-add type=tmpfs,target=/t --constraint-rm node.role==worker --constraint-add node.id!=z "
      "--publish-rm 80 --publish-add mode=host,target=81,published=81 --host-rm a --limit-memory 8m --replicas 5 "
      "--force --cap-add CHOWN --restart-delay 2s w",
      NULL);
  g_autoptr (SwarmServiceSpec) after = ctl_service_spec_update (before, args, NULL);

  kept = spec_json (before);
  g_assert_cmpstr (kept, ==, before_text);
  wanted_json = json_from_string (
      "{'Name':'w','Labels':{'y':'2'},'TaskTemplate':{'ContainerSpec':{'Image':'nginx:2','Args':['new','args'],'Env':['"
      "A=9'],"
      "'Mounts':[{'Type':'tmpfs','Target':'/t'}]},'Resources':{'Limits':{'NanoCPUs':1000000000,'MemoryBytes':8388608}},"
      "'RestartPolicy':{'Delay':2000000000},'Placement':{'Constraints':['node.id!=z']},'ForceUpdate':1},"
      "'Mode':{'Replicated':{'Replicas':5}},'EndpointSpec':{'Ports':[{'TargetPort':81,'PublishedPort':81,'PublishMode':"
      "'host'}]}}",
      &error);
  g_assert_no_error (error);
  wanted = swarm_message_from_json (&swarm_service_spec_type, wanted_json, SWARM_FORM_FROM_USER, &error);
  g_assert_no_error (error);
  if (!swarm_message_equal (after, wanted)) {
    g_autofree char *text = spec_json (after);
    g_test_message ("%s", text);
    g_assert_not_reached ();
  }
}

/* What is left of the lists; without any of them nothing. */
static void
test_update_names (void)
{
  g_autoptr (CtlArgs) create = parse ("service create", "--name w --dns 10.0.0.1 --dns 10.0.0.2 --dns-search a nginx", NULL);
  g_autoptr (SwarmServiceSpec) before = ctl_service_spec_create (create, NULL);
  g_autoptr (CtlArgs) args = parse ("service update", "--dns-rm 10.0.0.1 --dns-add 10.0.0.3 --dns-search-rm a --dns-option-add rotate w", NULL);
  g_autoptr (SwarmServiceSpec) after = ctl_service_spec_update (before, args, NULL);
  g_autoptr (CtlArgs) last = parse ("service update", "--dns-rm 10.0.0.2 --dns-rm 10.0.0.3 --dns-option-rm rotate w", NULL);
  g_autoptr (SwarmServiceSpec) none = ctl_service_spec_update (after, last, NULL);
  const SwarmDnsConfig *dns = after->task->container->dns;
  g_autoptr (GError) error = NULL;

  g_assert_cmpuint (dns->nameservers->len, ==, 2);
  g_assert_cmpstr (g_ptr_array_index (dns->nameservers, 0), ==, "10.0.0.2");
  g_assert_cmpstr (g_ptr_array_index (dns->nameservers, 1), ==, "10.0.0.3");
  g_assert_cmpuint (dns->search->len, ==, 0);
  g_assert_cmpstr (g_ptr_array_index (dns->options, 0), ==, "rotate");
  g_assert_cmpuint (before->task->container->dns->nameservers->len, ==, 2);
  g_assert_cmpstr (g_ptr_array_index (before->task->container->dns->nameservers, 0), ==, "10.0.0.1");
  g_assert_null (none->task->container->dns);
  g_assert_null (parse ("service create", "--dns 10.0.0 nginx", &error));
  g_assert_cmpstr (error->message, ==, "invalid argument \"10.0.0\" for \"--dns\" flag: IP address is not correctly formatted: 10.0.0");
}

static void
test_update_nothing (void)
{
  g_autoptr (CtlArgs) create = parse ("service create", "--name w -e A=1 --label x nginx", NULL);
  g_autoptr (SwarmServiceSpec) before = ctl_service_spec_create (create, NULL);
  g_autoptr (CtlArgs) args = parse ("service update", "w", NULL);
  g_autoptr (SwarmServiceSpec) after = ctl_service_spec_update (before, args, NULL);

  g_assert_true (swarm_message_equal (before, after));
}

/* ---- progress ---- */

static void
collect_line (const char *key, const char *text, gboolean lasting, gpointer data)
{
  g_string_append_printf (data, "%s%s: %s\n", lasting ? "" : "~", key, text);
}

static gboolean
step (CtlProgress *progress, GString *out, const char *tasks_text)
{
  g_autoptr (JsonNode) service = json_from_string ("{'Spec':{'Mode':{'Replicated':{'Replicas':2}}}}", NULL);
  g_autoptr (JsonNode) list = json_from_string (tasks_text, NULL);
  g_autoptr (GPtrArray) tasks = ctl_json_objects (json_node_get_array (list));
  g_autoptr (GHashTable) nodes = g_hash_table_new (g_str_hash, g_str_equal);

  g_hash_table_add (nodes, (gpointer) "n1");
  g_string_truncate (out, 0);
  return ctl_progress_update (progress, json_node_get_object (service), tasks, nodes);
}

static void
test_progress (void)
{
  g_autoptr (GString) out = g_string_new (NULL);
  CtlProgress *progress = ctl_progress_new (120, collect_line, out);

  g_assert_false (step (progress, out, "[]"));
  g_assert_cmpstr (out->str, ==,
                   "overall progress: 0 out of 2 tasks\n~1/2: \n~2/2: \noverall progress: 0 out of 2 tasks\n");
  g_assert_false (
      step (progress, out,
            "[{'Slot':1,'DesiredState':'running','Status':{'State':'preparing'},'NodeID':'n1'},"
            "{'Slot':2,'DesiredState':'running','Status':{'State':'pending','Err':\"no suitable\\nnode\"}}]"));
  g_assert_cmpstr (out->str, ==,
                   "~1/2: preparing [=================================>                 ]\n2/2: no suitable node\n"
                   "overall progress: 0 out of 2 tasks\n");
  /* a task on a dead node does not count, the one that replaces it does */
  g_assert_false (step (progress, out,
                        "[{'Slot':1,'DesiredState':'running','Status':{'State':'running'},'NodeID':'dead'},"
                        "{'Slot':2,'DesiredState':'running','Status':{'State':'running'},'NodeID':'n1'}]"));
  g_assert_nonnull (strstr (out->str, "overall progress: 1 out of 2 tasks\n"));
  g_assert_true (step (progress, out,
                       "[{'Slot':1,'DesiredState':'shutdown','Status':{'State':'failed'},'NodeID':'n1'},"
                       "{'Slot':1,'DesiredState':'running','Status':{'State':'running'},'NodeID':'n1'},"
                       "{'Slot':2,'DesiredState':'running','Status':{'State':'running'},'NodeID':'n1'}]"));
  g_assert_nonnull (strstr (out->str, "overall progress: 2 out of 2 tasks\n"));
  g_assert_false (step (progress, out,
                        "[{'Slot':1,'DesiredState':'running','Status':{'State':'running'},'NodeID':'n1'},"
                        "{'Slot':2,'DesiredState':'running','Status':{'State':'failed'},'NodeID':'n1'}]"));
  ctl_progress_free (progress);
}

/* ---- registry credentials ---- */

static void
test_registry_auth (void)
{
  g_autofree char *dir = g_dir_make_tmp ("ctl-auth-XXXXXX", NULL);
  g_autofree char *file = g_build_filename (dir, "auth.json", NULL);
  g_autofree char *own = NULL;
  g_autofree char *none = NULL;
  g_autofree guchar *decoded = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) keys = ctl_registry_auth_keys ("registry.example.com:5000/team/app:1.2");
  gsize len;

  g_assert_cmpstr (keys[0], ==, "registry.example.com:5000/team/app");
  g_assert_cmpstr (keys[1], ==, "registry.example.com:5000/team");
  g_assert_cmpstr (keys[2], ==, "registry.example.com:5000");
  g_assert_null (keys[3]);
  /* dTpwOnc= is u:p:w */
  g_assert_true (g_file_set_contents (
      file, "{\"auths\":{\"registry.example.com:5000\":{\"auth\":\"dTpwOnc=\"},\"helped.example.com\":{}}}", -1, NULL));
  g_setenv ("REGISTRY_AUTH_FILE", file, TRUE);
  g_setenv ("XDG_RUNTIME_DIR", dir, TRUE);
  g_setenv ("DOCKER_CONFIG", dir, TRUE);
  own = ctl_registry_auth ("registry.example.com:5000/team/app", &error);
  g_assert_no_error (error);
  decoded = g_base64_decode (own, &len);
  g_assert_cmpmem (decoded, len,
                   "{\"username\":\"u\",\"password\":\"p:w\",\"serveraddress\":\"registry.example.com:5000\"}", 77);
  none = ctl_registry_auth ("other.example.com/app", &error);
  g_assert_no_error (error);
  g_assert_cmpstr (none, ==, "");
  g_assert_null (ctl_registry_auth ("helped.example.com/app", &error));
  g_assert_nonnull (strstr (error->message, "credential helper"));
  g_unlink (file);
  g_rmdir (dir);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/ctl/commands/table", test_table);
  g_test_add_func ("/ctl/commands/examples", test_examples);
  g_test_add_func ("/ctl/commands/generated", test_generated);
  g_test_add_func ("/ctl/commands/potfiles", test_potfiles);
  g_test_add_func ("/ctl/opts/parse", test_parse);
  g_test_add_func ("/ctl/opts/interspersed", test_interspersed);
  g_test_add_func ("/ctl/opts/errors", test_parse_errors);
  g_test_add_func ("/ctl/opts/counts", test_counts);
  g_test_add_func ("/ctl/opts/utf8", test_bad_utf8);
  g_test_add_func ("/ctl/opts/secret", test_secret);
  g_test_add_func ("/ctl/spec/create", test_create);
  g_test_add_func ("/ctl/spec/minimal", test_create_minimal);
  g_test_add_func ("/ctl/spec/env-file", test_env_file);
  g_test_add_func ("/ctl/spec/update", test_update);
  g_test_add_func ("/ctl/spec/update-names", test_update_names);
  g_test_add_func ("/ctl/spec/update-nothing", test_update_nothing);
  g_test_add_func ("/ctl/progress/update", test_progress);
  g_test_add_func ("/ctl/registry-auth", test_registry_auth);
  return g_test_run ();
}
