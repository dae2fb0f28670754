// SPDX-License-Identifier: LGPL-2.1-or-later
/* swarmctl: finds the command in the table, runs it, says what went wrong. Exit codes: 0 done, 1 refused or failed, 2
 * wrong usage. */
#include "ctl/client.h"
#include "ctl/format.h"
#include "ctl/help.h"
#include <locale.h>
#include <stdio.h>
#include <string.h>

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

static int
print_text (char *text)
{
  fputs (text, stdout);
  g_free (text);
  return EXIT_DONE;
}

static const CtlGroup *
find_group (const char *name)
{
  for (const CtlGroup *group = ctl_groups; group->name != NULL; group++)
    if (g_strcmp0 (group->name, name) == 0)
      return group;
  return NULL;
}

/* A command that swarm has and we do not have yet; NULL: none. */
static const char *
find_unsupported (const char *const *words)
{
  for (const char *const *name = ctl_unsupported_commands; *name != NULL; name++) {
    g_auto (GStrv) path = g_strsplit (*name, " ", -1);
    guint i = 0;

    while (path[i] != NULL && g_strcmp0 (path[i], words[i]) == 0)
      i++;
    if (path[i] == NULL)
      return *name;
  }
  return NULL;
}

static int
unknown_command (const char *const *words)
{
  const CtlGroup *group = find_group (words[0]);
  const char *unsupported = find_unsupported (words);

  if (unsupported != NULL)
    g_printerr (_ ("swarmctl: command \"%s\" is not supported yet\n"), unsupported);
  else if (group != NULL)
    g_printerr (_ ("swarmctl: unknown command: swarmctl %s %s\n\nUsage:  swarmctl %s COMMAND\n\nRun 'swarmctl %s "
                   "--help' for more information\n"),
                words[0], words[1], words[0], words[0]);
  else
    g_printerr (_ ("swarmctl: unknown command: swarmctl %s\n\nRun 'swarmctl --help' for more information\n"), words[0]);
  return EXIT_USAGE;
}

/* "help [COMMAND...]", "COMMAND" of a group alone, and what is in no table. */
static int
help_topic (const char *const *words)
{
  guint used = 0;
  const CtlCommand *command = words[0] != NULL ? ctl_command_find (words, &used) : NULL;
  const CtlGroup *group = find_group (words[0]);

  if (words[0] == NULL)
    return print_text (ctl_help_top (ctl_terminal_width ()));
  if (command != NULL && words[used] == NULL)
    return print_text (ctl_help_command (command, ctl_terminal_width ()));
  if (group != NULL && words[1] == NULL)
    return print_text (ctl_help_group (group));
  return unknown_command (words);
}

static int
report (const CtlCommand *command, const GError *error)
{
  g_autofree char *usage = ctl_help_usage (command);
  g_autofree char *text = ctl_printable (g_strdup (error->message), TRUE);

  if (g_error_matches (error, CTL_ERROR, CTL_ERROR_USAGE)) {
    g_printerr (_ ("%s\n\nUsage:  %s\n\nRun 'swarmctl %s --help' for more information\n"), text, usage,
                command->path);
    return EXIT_USAGE;
  }
  g_printerr ("%s\n", text);
  return g_error_matches (error, CTL_ERROR, CTL_ERROR_INVALID) ? EXIT_USAGE : EXIT_FAILED;
}

static int
run_command (const CtlCommand *command, const char *host, int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (CtlArgs) args = ctl_args_parse (command, argc, argv, &error);
  CtlContext context = { .command = command, .args = args };
  gboolean ok;

  if (args == NULL)
    return report (command, error);
  if (ctl_args_help (args))
    return print_text (ctl_help_command (command, ctl_terminal_width ()));
  if (!ctl_args_check_count (args, &error))
    return report (command, error);
  context.host = ctl_args_host (args) != NULL ? ctl_args_host (args) : host;
  ok = command->run (&context, &error);
  if (ok)
    ctl_warn_if_stale (&context);
  ctl_context_close (&context);
  return ok ? EXIT_DONE : report (command, error);
}

/* Options before the command. TRUE: all is done, with @ret_code. */
static gboolean
leading_options (int argc, char **argv, int *index, const char **ret_host, int *ret_code)
{
  for (; *index < argc && argv[*index][0] == '-'; (*index)++) {
    const char *word = argv[*index];

    *ret_code = EXIT_DONE;
    if (g_str_equal (word, "-v") || g_str_equal (word, "--version")) {
      printf ("swarmctl version %s\n", SWARM_VERSION);
      return TRUE;
    } else if (g_str_equal (word, "-h") || g_str_equal (word, "--help")) {
      *ret_code = help_topic ((const char *const *)argv + *index + 1);
      return TRUE;
    } else if (g_str_equal (word, "--generate-man")) {
      *ret_code = print_text (ctl_help_man ());
      return TRUE;
    } else if (g_str_equal (word, "--generate-completion")) {
      *ret_code = print_text (ctl_help_bash_completion ());
      return TRUE;
    } else if ((g_str_equal (word, "-H") || g_str_equal (word, "--host")) && *index + 1 < argc) {
      *ret_host = argv[++*index];
    } else if (g_str_has_prefix (word, "--host=")) {
      *ret_host = word + strlen ("--host=");
    } else if (word[1] == 'H' && word[2] != 0) {
      *ret_host = word + 2;
    } else {
      *ret_code = EXIT_USAGE;
      if (g_str_equal (word, "-H") || g_str_equal (word, "--host"))
        g_printerr (_ ("flag needs an argument: %s\n"), word);
      else
        g_printerr (_ ("unknown flag: %s\n\nUsage:  swarmctl [OPTIONS] COMMAND\n\nRun 'swarmctl --help' for more "
                       "information\n"),
                    word);
      return TRUE;
    }
  }
  return FALSE;
}

static int
run (int argc, char **argv)
{
  int index = 1;
  int code = EXIT_DONE;
  guint used = 0;
  const char *host = NULL;
  const char *const *words;
  const CtlCommand *command;

  if (leading_options (argc, argv, &index, &host, &code))
    return code;
  words = (const char *const *)argv + index;
  if (words[0] == NULL)
    return help_topic (words);
  if (g_str_equal (words[0], "help"))
    return help_topic (words + 1);
  command = ctl_command_find (words, &used);
  if (command != NULL)
    return run_command (command, host, argc - index - (int)used, argv + index + used);
  if (words[1] != NULL && (g_str_equal (words[1], "--help") || g_str_equal (words[1], "-h"))) {
    const char *topic[] = { words[0], NULL };
    return help_topic (topic);
  }
  return help_topic (words);
}

int
main (int argc, char **argv)
{
  int code;

  setlocale (LC_ALL, "");
  setlocale (LC_NUMERIC, "C"); /* numbers read the same everywhere */
  bindtextdomain (GETTEXT_PACKAGE, SWARM_LOCALE_DIR);
  bind_textdomain_codeset (GETTEXT_PACKAGE, "UTF-8");
  textdomain (GETTEXT_PACKAGE);
  g_set_prgname ("swarmctl");
  setvbuf (stdout, NULL, _IOLBF, 0); /* in order with what goes to stderr */

  code = run (argc, argv);
  if ((fflush (stdout) != 0 || ferror (stdout)) && code == EXIT_DONE) {
    perror ("swarmctl: stdout");
    code = EXIT_FAILED;
  }
  return code;
}
