// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ctl/opts.h"
#include "ctl/values.h"
#include <string.h>

G_DEFINE_QUARK (ctl - error - quark, ctl_error)

gboolean
ctl_invalid (GError **error, const char *format, ...)
{
  va_list list;
  g_autofree char *text = NULL;

  va_start (list, format);
  text = g_strdup_vprintf (format, list);
  va_end (list);
  g_set_error_literal (error, CTL_ERROR, CTL_ERROR_INVALID, text);
  return FALSE;
}

struct _CtlArgs {
  const CtlCommand *command;
  GHashTable *values; /* const CtlOption * → GPtrArray of char * */
  GPtrArray *positional;
  GPtrArray *none;
  gboolean help;
  char *host;
};

void
ctl_args_free (CtlArgs *args)
{
  if (args == NULL)
    return;
  g_hash_table_unref (args->values);
  g_ptr_array_unref (args->positional);
  g_ptr_array_unref (args->none);
  g_free (args->host);
  g_free (args);
}

static const CtlOption *
find_in_table (const CtlOption *table, const char *name, gsize len, char letter)
{
  for (; table->name != NULL; table++)
    if (letter != 0 ? table->letter == letter : (strlen (table->name) == len && strncmp (table->name, name, len) == 0))
      return table;
  return NULL;
}

static const CtlOption *
find_option (const CtlCommand *command, const char *name, gsize len, char letter)
{
  for (const CtlOption *const *tables = command->options; tables != NULL && *tables != NULL; tables++) {
    const CtlOption *option = find_in_table (*tables, name, len, letter);
    if (option != NULL)
      return option;
  }
  return find_in_table (ctl_global_options, name, len, letter);
}

static gboolean
is_unsupported (const CtlCommand *command, const char *name, gsize len)
{
  for (const char *const *names = command->unsupported; names != NULL && *names != NULL; names++)
    if (strlen (*names) == len && strncmp (*names, name, len) == 0)
      return TRUE;
  return FALSE;
}

static gboolean
check_value (const CtlOption *option, const char *value, GError **error)
{
  g_autoptr (GError) reason = NULL;
  g_autofree char *flags = NULL;

  if (ctl_value_check (option->kind, value, &reason) && (option->check == NULL || option->check (value, &reason)))
    return TRUE;
  flags = option->letter != 0 ? g_strdup_printf ("-%c, --%s", option->letter, option->name)
                              : g_strdup_printf ("--%s", option->name);
  g_set_error (error, CTL_ERROR, CTL_ERROR_USAGE, _ ("invalid argument \"%s\" for \"%s\" flag: %s"),
               option->flags & CTL_OPTION_SECRET ? "…" : value, flags, reason->message);
  return FALSE;
}

static gboolean
store (CtlArgs *args, const CtlOption *option, char *value, GError **error)
{
  GPtrArray *list = NULL;

  if (!g_utf8_validate (value, -1, NULL)) {
    g_set_error (error, CTL_ERROR, CTL_ERROR_USAGE, _ ("the value of --%s is not valid UTF-8"), option->name);
    return FALSE;
  }
  if (!check_value (option, value, error))
    return FALSE;
  if (option >= ctl_global_options && g_str_equal (option->name, "help")) {
    args->help = TRUE;
    return TRUE;
  }
  if (option == find_in_table (ctl_global_options, NULL, 0, 'H')) {
    g_free (args->host);
    args->host = g_strdup (value);
    return TRUE;
  }
  list = g_hash_table_lookup (args->values, option);
  if (list == NULL) {
    list = g_ptr_array_new_with_free_func (g_free);
    g_hash_table_insert (args->values, (gpointer)option, list);
  }
  g_ptr_array_add (list, g_strdup (value));
  if (option->flags & (CTL_OPTION_SECRET | CTL_OPTION_HIDE))
    memset (value, 'x', strlen (value));
  return TRUE;
}

/* "--name", "--name=value" or "--name value"; advances @index over a value taken from the next word. */
static gboolean
parse_long (CtlArgs *args, int argc, char **argv, int *index, GError **error)
{
  char *word = argv[*index] + 2;
  char *equal = strchr (word, '=');
  gsize len = equal != NULL ? (gsize)(equal - word) : strlen (word);
  const CtlOption *option = find_option (args->command, word, len, 0);
  char yes[] = "true";

  if (len == 0) {
    g_set_error (error, CTL_ERROR, CTL_ERROR_USAGE, _ ("bad flag syntax: %s"), argv[*index]);
    return FALSE;
  }
  if (option == NULL) {
    if (is_unsupported (args->command, word, len))
      g_set_error (error, CTL_ERROR, CTL_ERROR_USAGE, _ ("option --%.*s is not supported yet"), (int)len, word);
    else
      g_set_error (error, CTL_ERROR, CTL_ERROR_USAGE, _ ("unknown flag: --%.*s"), (int)len, word);
    return FALSE;
  }
  if (equal != NULL)
    return store (args, option, equal + 1, error);
  if (option->kind == CTL_BOOL)
    return store (args, option, yes, error);
  if (*index + 1 >= argc) {
    g_set_error (error, CTL_ERROR, CTL_ERROR_USAGE, _ ("flag needs an argument: --%s"), option->name);
    return FALSE;
  }
  return store (args, option, argv[++*index], error);
}

/* "-a", "-abc", "-pvalue", "-p=value" or "-p value". */
static gboolean
parse_short (CtlArgs *args, int argc, char **argv, int *index, GError **error)
{
  char *word = argv[*index];
  char yes[] = "true";

  for (char *p = word + 1; *p != 0; p++) {
    const CtlOption *option = find_option (args->command, NULL, 0, *p);

    if (option == NULL) {
      /* the one short form among swarm's options that are not here */
      if (*p == 't' && is_unsupported (args->command, "tty", 3))
        g_set_error (error, CTL_ERROR, CTL_ERROR_USAGE, _ ("option --%.*s is not supported yet"), 3, "tty");
      else
        g_set_error (error, CTL_ERROR, CTL_ERROR_USAGE, _ ("unknown shorthand flag: '%c' in %s"), *p, word);
      return FALSE;
    }
    if (p[1] == '=')
      return store (args, option, p + 2, error);
    if (option->kind == CTL_BOOL) {
      if (!store (args, option, yes, error))
        return FALSE;
      continue;
    }
    if (p[1] != 0)
      return store (args, option, p + 1, error);
    if (*index + 1 >= argc) {
      g_set_error (error, CTL_ERROR, CTL_ERROR_USAGE, _ ("flag needs an argument: '%c' in %s"), *p, word);
      return FALSE;
    }
    return store (args, option, argv[++*index], error);
  }
  return TRUE;
}

static gboolean
add_positional (CtlArgs *args, const char *word, GError **error)
{
  if (!g_utf8_validate (word, -1, NULL)) {
    g_set_error_literal (error, CTL_ERROR, CTL_ERROR_USAGE, _ ("an argument is not valid UTF-8"));
    return FALSE;
  }
  g_ptr_array_add (args->positional, g_strdup (word));
  return TRUE;
}

CtlArgs *
ctl_args_parse (const CtlCommand *command, int argc, char **argv, GError **error)
{
  g_autoptr (CtlArgs) args = g_new0 (CtlArgs, 1);
  gboolean options = TRUE;

  args->command = command;
  args->values = g_hash_table_new_full (NULL, NULL, NULL, (GDestroyNotify)g_ptr_array_unref);
  args->positional = g_ptr_array_new_with_free_func (g_free);
  args->none = g_ptr_array_new ();

  for (int i = 0; i < argc && !args->help; i++) {
    const char *word = argv[i];
    gboolean ok;

    if (!options || word[0] != '-' || word[1] == 0) {
      ok = add_positional (args, word, error);
      options = options && !command->options_first;
    } else if (g_str_equal (word, "--")) {
      ok = TRUE;
      options = FALSE;
    } else if (word[1] == '-') {
      ok = parse_long (args, argc, argv, &i, error);
    } else {
      ok = parse_short (args, argc, argv, &i, error);
    }
    if (!ok)
      return NULL;
  }
  return g_steal_pointer (&args);
}

static GPtrArray *
values_of (CtlArgs *args, const char *name, const CtlOption **ret_option)
{
  const CtlOption *option = find_option (args->command, name, strlen (name), 0);

  if (option == NULL)
    g_error ("command %s has no option --%s", args->command->path, name);
  if (ret_option != NULL)
    *ret_option = option;
  return g_hash_table_lookup (args->values, option);
}

gboolean
ctl_args_given (CtlArgs *args, const char *name)
{
  return values_of (args, name, NULL) != NULL;
}

gboolean
ctl_args_only (CtlArgs *args, const char *const *names)
{
  GHashTableIter iter;
  gpointer option;

  g_hash_table_iter_init (&iter, args->values);
  while (g_hash_table_iter_next (&iter, &option, NULL))
    if (!g_strv_contains (names, ((const CtlOption *)option)->name))
      return FALSE;
  return TRUE;
}

const char *
ctl_args_string (CtlArgs *args, const char *name)
{
  GPtrArray *list = values_of (args, name, NULL);

  return list != NULL ? g_ptr_array_index (list, list->len - 1) : NULL;
}

GPtrArray *
ctl_args_list (CtlArgs *args, const char *name)
{
  GPtrArray *list = values_of (args, name, NULL);

  return list != NULL ? list : args->none;
}

gboolean
ctl_args_bool (CtlArgs *args, const char *name)
{
  const char *text = ctl_args_string (args, name);
  gboolean value = FALSE;

  return text != NULL && ctl_value_bool (text, &value, NULL) && value;
}

guint64
ctl_args_uint (CtlArgs *args, const char *name)
{
  const char *text = ctl_args_string (args, name);
  guint64 value = 0;

  return text != NULL && ctl_value_uint (text, &value, NULL) ? value : 0;
}

gint64
ctl_args_int (CtlArgs *args, const char *name)
{
  const CtlOption *option;
  GPtrArray *list = values_of (args, name, &option);
  gint64 value = 0;

  if (list != NULL)
    ctl_value_number (option->kind, g_ptr_array_index (list, list->len - 1), &value, NULL);
  return value;
}

double
ctl_args_double (CtlArgs *args, const char *name)
{
  const char *text = ctl_args_string (args, name);
  double value = 0;

  if (text != NULL)
    ctl_value_float (text, &value, NULL);
  return value;
}

GPtrArray *
ctl_args_positional (CtlArgs *args)
{
  return args->positional;
}

gboolean
ctl_args_help (CtlArgs *args)
{
  return args->help;
}

const char *
ctl_args_host (CtlArgs *args)
{
  return args->host;
}

gboolean
ctl_args_check_count (CtlArgs *args, GError **error)
{
  const CtlCommand *command = args->command;
  int n = (int)args->positional->len;
  g_autofree char *message = NULL;

  if (n >= command->min_args && (command->max_args < 0 || n <= command->max_args))
    return TRUE;
  if (command->max_args == 0)
    message = g_strdup_printf (_ ("'swarmctl %s' accepts no arguments"), command->path);
  else if (command->min_args == command->max_args)
    message = g_strdup_printf (ngettext ("'swarmctl %s' requires %d argument", "'swarmctl %s' requires %d arguments",
                                         (gulong)command->min_args),
                               command->path, command->min_args);
  else if (n < command->min_args)
    message = g_strdup_printf (ngettext ("'swarmctl %s' requires at least %d argument",
                                         "'swarmctl %s' requires at least %d arguments", (gulong)command->min_args),
                               command->path, command->min_args);
  else
    message = g_strdup_printf (ngettext ("'swarmctl %s' requires at most %d argument",
                                         "'swarmctl %s' requires at most %d arguments", (gulong)command->max_args),
                               command->path, command->max_args);
  g_set_error (error, CTL_ERROR, CTL_ERROR_USAGE, "swarmctl: %s", message);
  return FALSE;
}
