// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ctl/values.h"
#include "base/field.h"
#include "ctl/opts.h"
#include "model/spec.h"
#include <math.h>
#include <string.h>

gboolean
ctl_value_bool (const char *text, gboolean *ret, GError **error)
{
  static const char *const yes[] = { "1", "t", "T", "true", "TRUE", "True", NULL };
  static const char *const no[] = { "0", "f", "F", "false", "FALSE", "False", NULL };

  if (g_strv_contains (yes, text))
    *ret = TRUE;
  else if (g_strv_contains (no, text))
    *ret = FALSE;
  else
    return ctl_invalid (error, _ ("\"%s\" is neither true nor false"), text);
  return TRUE;
}

/* Splits off a base prefix as Go's base 0 does. */
static guint
base_of (const char **text)
{
  if ((*text)[0] != '0' || (*text)[1] == 0)
    return 10;
  switch (g_ascii_tolower ((*text)[1])) {
  case 'x':
    *text += 2;
    return 16;
  case 'o':
    *text += 2;
    return 8;
  case 'b':
    *text += 2;
    return 2;
  default:
    *text += 1;
    return 8;
  }
}

gboolean
ctl_value_uint (const char *text, guint64 *ret, GError **error)
{
  const char *digits = text;
  guint base = base_of (&digits);
  g_autoptr (GError) reason = NULL;

  if (g_ascii_string_to_unsigned (digits, base, 0, G_MAXUINT64, ret, &reason))
    return TRUE;
  if (g_error_matches (reason, G_NUMBER_PARSER_ERROR, G_NUMBER_PARSER_ERROR_OUT_OF_BOUNDS))
    return ctl_invalid (error, _ ("\"%s\" is too large"), text);
  if (text[0] == '-')
    return ctl_invalid (error, _ ("\"%s\" is not a number that is 0 or more"), text);
  return ctl_invalid (error, _ ("\"%s\" is not a whole number"), text);
}

gboolean
ctl_value_int (const char *text, gint64 *ret, GError **error)
{
  g_autoptr (GError) reason = NULL;

  if (g_ascii_string_to_signed (text, 10, G_MININT64, G_MAXINT64, ret, &reason))
    return TRUE;
  if (g_error_matches (reason, G_NUMBER_PARSER_ERROR, G_NUMBER_PARSER_ERROR_OUT_OF_BOUNDS))
    return ctl_invalid (error, _ ("\"%s\" is too large"), text);
  return ctl_invalid (error, _ ("\"%s\" is not a whole number"), text);
}

static const struct {
  const char *name;
  double ns;
} units[] = { { "ns", 1 },   { "us", 1e3 }, { "µs", 1e3 }, { "μs", 1e3 },
              { "ms", 1e6 }, { "s", 1e9 },  { "m", 60e9 }, { "h", 3600e9 } };

/* The length of a number like 12, 1.5, .5 at @p; 0: none. */
static gsize
number_length (const char *p)
{
  gsize whole = strspn (p, "0123456789");
  gsize fraction = 0;

  if (p[whole] == '.') {
    fraction = strspn (p + whole + 1, "0123456789");
    if (whole + fraction == 0)
      return 0;
    return whole + 1 + fraction;
  }
  return whole;
}

/* One "12.5ms" at *@p; adds to @ns. */
static gboolean
duration_part (const char *text, const char **p, double *ns, GError **error)
{
  gsize digits = number_length (*p);
  double value = g_ascii_strtod (*p, NULL);
  gsize unit_length;

  if (digits == 0)
    return ctl_invalid (error, "time: invalid duration \"%s\"", text);
  *p += digits;
  unit_length = strcspn (*p, ".0123456789");
  if (unit_length == 0)
    return ctl_invalid (error, "time: missing unit in duration \"%s\"", text);
  for (guint i = 0; i < G_N_ELEMENTS (units); i++)
    if (strlen (units[i].name) == unit_length && strncmp (*p, units[i].name, unit_length) == 0) {
      *ns += value * units[i].ns;
      *p += unit_length;
      return TRUE;
    }
  return ctl_invalid (error, "time: unknown unit \"%.*s\" in duration \"%s\"", (int)unit_length, *p, text);
}

gboolean
ctl_value_duration (const char *text, gint64 *ret_ns, GError **error)
{
  const char *p = text;
  gboolean negative = *p == '-';
  double ns = 0;

  if (*p == '-' || *p == '+')
    p++;
  if (g_str_equal (p, "0")) {
    *ret_ns = 0;
    return TRUE;
  }
  if (*p == 0)
    return ctl_invalid (error, "time: invalid duration \"%s\"", text);
  while (*p != 0)
    if (!duration_part (text, &p, &ns, error))
      return FALSE;
  if (ns >= (double)G_MAXINT64)
    return ctl_invalid (error, "time: invalid duration \"%s\"", text);
  *ret_ns = (gint64)(ns + 0.5) * (negative ? -1 : 1);
  return TRUE;
}

gboolean
ctl_value_bytes (const char *text, gint64 *ret, GError **error)
{
  static const char *letters = "kmgtp";
  g_autofree char *suffix = NULL;
  gsize digits = number_length (text);
  double value = g_ascii_strtod (text, NULL);
  const char *rest = text + digits;

  if (digits == 0)
    return ctl_invalid (error, "invalid size: '%s'", text);
  if (*rest == ' ')
    rest++;
  suffix = g_ascii_strdown (rest, -1);
  if (*suffix != 0 && !g_str_equal (suffix, "b")) {
    const char *letter = strchr (letters, suffix[0]);

    if (letter == NULL || !(suffix[1] == 0 || g_str_equal (suffix + 1, "b") || g_str_equal (suffix + 1, "ib")))
      return ctl_invalid (error, "invalid suffix: '%s'", suffix);
    value *= (double)(G_GUINT64_CONSTANT (1) << 10 * (letter - letters + 1));
  }
  if (value >= (double)G_MAXINT64)
    return ctl_invalid (error, _ ("\"%s\" is too large"), text);
  *ret = (gint64)value;
  return TRUE;
}

static gboolean
cpus_fraction (const char *text, const char *slash, gint64 *ret_nano, GError **error)
{
  g_autofree char *left = g_strndup (text, (gsize)(slash - text));
  gint64 a = 0, b = 0;

  if (!ctl_value_int (left, &a, NULL) || !ctl_value_int (slash + 1, &b, NULL) || b <= 0 || ABS (a) > 1000000000)
    return ctl_invalid (error, "failed to parse %s as a rational number", text);
  if (a * 1000000000 % b != 0)
    return ctl_invalid (error, "value is too precise");
  *ret_nano = a * 1000000000 / b;
  return TRUE;
}

gboolean
ctl_value_cpus (const char *text, gint64 *ret_nano, GError **error)
{
  const char *p = text + (*text == '-' || *text == '+');
  const char *slash = strchr (text, '/');
  gsize digits = number_length (p);
  gint64 nano = 0;
  int scale = -1; /* digits after the point so far; -1: before it */

  if (slash != NULL)
    return cpus_fraction (text, slash, ret_nano, error);
  if (digits == 0 || p[digits] != 0)
    return ctl_invalid (error, "failed to parse %s as a rational number", text);
  for (gsize i = 0; i < digits; i++) {
    if (p[i] == '.') {
      scale = 0;
      continue;
    }
    if (scale == 9) {
      if (p[i] != '0')
        return ctl_invalid (error, "value is too precise");
      continue;
    }
    if (nano > G_MAXINT64 / 10000000000)
      return ctl_invalid (error, _ ("\"%s\" is too large"), text);
    nano = nano * 10 + (p[i] - '0');
    scale += scale >= 0;
  }
  for (scale = MAX (scale, 0); scale < 9; scale++)
    if (__builtin_mul_overflow (nano, (gint64)10, &nano))
      return ctl_invalid (error, _ ("\"%s\" is too large"), text);
  *ret_nano = *text == '-' ? -nano : nano;
  return TRUE;
}

gboolean
ctl_value_float (const char *text, double *ret, GError **error)
{
  char *end;

  *ret = g_ascii_strtod (text, &end);
  if (end != text && *end == 0 && isfinite (*ret))
    return TRUE;
  return ctl_invalid (error, "strconv.ParseFloat: parsing \"%s\": invalid syntax", text);
}

gboolean
ctl_value_number (CtlKind kind, const char *text, gint64 *ret, GError **error)
{
  switch (kind) {
  case CTL_INT:
    return ctl_value_int (text, ret, error);
  case CTL_DURATION:
    return ctl_value_duration (text, ret, error);
  case CTL_BYTES:
    return ctl_value_bytes (text, ret, error);
  case CTL_DECIMAL:
    return ctl_value_cpus (text, ret, error);
  case CTL_BOOL:
  case CTL_STRING:
  case CTL_LIST:
  case CTL_UINT:
  case CTL_FLOAT:
    break;
  }
  return ctl_invalid (error, "not a number");
}

gboolean
ctl_value_check (CtlKind kind, const char *text, GError **error)
{
  gboolean yes;
  guint64 number;
  gint64 signed_number;
  double real;

  switch (kind) {
  case CTL_BOOL:
    return ctl_value_bool (text, &yes, error);
  case CTL_UINT:
    return ctl_value_uint (text, &number, error);
  case CTL_INT:
  case CTL_DURATION:
  case CTL_BYTES:
  case CTL_DECIMAL:
    return ctl_value_number (kind, text, &signed_number, error);
  case CTL_FLOAT:
    return ctl_value_float (text, &real, error);
  case CTL_STRING:
  case CTL_LIST:
    break;
  }
  return TRUE;
}

gboolean
ctl_check_label (const char *text, GError **error)
{
  const char *start = text + strspn (text, " \t");
  gsize len = strcspn (start, "=");
  g_autofree char *key = g_strndup (start, len);

  if (len == 0)
    return ctl_invalid (error, "invalid label '%s': empty name", text);
  if (strpbrk (key, " \t") != NULL)
    return ctl_invalid (error, "label '%s' contains whitespaces", key);
  return TRUE;
}

gboolean
ctl_check_env (const char *text, GError **error)
{
  if (text[0] == 0 || text[0] == '=')
    return ctl_invalid (error, "invalid environment variable: %s", text);
  return TRUE;
}

char *
ctl_value_host_entry (const char *text)
{
  const char *cut = strchr (text, '=');
  g_autofree char *name = NULL;
  g_autofree char *address = NULL;
  gsize len;

  if (cut == NULL)
    cut = strchr (text, ':');
  if (cut == NULL)
    return NULL;
  name = g_strndup (text, (gsize)(cut - text));
  address = g_strdup (cut + 1);
  len = strlen (address);
  if (len > 2 && address[0] == '[' && address[len - 1] == ']') {
    address[len - 1] = 0;
    memmove (address, address + 1, len - 1);
  }
  return g_strdup_printf ("%s %s", address, name);
}

gboolean
ctl_check_host_mapping (const char *text, GError **error)
{
  g_autofree char *entry = ctl_value_host_entry (text);
  char *name = entry != NULL ? strchr (entry, ' ') : NULL;

  if (name == NULL || name[1] == 0 || strchr (name + 1, ':') != NULL)
    return ctl_invalid (error, "bad format for add-host: \"%s\"", text);
  *name = 0;
  if (!g_hostname_is_ip_address (entry) && !g_str_equal (entry, "host-gateway"))
    return ctl_invalid (error, "invalid IP address in add-host: \"%s\"", entry);
  return TRUE;
}

gboolean
ctl_check_dns (const char *text, GError **error)
{
  if (!g_hostname_is_ip_address (text))
    return ctl_invalid (error, "IP address is not correctly formatted: %s", text);
  return TRUE;
}

gboolean
ctl_check_sysctl (const char *text, GError **error)
{
  if (strchr (text, '=') == NULL || text[0] == '=')
    return ctl_invalid (error, "sysctl '%s' is not allowed", text);
  return TRUE;
}

gboolean
ctl_check_filter (const char *text, GError **error)
{
  if (*text != 0 && strchr (text, '=') == NULL)
    return ctl_invalid (error, "bad format of filter (expected name=value)");
  return TRUE;
}

gboolean
ctl_check_availability (const char *text, GError **error)
{
  g_autofree char *lower = g_ascii_strdown (text, -1);
  SwarmAvailability availability;

  if (swarm_availability_from_string (lower, &availability))
    return TRUE;
  return ctl_invalid (error, "invalid availability \"%s\", only active, pause and drain are supported", text);
}

gboolean
ctl_check_role (const char *text, GError **error)
{
  SwarmRole role;

  if (swarm_role_from_string (text, &role))
    return TRUE;
  return ctl_invalid (error, "invalid role \"%s\", only worker and manager are supported", text);
}

gboolean
ctl_check_max_snapshots (const char *text, GError **error)
{
  guint64 number;

  if (ctl_value_uint (text, &number, error) && number == 0)
    return TRUE;
  g_clear_error (error);
  return ctl_invalid (error, _ ("no old snapshots are kept: to go back to an earlier state, run 'swarmctl backup FILE' from time to time"));
}

gboolean
ctl_check_restart_condition (const char *text, GError **error)
{
  SwarmRestartCondition condition;

  if (swarm_restart_condition_from_string (text, &condition))
    return TRUE;
  return ctl_invalid (error, "invalid RestartCondition: \"%s\"", text);
}

static gboolean
refuse_format (const char *text, GError **error)
{
  if (strstr (text, "{{") != NULL)
    return ctl_invalid (error, _ ("Go templates are not supported: use \"json\" and a tool such as jq"));
  return ctl_invalid (error, _ ("unknown format: use \"table\" or \"json\""));
}

gboolean
ctl_check_format (const char *text, GError **error)
{
  return g_str_equal (text, "json") || g_str_equal (text, "table") || refuse_format (text, error);
}

gboolean
ctl_check_inspect_format (const char *text, GError **error)
{
  if (g_str_equal (text, "json") || g_str_equal (text, "pretty"))
    return TRUE;
  if (strstr (text, "{{") != NULL)
    return refuse_format (text, error);
  return ctl_invalid (error, _ ("unknown format: use \"json\" or \"pretty\""));
}

/* Takes one field at *@p into @field; TRUE: a comma followed. */
static gboolean
csv_field (const char **p, GString *field, gboolean *ret_bad)
{
  gboolean quoted = **p == '"';

  if (quoted)
    (*p)++;
  for (; **p != 0; (*p)++) {
    if (quoted && **p == '"') {
      if ((*p)[1] != '"') {
        (*p)++;
        quoted = FALSE;
        *ret_bad = **p != 0 && **p != ',';
        break;
      }
      (*p)++;
    } else if (!quoted && **p == ',') {
      break;
    }
    g_string_append_c (field, **p);
  }
  *ret_bad = *ret_bad || quoted;
  if (**p != ',')
    return FALSE;
  (*p)++;
  return TRUE;
}

char **
ctl_value_csv (const char *text, GError **error)
{
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();
  const char *p = text;
  gboolean more = TRUE;

  while (more) {
    g_autoptr (GString) field = g_string_new (NULL);
    gboolean bad = FALSE;

    more = csv_field (&p, field, &bad);
    if (bad) {
      ctl_invalid (error, _ ("unbalanced quotes in \"%s\""), text);
      return NULL;
    }
    g_strv_builder_add (builder, field->str);
  }
  return g_strv_builder_end (builder);
}

gboolean
ctl_value_since (const char *text, gint64 now_us, gint64 *ret_us, GError **error)
{
  gint64 ns;
  gsize digits = number_length (text);

  if (digits > 0 && text[digits] == 0) {
    double us = g_ascii_strtod (text, NULL) * 1e6;

    *ret_us = us < (double)G_MAXINT64 ? (gint64)us : G_MAXINT64;
    return TRUE;
  }
  if (ctl_value_duration (text, &ns, NULL)) {
    *ret_us = now_us - ns / 1000;
    return TRUE;
  }
  if (swarm_time_from_string (text, ret_us))
    return TRUE;
  return ctl_invalid (error, _ ("\"%s\" is neither a time such as 2013-01-02T13:23:37Z nor a duration such as 42m"),
                      text);
}
