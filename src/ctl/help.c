// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ctl/help.h"
#include "ctl/format.h"
#include <string.h>

char *
ctl_help_usage (const CtlCommand *command)
{
  return g_strdup_printf ("swarmctl %s%s%s", command->path, *command->args != 0 ? " " : "", command->args);
}

static const char *
value_word (const CtlOption *option)
{
  if (option->word != NULL)
    return option->word;
  switch (option->kind) {
  case CTL_BOOL:
    return "";
  case CTL_STRING:
    return "string";
  case CTL_LIST:
    return "list";
  case CTL_UINT:
    return "uint";
  case CTL_INT:
    return "int";
  case CTL_DURATION:
    return "duration";
  case CTL_BYTES:
    return "bytes";
  case CTL_DECIMAL:
    return "decimal";
  case CTL_FLOAT:
    return "float";
  }
  return "";
}

static int
compare_options (gconstpointer a, gconstpointer b)
{
  return strcmp ((*(const CtlOption *const *)a)->name, (*(const CtlOption *const *)b)->name);
}

/* The command's options by name; NULL when it has none. */
static GPtrArray *
sorted_options (const CtlCommand *command)
{
  GPtrArray *list = g_ptr_array_new ();

  for (const CtlOption *const *tables = command->options; tables != NULL && *tables != NULL; tables++)
    for (const CtlOption *option = *tables; option->name != NULL; option++)
      g_ptr_array_add (list, (gpointer)option);
  g_ptr_array_sort (list, compare_options);
  return list;
}

static char *
option_text (const CtlOption *option)
{
  if (option->fallback == NULL)
    return g_strdup (_ (option->help));
  return g_strdup_printf (_ ("%s (default %s)"), _ (option->help), option->fallback);
}

static void
append_options (GString *out, GPtrArray *options, guint width)
{
  guint widest = 0;

  for (guint i = 0; i < options->len; i++) {
    const CtlOption *option = g_ptr_array_index (options, i);
    widest = MAX (widest, strlen (option->name) + 1 + strlen (value_word (option)));
  }
  for (guint i = 0; i < options->len; i++) {
    const CtlOption *option = g_ptr_array_index (options, i);
    g_autofree char *flag = g_strdup_printf ("%s %s", option->name, value_word (option));
    g_autofree char *text = option_text (option);
    guint indent = 8 + widest + 3;

    if (option->letter != 0)
      g_string_append_printf (out, "  -%c, --%-*s   ", option->letter, (int)widest, flag);
    else
      g_string_append_printf (out, "      --%-*s   ", (int)widest, flag);
    ctl_wrap (out, text, indent, indent, MAX (width, indent + 30));
    g_string_append_c (out, '\n');
  }
}

static void
append_examples (GString *out, const CtlCommand *command)
{
  g_auto (GStrv) lines = NULL;

  if (command->examples == NULL)
    return;
  g_string_append_printf (out, "\n%s\n", _ ("Examples:"));
  lines = g_strsplit (command->examples, "\n", -1);
  for (guint i = 0; lines[i] != NULL; i++) {
    g_auto (GStrv) parts = g_strsplit (lines[i], "\t", 2);

    g_string_append_printf (out, "  # %s\n  swarmctl %s\n", parts[1], parts[0]);
  }
}

char *
ctl_help_command (const CtlCommand *command, guint width)
{
  GString *out = g_string_new (NULL);
  g_autofree char *usage = ctl_help_usage (command);
  g_autoptr (GPtrArray) options = sorted_options (command);

  g_string_append_printf (out, "%s  %s\n\n%s\n", _ ("Usage:"), usage, _ (command->summary));
  if (command->alias != NULL) {
    g_autofree char *group = g_strndup (command->path, strlen (command->path) - strlen (ctl_command_word (command)));
    g_string_append_printf (out, "\n%s\n  swarmctl %s, swarmctl %s%s\n", _ ("Aliases:"), command->path, group,
                            command->alias);
  }
  if (options->len > 0) {
    g_string_append_printf (out, "\n%s\n", _ ("Options:"));
    append_options (out, options, width);
  }
  append_examples (out, command);
  return g_string_free (out, FALSE);
}

static gboolean
in_group (const CtlCommand *command, const char *group)
{
  gsize len = strlen (group);

  return strncmp (command->path, group, len) == 0 && command->path[len] == ' ';
}

char *
ctl_help_group (const CtlGroup *group)
{
  GString *out = g_string_new (NULL);

  g_string_append_printf (out, "%s  swarmctl %s COMMAND\n\n%s\n\n%s\n", _ ("Usage:"), group->name, _ (group->summary),
                          _ ("Commands:"));
  for (const CtlCommand *command = ctl_commands; command->path != NULL; command++)
    if (in_group (command, group->name))
      g_string_append_printf (out, "  %-11s %s\n", ctl_command_word (command), _ (command->summary));
  g_string_append_printf (out, "\n");
  g_string_append_printf (out, _ ("Run 'swarmctl %s COMMAND --help' for more information on a command.\n"),
                          group->name);
  return g_string_free (out, FALSE);
}

char *
ctl_help_top (guint width)
{
  GString *out = g_string_new (NULL);
  static const CtlOption version = { "version", 'v', CTL_BOOL, N_ ("Print version information and quit") };
  g_autoptr (GPtrArray) options = g_ptr_array_new ();

  g_string_append_printf (out, "%s  swarmctl [OPTIONS] COMMAND\n\n%s\n\n%s\n", _ ("Usage:"),
                          _ ("Many Linux hosts, one virtual host: run services on a swarm of machines"),
                          _ ("Swarm Commands:"));
  for (const CtlCommand *command = ctl_commands; command->path != NULL; command++)
    if (strchr (command->path, ' ') == NULL)
      g_string_append_printf (out, "  %-11s %s\n", command->path, _ (command->summary));
  g_string_append_printf (out, "\n%s\n", _ ("Management Commands:"));
  for (const CtlGroup *group = ctl_groups; group->name != NULL; group++)
    g_string_append_printf (out, "  %-11s %s\n", group->name, _ (group->summary));
  g_string_append_printf (out, "\n%s\n", _ ("Global Options:"));
  for (const CtlOption *option = ctl_global_options; option->name != NULL; option++)
    g_ptr_array_add (options, (gpointer)option);
  g_ptr_array_add (options, (gpointer)&version);
  append_options (out, options, width);
  g_string_append_printf (out, "\n%s\n", _ ("Run 'swarmctl COMMAND --help' for more information on a command."));
  return g_string_free (out, FALSE);
}

/* ---- manual page ---- */

static void
append_roff (GString *out, const char *text)
{
  for (const char *p = text; *p != 0; p++) {
    if (*p == '\\')
      g_string_append (out, "\\e");
    else if (*p == '-')
      g_string_append (out, "\\-");
    else if ((*p == '.' || *p == '\'') && (p == text || p[-1] == '\n'))
      g_string_append_printf (out, "\\&%c", *p);
    else
      g_string_append_c (out, *p);
  }
}

static void
append_roff_option (GString *out, const CtlOption *option)
{
  const char *word = value_word (option);
  g_autofree char *text = option_text (option);

  g_string_append (out, ".TP\n");
  if (option->letter != 0)
    g_string_append_printf (out, "\\fB\\-%c\\fR, ", option->letter);
  g_string_append (out, "\\fB\\-\\-");
  append_roff (out, option->name);
  g_string_append (out, "\\fR");
  if (*word != 0) {
    g_string_append (out, " \\fI");
    append_roff (out, word);
    g_string_append (out, "\\fR");
  }
  g_string_append_c (out, '\n');
  append_roff (out, text);
  g_string_append_c (out, '\n');
}

static void
append_roff_command (GString *out, const CtlCommand *command)
{
  g_autoptr (GPtrArray) options = sorted_options (command);
  g_auto (GStrv) examples = g_strsplit (command->examples != NULL ? command->examples : "", "\n", -1);

  g_string_append (out, ".SS \"");
  append_roff (out, command->path);
  g_string_append (out, " ");
  append_roff (out, command->args);
  g_string_append (out, "\"\n");
  append_roff (out, command->summary);
  g_string_append (out, ".\n");
  for (guint i = 0; i < options->len; i++)
    append_roff_option (out, g_ptr_array_index (options, i));
  for (guint i = 0; examples[i] != NULL && *examples[i] != 0; i++) {
    g_auto (GStrv) parts = g_strsplit (examples[i], "\t", 2);

    g_string_append (out, ".PP\n");
    append_roff (out, parts[1]);
    g_string_append (out, ":\n.RS 4\n.nf\nswarmctl ");
    append_roff (out, parts[0]);
    g_string_append (out, "\n.fi\n.RE\n");
  }
}

/* What somebody who knows docker would be surprised by. */
static const char *const differences[] = {
  "A placement constraint with an unknown key, or whose node.ip is no address, is an error when the service is created or updated. "
  "Docker takes it, and the tasks wait for ever.",
  "Go templates are refused, in --format (json and a tool such as jq instead) as in --hostname, --env and --mount, where docker expands "
  "{{.Node.Hostname}} and the like.",
  "A filter's value that there is not, as mode=replicatd, is an error; docker says so of states, roles and memberships only.",
  "A reservation of generic resources that makes no sense is refused by the agent too, not only by the command.",
  "A placement preference that spreads over something else than a label is refused; docker ignores it.",
  "REPLICAS of a replicated job shows how many of the remaining completions may run at once: 0 when it is done. Docker goes on showing "
  "--max-concurrent.",
  "In task lists the first task of a replicated job is job.0; docker shows the node there.",
  "A rollback whose failure action is rollback (only the API can say so) pauses when it fails: nothing is rolled back twice.",
  "With stop-first a slot never has two running tasks: the new one waits until the old one has stopped, however long that takes; docker starts "
  "it after a minute. After a minute beyond the grace period such a slot no longer holds up the others of an update.",
  "With start-first and published host ports an update needs a node where the port is free for each new task, as docker has it: where every node "
  "runs a task of the service the update waits. The command warns, and service ps --no-trunc says it of the task that waits.",
  "An update that changes nothing keeps the specification before and an update under way; a paused update goes on.",
  "Of log drivers nodes tell of journald alone: a service with another --log-driver waits, \"missing plugin\"; none is refused. Volume drivers "
  "are not asked for yet.",
  "There are no cluster (CSI) volumes; docker's scheduler takes a node that has one of several that a task asks for.",
  "When labels or resources of a node change, every task that does not fit any more is moved in the same pass.",
  "A task that fails at once again and again waits longer each time, up to --restart-backoff; service ps shows how long. 0 restores "
  "docker's behaviour.",
  "A node is down after three missed heartbeats of a second each. Its tasks are replaced at once, but are shown as orphaned only after 24 "
  "hours, as docker has it.",
  "Whether a manager may leave without --force and whether it may be demoted are decided by two different rules, as docker has it: leaving is "
  "refused earlier.",
  "The mode columns say \"replicated job\" and \"global job\", --mode and JSON say replicated-job and global-job, as docker has it.",
  "A node's certificate is valid for an hour at least.",
  "Names of tasks, states, messages and exit codes of tasks are docker's. Bad usage ends with exit code 2, a waiting command whose update was "
  "paused or rolled back with 1.",
  NULL,
};

static void
append_roff_differences (GString *out)
{
  g_string_append (out, ".SH DIFFERENCES FROM DOCKER\n");
  for (guint i = 0; differences[i] != NULL; i++) {
    g_string_append (out, ".IP \\(bu 2\n");
    append_roff (out, differences[i]);
    g_string_append_c (out, '\n');
  }
}

char *
ctl_help_man (void)
{
  GString *out = g_string_new (
      ".\\\" SPDX-License-Identifier: LGPL-2.1-or-later\n.TH SWARMCTL 1 \"\" \"swarm-agent " SWARM_VERSION
      "\" \"User Commands\"\n.SH NAME\nswarmctl \\- control a swarm of machines\n.SH SYNOPSIS\n"
      ".B swarmctl\n[\\fIOPTIONS\\fR] \\fICOMMAND\\fR [\\fIARG\\fR...]\n.SH DESCRIPTION\n"
      "\\fBswarmctl\\fR talks to the local \\fBswarm-agent\\fR over the D\\-Bus system bus. "
      "It makes a machine a manager or a worker of a swarm and declares the services that the swarm "
      "runs. Its words, options and tables are those of Docker's swarm mode: \\fBdocker swarm init\\fR "
      "is \\fBswarmctl init\\fR, \\fBdocker node ls\\fR is \\fBswarmctl node ls\\fR. Options of swarm "
      "mode that are not here yet are refused by name.\n.PP\nActive local users and members of the group "
      "\\fBswarm\\fR may look at nodes, services and tasks. Everything else asks polkit; on a terminal the password "
      "is asked for there. Nodes, services and tasks are named by id, by name, or by the beginning of the id.\n"
      ".SH OPTIONS\n");

  for (const CtlOption *option = ctl_global_options; option->name != NULL; option++)
    append_roff_option (out, option);
  g_string_append (out, ".TP\n\\fB\\-v\\fR, \\fB\\-\\-version\\fR\nPrint version information and quit\n.SH COMMANDS\n");
  for (const CtlCommand *command = ctl_commands; command->path != NULL; command++)
    append_roff_command (out, command);
  append_roff_differences (out);
  g_string_append (
      out, ".SH EXIT STATUS\n.TP\n0\ndone\n.TP\n1\nrefused or failed; the reason is on standard error\n.TP\n2\n"
           "wrong usage\n.SH ENVIRONMENT\n.TP\nDBUS_SYSTEM_BUS_ADDRESS\nanother bus than the system's\n.TP\n"
           "REGISTRY_AUTH_FILE, XDG_RUNTIME_DIR, DOCKER_CONFIG\nwhere \\fB\\-\\-with\\-registry\\-auth\\fR looks for "
           "what \\fBpodman login\\fR and \\fBdocker login\\fR stored\n.SH SEE ALSO\n.BR systemctl (1),\n"
           ".BR journalctl (1),\n.BR busctl (1),\n.BR podman (1)\n");
  return g_string_free (out, FALSE);
}

/* ---- bash completion ---- */

static void
append_option_words (GString *out, const CtlCommand *command)
{
  g_autoptr (GPtrArray) options = sorted_options (command);

  for (guint i = 0; i < options->len; i++) {
    const CtlOption *option = g_ptr_array_index (options, i);

    g_string_append_printf (out, "--%s ", option->name);
  }
  g_string_append (out, "--help");
}

static const char *
objects_command (const char *objects)
{
  if (objects == NULL)
    return "";
  if (g_str_equal (objects, "node"))
    return "$(swarmctl node ls --format json 2>/dev/null | sed -n 's/.*\"Hostname\":\"\\([^\"]*\\)\".*/\\1/p') self";
  if (g_str_has_prefix (objects, "service"))
    return g_str_equal (objects, "service=")
               ? "$(swarmctl service ls --format json 2>/dev/null | sed -n 's/.*\"Name\":\"\\([^\"]*\\)\".*/\\1=/p')"
               : "$(swarmctl service ls --format json 2>/dev/null | sed -n 's/.*\"Name\":\"\\([^\"]*\\)\".*/\\1/p')";
  if (g_str_equal (objects, "network"))
    return "$(swarmctl network ls --format json 2>/dev/null | sed -n 's/.*\"Name\":\"\\([^\"]*\\)\".*/\\1/p')";
  if (g_str_equal (objects, "role"))
    return "worker manager";
  return "";
}

static void
append_choices (GString *out, GHashTable *seen, const CtlCommand *command)
{
  g_autoptr (GPtrArray) options = sorted_options (command);

  for (guint i = 0; i < options->len; i++) {
    const CtlOption *option = g_ptr_array_index (options, i);
    g_autofree char *key = g_strdup_printf ("%s:--%s", command->path, option->name);

    if (option->kind == CTL_BOOL || !g_hash_table_add (seen, g_strdup (key)))
      continue;
    if (option->choices != NULL)
      g_string_append_printf (out, "        '%s') COMPREPLY=($(compgen -W '%s' -- \"$cur\")); return;;\n", key,
                              option->choices);
    else if (g_str_has_suffix (option->name, "-file"))
      g_string_append_printf (out, "        '%s') COMPREPLY=($(compgen -f -- \"$cur\")); return;;\n", key);
    else if (g_strcmp0 (option->word, "network") == 0)
      g_string_append_printf (out, "        '%s') COMPREPLY=($(compgen -W \"%s\" -- \"$cur\")); return;;\n", key, objects_command (option->word));
    else
      g_string_append_printf (out, "        '%s') return;;\n", key);
  }
}

static void
append_words_of (GString *out, const char *group)
{
  for (const CtlCommand *command = ctl_commands; command->path != NULL; command++)
    if (group == NULL ? strchr (command->path, ' ') == NULL : in_group (command, group))
      g_string_append_printf (out, "%s ", ctl_command_word (command));
}

char *
ctl_help_bash_completion (void)
{
  GString *out = g_string_new (
      "# SPDX-License-Identifier: LGPL-2.1-or-later\n# bash completion for swarmctl, generated from its "
      "command table\n_swarmctl() {\n    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} "
      "cmd= i\n    COMPREPLY=()\n    for ((i = 1; i < COMP_CWORD; i++)); do\n        case ${COMP_WORDS[i]} in\n"
      "        -H|--host) ((i++));;\n        -*) ;;\n        *) case $cmd in\n           '') cmd=${COMP_WORDS[i]};;\n"
      "           ");
  g_autoptr (GHashTable) seen = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  for (const CtlGroup *group = ctl_groups; group->name != NULL; group++)
    g_string_append_printf (out, "%s%s", group == ctl_groups ? "" : "|", group->name);
  g_string_append (
      out,
      ") cmd=\"$cmd ${COMP_WORDS[i]}\";;\n           esac;;\n        esac\n    done\n    case \"$cmd:$prev\" in\n");
  for (const CtlCommand *command = ctl_commands; command->path != NULL; command++)
    append_choices (out, seen, command);
  g_string_append (out, "    esac\n    case $cmd in\n    '') COMPREPLY=($(compgen -W '");
  append_words_of (out, NULL);
  for (const CtlGroup *group = ctl_groups; group->name != NULL; group++)
    g_string_append_printf (out, "%s ", group->name);
  g_string_append (out, "help --help --version --host' -- \"$cur\"));;\n");
  for (const CtlGroup *group = ctl_groups; group->name != NULL; group++) {
    g_string_append_printf (out, "    %s) COMPREPLY=($(compgen -W '", group->name);
    append_words_of (out, group->name);
    g_string_append (out, "--help' -- \"$cur\"));;\n");
  }
  for (const CtlCommand *command = ctl_commands; command->path != NULL; command++) {
    g_string_append_printf (out, "    '%s') case $cur in\n        -*) COMPREPLY=($(compgen -W '", command->path);
    append_option_words (out, command);
    g_string_append_printf (
        out, "' -- \"$cur\"));;\n        *) COMPREPLY=($(compgen -W \"%s\" -- \"$cur\"));;\n        esac;;\n",
        objects_command (command->objects));
  }
  g_string_append (out, "    esac\n}\ncomplete -F _swarmctl swarmctl\n");
  return g_string_free (out, FALSE);
}
