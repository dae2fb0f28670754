// SPDX-License-Identifier: LGPL-2.1-or-later
/* Plain descriptions of transient units to what systemd takes on the bus, and its properties back to a state. */
#include "base/error.h"
#include "plugin/services.h"
#include <string.h>

#define MAX_PROPERTIES 64
#define MAX_ARGUMENTS 4096

typedef enum {
  UNIT_STRING,
  UNIT_BOOL,
  UNIT_NUMBER, /* t, "infinity" allowed */
  UNIT_INT,    /* i */
  UNIT_TIME,   /* t, µs; "20s", "500ms", "infinity" */
  UNIT_QUOTA,  /* t, µs per second; "150%" */
  UNIT_LIST,   /* as, separated by blanks */
  UNIT_OUTPUT, /* s, or "truncate:PATH" */
} UnitPropertyKind;

/* What a plugin may set. Environment= is left out on purpose: any user can read a unit. */
static const struct {
  const char *key;
  const char *name; /* on the bus */
  UnitPropertyKind kind;
} property_rows[] = {
  { "Description", "Description", UNIT_STRING },
  { "Slice", "Slice", UNIT_STRING },
  { "Type", "Type", UNIT_STRING },
  { "NotifyAccess", "NotifyAccess", UNIT_STRING },
  { "KillMode", "KillMode", UNIT_STRING },
  { "CollectMode", "CollectMode", UNIT_STRING },
  { "OOMPolicy", "OOMPolicy", UNIT_STRING },
  { "SyslogIdentifier", "SyslogIdentifier", UNIT_STRING },
  { "WorkingDirectory", "WorkingDirectory", UNIT_STRING },
  { "PIDFile", "PIDFile", UNIT_STRING },
  { "RemainAfterExit", "RemainAfterExit", UNIT_BOOL },
  { "Delegate", "Delegate", UNIT_BOOL },
  { "SendSIGKILL", "SendSIGKILL", UNIT_BOOL },
  { "DefaultDependencies", "DefaultDependencies", UNIT_BOOL },
  { "MemoryMax", "MemoryMax", UNIT_NUMBER },
  { "MemorySwapMax", "MemorySwapMax", UNIT_NUMBER },
  { "TasksMax", "TasksMax", UNIT_NUMBER },
  { "CPUWeight", "CPUWeight", UNIT_NUMBER },
  { "IOWeight", "IOWeight", UNIT_NUMBER },
  { "LimitNOFILE", "LimitNOFILE", UNIT_NUMBER },
  { "Nice", "Nice", UNIT_INT },
  { "KillSignal", "KillSignal", UNIT_INT },
  { "OOMScoreAdjust", "OOMScoreAdjust", UNIT_INT },
  { "LogLevelMax", "LogLevelMax", UNIT_INT },
  { "CPUQuota", "CPUQuotaPerSecUSec", UNIT_QUOTA },
  { "TimeoutStartSec", "TimeoutStartUSec", UNIT_TIME },
  { "TimeoutStopSec", "TimeoutStopUSec", UNIT_TIME },
  { "RuntimeMaxSec", "RuntimeMaxUSec", UNIT_TIME },
  { "LogRateLimitIntervalSec", "LogRateLimitIntervalUSec", UNIT_TIME },
  { "After", "After", UNIT_LIST },
  { "Before", "Before", UNIT_LIST },
  { "Wants", "Wants", UNIT_LIST },
  { "Requires", "Requires", UNIT_LIST },
  { "BindsTo", "BindsTo", UNIT_LIST },
  { "PartOf", "PartOf", UNIT_LIST },
  { "StandardOutput", "StandardOutput", UNIT_OUTPUT },
  { "StandardError", "StandardError", UNIT_OUTPUT },
};

static const char *const exec_types[] = { "ExecStartPre", "ExecStart", "ExecStartPost", "ExecStop", "ExecStopPost", NULL };

static gboolean
parse_number (const char *text, guint64 *ret)
{
  if (strcmp (text, "infinity") == 0) {
    *ret = G_MAXUINT64;
    return TRUE;
  }
  return g_ascii_string_to_unsigned (text, 10, 0, G_MAXINT64, ret, NULL);
}

static gboolean
parse_time (const char *text, guint64 *ret)
{
  static const struct {
    const char *suffix;
    guint64 factor;
  } units[] = { { "ms", 1000 }, { "us", 1 }, { "min", 60 * G_USEC_PER_SEC }, { "s", G_USEC_PER_SEC }, { "", G_USEC_PER_SEC } };
  g_autofree char *digits = NULL;
  gsize n = strspn (text, "0123456789");
  guint64 number;

  if (strcmp (text, "infinity") == 0)
    return parse_number (text, ret);
  digits = g_strndup (text, n);
  if (!g_ascii_string_to_unsigned (digits, 10, 0, G_MAXINT64 / (60 * G_USEC_PER_SEC), &number, NULL))
    return FALSE;
  for (guint i = 0; i < G_N_ELEMENTS (units); i++) {
    if (strcmp (text + n, units[i].suffix) == 0) {
      *ret = number * units[i].factor;
      return TRUE;
    }
  }
  return FALSE;
}

static gboolean
parse_quota (const char *text, guint64 *ret)
{
  g_autofree char *digits = NULL;
  gsize n = strspn (text, "0123456789");
  guint64 percent;

  if (strcmp (text + n, "%") != 0)
    return FALSE;
  digits = g_strndup (text, n);
  if (!g_ascii_string_to_unsigned (digits, 10, 1, 10000000, &percent, NULL))
    return FALSE;
  *ret = percent * (G_USEC_PER_SEC / 100);
  return TRUE;
}

static GVariant *
parse_bool (const char *text)
{
  if (strcmp (text, "yes") == 0 || strcmp (text, "true") == 0)
    return g_variant_new_boolean (TRUE);
  if (strcmp (text, "no") == 0 || strcmp (text, "false") == 0)
    return g_variant_new_boolean (FALSE);
  return NULL;
}

/* Floating; NULL when @text does not fit the kind. */
static GVariant *
property_value (UnitPropertyKind kind, const char *text)
{
  guint64 number;
  gint64 signed_number;
  g_auto (GStrv) words = NULL;

  switch (kind) {
  case UNIT_STRING:
  case UNIT_OUTPUT:
    return g_utf8_validate (text, -1, NULL) ? g_variant_new_string (text) : NULL;
  case UNIT_BOOL:
    return parse_bool (text);
  case UNIT_NUMBER:
    return parse_number (text, &number) ? g_variant_new_uint64 (number) : NULL;
  case UNIT_TIME:
    return parse_time (text, &number) ? g_variant_new_uint64 (number) : NULL;
  case UNIT_QUOTA:
    return parse_quota (text, &number) ? g_variant_new_uint64 (number) : NULL;
  case UNIT_INT:
    return g_ascii_string_to_signed (text, 10, -1000, 1000, &signed_number, NULL) ? g_variant_new_int32 (signed_number) : NULL;
  case UNIT_LIST:
    words = g_strsplit (text, " ", -1);
    return g_utf8_validate (text, -1, NULL) ? g_variant_new_strv ((const char *const *) words, -1) : NULL;
  }
  return NULL;
}

static void
add_output (GVariantBuilder *builder, const char *name, const char *value)
{
  static const struct {
    const char *prefix;
    const char *suffix;
  } rows[] = { { "truncate:", "FileToTruncate" }, { "append:", "FileToAppend" }, { "file:", "File" } };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    if (g_str_has_prefix (value, rows[i].prefix)) {
      g_autofree char *full = g_strconcat (name, rows[i].suffix, NULL);
      g_variant_builder_add (builder, "(sv)", full, g_variant_new_string (value + strlen (rows[i].prefix)));
      return;
    }
  }
  g_variant_builder_add (builder, "(sv)", name, g_variant_new_string (value));
}

static gboolean
add_property (GVariantBuilder *builder, const char *text, GError **error)
{
  const char *equals = strchr (text, '=');
  g_autofree char *key = g_strndup (text, equals != NULL ? (gsize) (equals - text) : strlen (text));

  for (guint i = 0; equals != NULL && i < G_N_ELEMENTS (property_rows); i++) {
    g_autoptr (GVariant) value = NULL;

    if (strcmp (property_rows[i].key, key) != 0)
      continue;
    value = property_value (property_rows[i].kind, equals + 1);
    if (value == NULL) {
      g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "unit property %s: value does not fit", key);
      return FALSE;
    }
    g_variant_ref_sink (value);
    if (property_rows[i].kind == UNIT_OUTPUT)
      add_output (builder, property_rows[i].name, equals + 1);
    else
      g_variant_builder_add (builder, "(sv)", property_rows[i].name, value);
    return TRUE;
  }
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "unit property %s is not known", key);
  return FALSE;
}

static gboolean
exec_is_valid (const SwarmPluginExec *exec, GError **error)
{
  guint n = 0;

  if (exec->type == NULL || !g_strv_contains (exec_types, exec->type)) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "unit property %s is not known",
                 exec->type != NULL ? exec->type : "(none)");
    return FALSE;
  }
  if (exec->argv == NULL || exec->argv[0] == NULL || exec->argv[0][0] != '/') {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "%s: the program's path must be absolute", exec->type);
    return FALSE;
  }
  for (; exec->argv[n] != NULL; n++) {
    if (n >= MAX_ARGUMENTS || !g_utf8_validate (exec->argv[n], -1, NULL)) {
      g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "%s: too many arguments, or not UTF-8", exec->type);
      return FALSE;
    }
  }
  return TRUE;
}

/* All lines of one type go into one property, in order. */
static gboolean
add_execs (GVariantBuilder *builder, const SwarmPluginUnit *unit, GError **error)
{
  for (gsize i = 0; i < unit->n_exec; i++) {
    if (!exec_is_valid (&unit->exec[i], error))
      return FALSE;
  }
  for (guint t = 0; exec_types[t] != NULL; t++) {
    GVariantBuilder lines;
    guint n = 0;

    g_variant_builder_init (&lines, G_VARIANT_TYPE ("a(sasb)"));
    for (gsize i = 0; i < unit->n_exec; i++) {
      const SwarmPluginExec *exec = &unit->exec[i];
      if (strcmp (exec->type, exec_types[t]) != 0)
        continue;
      g_variant_builder_add (&lines, "(s^asb)", exec->argv[0], exec->argv, (gboolean) exec->ignore_failure);
      n++;
    }
    if (n > 0)
      g_variant_builder_add (builder, "(sv)", exec_types[t], g_variant_builder_end (&lines));
    else
      g_variant_builder_clear (&lines);
  }
  return TRUE;
}

static void
add_log_fields (GVariantBuilder *builder, const char *const *fields)
{
  GVariantBuilder lines;

  if (fields == NULL || fields[0] == NULL)
    return;
  g_variant_builder_init (&lines, G_VARIANT_TYPE ("aay"));
  for (guint i = 0; fields[i] != NULL; i++)
    g_variant_builder_add_value (&lines, g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, fields[i], strlen (fields[i]), 1));
  g_variant_builder_add (builder, "(sv)", "LogExtraFields", g_variant_builder_end (&lines));
}

GVariant *
swarm_plugin_unit_properties (const SwarmPluginUnit *unit, GError **error)
{
  g_auto (GVariantBuilder) builder = G_VARIANT_BUILDER_INIT (G_VARIANT_TYPE ("a(sv)"));

  for (guint i = 0; unit->properties != NULL && unit->properties[i] != NULL; i++) {
    if (i >= MAX_PROPERTIES) {
      g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "a unit has at most %d properties", MAX_PROPERTIES);
      return NULL;
    }
    if (!add_property (&builder, unit->properties[i], error))
      return NULL;
  }
  if (!add_execs (&builder, unit, error))
    return NULL;
  add_log_fields (&builder, unit->log_fields);
  return g_variant_builder_end (&builder);
}

SwarmPluginUnitPhase
swarm_plugin_unit_phase (const char *active_state, const char *sub_state)
{
  static const struct {
    const char *active;
    const char *sub; /* NULL: any */
    SwarmPluginUnitPhase phase;
  } rows[] = {
    { "activating", NULL, SWARM_PLUGIN_UNIT_STARTING },
    { "reloading", NULL, SWARM_PLUGIN_UNIT_RUNNING },
    { "active", "exited", SWARM_PLUGIN_UNIT_EXITED },
    { "active", NULL, SWARM_PLUGIN_UNIT_RUNNING },
    { "deactivating", NULL, SWARM_PLUGIN_UNIT_STOPPING },
    { "failed", NULL, SWARM_PLUGIN_UNIT_EXITED },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    if (g_strcmp0 (active_state, rows[i].active) == 0 && (rows[i].sub == NULL || g_strcmp0 (sub_state, rows[i].sub) == 0))
      return rows[i].phase;
  }
  return SWARM_PLUGIN_UNIT_ABSENT;
}

static GVariant *
look_up (GVariant *const dicts[2], const char *key, const char *type)
{
  for (guint i = 0; i < 2; i++) {
    GVariant *value = dicts[i] != NULL ? g_variant_lookup_value (dicts[i], key, G_VARIANT_TYPE (type)) : NULL;
    if (value != NULL)
      return value;
  }
  return NULL;
}

static const char *
look_up_string (GVariant *const dicts[2], const char *key)
{
  g_autoptr (GVariant) value = look_up (dicts, key, "s");

  /* The dictionary keeps the serialised bytes that the string points into. */
  return value != NULL ? g_variant_get_string (value, NULL) : "";
}

static guint64
look_up_number (GVariant *const dicts[2], const char *key, const char *type)
{
  g_autoptr (GVariant) value = look_up (dicts, key, type);

  if (value == NULL)
    return 0;
  if (type[0] == 't')
    return g_variant_get_uint64 (value);
  return type[0] == 'u' ? g_variant_get_uint32 (value) : (guint64) (gint64) g_variant_get_int32 (value);
}

/* ExecMainCode is si_code of the main process: 1 exited, 2 killed, 3 dumped; 0: none has ended. */
static int
exit_code_of (int code, int status)
{
  if (code == 1)
    return status & 0xff;
  if (code == 2 || code == 3)
    return 128 + (status & 0x7f);
  return -1;
}

void
swarm_plugin_unit_state (const char *name, GVariant *unit_properties, GVariant *service_properties, SwarmPluginUnitState *ret)
{
  GVariant *const dicts[2] = { unit_properties, service_properties };
  int code = (int) look_up_number (dicts, "ExecMainCode", "i");
  int status = (int) look_up_number (dicts, "ExecMainStatus", "i");

  memset (ret, 0, sizeof *ret);
  /* GVariants in tree form hold no common bytes: make sure of serialised form before pointing into it. */
  for (guint i = 0; i < 2; i++) {
    if (dicts[i] != NULL)
      g_variant_get_data (dicts[i]);
  }
  ret->name = name;
  ret->phase = swarm_plugin_unit_phase (look_up_string (dicts, "ActiveState"), look_up_string (dicts, "SubState"));
  ret->main_pid = (uint32_t) look_up_number (dicts, "MainPID", "u");
  ret->exit_code = ret->phase == SWARM_PLUGIN_UNIT_EXITED ? exit_code_of (code, status) : -1;
  ret->result = look_up_string (dicts, "Result");
  ret->started_at = (int64_t) look_up_number (dicts, "ExecMainStartTimestamp", "t");
  ret->exited_at = (int64_t) look_up_number (dicts, "ExecMainExitTimestamp", "t");
}
