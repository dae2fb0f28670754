// SPDX-License-Identifier: LGPL-2.1-or-later
/* Values of options as docker writes them, with docker's error texts. */
#pragma once
#include "ctl/command.h"

gboolean ctl_value_bool (const char *text, gboolean *ret, GError **error);
/* Decimal, 0x, 0o, 0b or leading-0 octal. */
gboolean ctl_value_uint (const char *text, guint64 *ret, GError **error);
gboolean ctl_value_int (const char *text, gint64 *ret, GError **error);
/* Go's durations ("1m30s", "1.5h", "0") in nanoseconds. */
gboolean ctl_value_duration (const char *text, gint64 *ret_ns, GError **error);
/* "512m", "1.5g", "64KiB" in bytes, base 1024. */
gboolean ctl_value_bytes (const char *text, gint64 *ret, GError **error);
/* "0.5" or "1/2" CPUs in billionths. */
gboolean ctl_value_cpus (const char *text, gint64 *ret_nano, GError **error);

gboolean ctl_value_float (const char *text, double *ret, GError **error);

/* The kinds with a whole number; FALSE for others. */
gboolean ctl_value_number (CtlKind kind, const char *text, gint64 *ret, GError **error);
/* Checks a value against its kind. */
gboolean ctl_value_check (CtlKind kind, const char *text, GError **error);

/* Option checks (CtlOption.check). */
gboolean ctl_check_label (const char *text, GError **error);
gboolean ctl_check_env (const char *text, GError **error);
gboolean ctl_check_host_mapping (const char *text, GError **error);
gboolean ctl_check_dns (const char *text, GError **error);
gboolean ctl_check_sysctl (const char *text, GError **error);
gboolean ctl_check_filter (const char *text, GError **error);
gboolean ctl_check_availability (const char *text, GError **error);
gboolean ctl_check_role (const char *text, GError **error);
/* How many old snapshots are kept: none. */
gboolean ctl_check_max_snapshots (const char *text, GError **error);
gboolean ctl_check_restart_condition (const char *text, GError **error);
gboolean ctl_check_format (const char *text, GError **error);
gboolean ctl_check_inspect_format (const char *text, GError **error);

/* One line of comma-separated fields, with "quoted" ones (RFC 4180). NULL-terminated; caller frees. */
char **ctl_value_csv (const char *text, GError **error);
/* "name:ip", "name=ip", "name:[ip]" → "ip name" (the Engine API's form). Caller frees. */
char *ctl_value_host_entry (const char *text);
/* "1h2m3s", "2013-01-02T13:23:37Z" or seconds since 1970 → µs since 1970. @now_us for the relative form. */
gboolean ctl_value_since (const char *text, gint64 now_us, gint64 *ret_us, GError **error);
