// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ctl/opts.h"
#include "ctl/service-spec.h"
#include "ctl/values.h"

#define SECOND G_GINT64_CONSTANT (1000000000)

typedef struct {
  const char *text;
  gint64 value; /* when error is NULL */
  const char *error;
} Row;

static void
check_rows (CtlKind kind, const Row *rows)
{
  for (; rows->text != NULL; rows++) {
    g_autoptr (GError) error = NULL;
    gint64 value = -77;
    gboolean ok = ctl_value_number (kind, rows->text, &value, &error);

    g_test_message ("%s", rows->text);
    if (rows->error == NULL) {
      g_assert_no_error (error);
      g_assert_true (ok);
      g_assert_cmpint (value, ==, rows->value);
    } else {
      g_assert_false (ok);
      g_assert_error (error, CTL_ERROR, CTL_ERROR_INVALID);
      g_assert_cmpstr (error->message, ==, rows->error);
    }
  }
}

static void
test_duration (void)
{
  static const Row rows[] = {
    { "0", 0 },
    { "10s", 10 * SECOND },
    { "1m30s", 90 * SECOND },
    { "1.5h", 5400 * SECOND },
    { "-5s", -5 * SECOND },
    { ".5s", SECOND / 2 },
    { "1h2m3.5s", 3723 * SECOND + SECOND / 2 },
    { "100ms", SECOND / 10 },
    { "3us", 3000 },
    { "3µs", 3000 },
    { "7ns", 7 },
    { "2562047h", G_GINT64_CONSTANT (2562047) * 3600 * SECOND },
    { "5", 0, "time: missing unit in duration \"5\"" },
    { "5x", 0, "time: unknown unit \"x\" in duration \"5x\"" },
    { "", 0, "time: invalid duration \"\"" },
    { "s", 0, "time: invalid duration \"s\"" },
    { "1d", 0, "time: unknown unit \"d\" in duration \"1d\"" },
    { "9999999h", 0, "time: invalid duration \"9999999h\"" },
    { NULL },
  };

  check_rows (CTL_DURATION, rows);
}

static void
test_bytes (void)
{
  static const Row rows[] = {
    { "0", 0 },
    { "512", 512 },
    { "512b", 512 },
    { "512m", 512 * 1024 * 1024 },
    { "512MB", 512 * 1024 * 1024 },
    { "1.5g", 1610612736 },
    { "64KiB", 65536 },
    { "64 k", 65536 },
    { "2T", G_GINT64_CONSTANT (2) << 40 },
    { "5x", 0, "invalid suffix: 'x'" },
    { "5mm", 0, "invalid suffix: 'mm'" },
    { "m", 0, "invalid size: 'm'" },
    { "-5m", 0, "invalid size: '-5m'" },
    { "", 0, "invalid size: ''" },
    { "99999999999p", 0, "\"99999999999p\" is too large" },
    { NULL },
  };

  check_rows (CTL_BYTES, rows);
}

static void
test_cpus (void)
{
  static const Row rows[] = {
    { "1", SECOND },
    { "0.5", SECOND / 2 },
    { ".25", SECOND / 4 },
    { "1.5", SECOND + SECOND / 2 },
    { "1/2", SECOND / 2 },
    { "0.000000001", 1 },
    { "0.0000000010", 1 },
    { "-1", -SECOND },
    { "0.0000000001", 0, "value is too precise" },
    { "1/3", 0, "value is too precise" },
    { "x", 0, "failed to parse x as a rational number" },
    { "1x", 0, "failed to parse 1x as a rational number" },
    { "1/0", 0, "failed to parse 1/0 as a rational number" },
    { "", 0, "failed to parse  as a rational number" },
    { "99999999999999999999", 0, "\"99999999999999999999\" is too large" },
    { "9999999999", 0, "\"9999999999\" is too large" },
    { NULL },
  };

  check_rows (CTL_DECIMAL, rows);
}

static void
test_uint (void)
{
  guint64 value;
  g_autoptr (GError) error = NULL;

  g_assert_true (ctl_value_uint ("6", &value, NULL));
  g_assert_cmpuint (value, ==, 6);
  g_assert_true (ctl_value_uint ("0x10", &value, NULL));
  g_assert_cmpuint (value, ==, 16);
  g_assert_true (ctl_value_uint ("18446744073709551615", &value, NULL));
  g_assert_cmpuint (value, ==, G_MAXUINT64);
  g_assert_false (ctl_value_uint ("18446744073709551616", &value, NULL));
  g_assert_false (ctl_value_uint ("1.5", &value, NULL));
  g_assert_false (ctl_value_uint ("", &value, NULL));
  g_assert_false (ctl_value_uint ("-1", &value, &error));
  g_assert_cmpstr (error->message, ==, "\"-1\" is not a number that is 0 or more");
}

/* Every check with texts it takes and the one error it gives for each bad one. */
static void
test_checks (void)
{
  static const struct {
    gboolean (*check) (const char *text, GError **error);
    const char *text;
    const char *error; /* NULL: good */
  } rows[] = {
    { ctl_check_label, "a=b", NULL },
    { ctl_check_label, "a", NULL },
    { ctl_check_label, "=b", "invalid label '=b': empty name" },
    { ctl_check_label, "a b=c", "label 'a b' contains whitespaces" },
    { ctl_check_env, "A=", NULL },
    { ctl_check_env, "A", NULL },
    { ctl_check_env, "=x", "invalid environment variable: =x" },
    { ctl_check_host_mapping, "db:10.0.0.1", NULL },
    { ctl_check_host_mapping, "db=::1", NULL },
    { ctl_check_host_mapping, "db:::1", NULL },
    { ctl_check_host_mapping, "db:host-gateway", NULL },
    { ctl_check_host_mapping, "a", "bad format for add-host: \"a\"" },
    { ctl_check_host_mapping, ":10.0.0.1", "bad format for add-host: \":10.0.0.1\"" },
    { ctl_check_host_mapping, "a:b", "invalid IP address in add-host: \"b\"" },
    { ctl_check_filter, "name=x", NULL },
    { ctl_check_filter, "foo", "bad format of filter (expected name=value)" },
    { ctl_check_availability, "Drain", NULL },
    { ctl_check_availability, "foo", "invalid availability \"foo\", only active, pause and drain are supported" },
    { ctl_check_port, "mode=host,target=80,published=8080", NULL },
    { ctl_check_port, "mode=host,target=80,protocol=udp", NULL },
    { ctl_check_port, "target=x", "invalid target port (x): value must be an integer: invalid syntax" },
    { ctl_check_port, "target=80,published=99999",
      "invalid published port (99999): value must be an integer: value out of range" },
    { ctl_check_port, "protocol=tcp", "missing mandatory field 'target'" },
    { ctl_check_port, "mode=host,target=0", "missing mandatory field 'target'" },
    { ctl_check_port, "mode=foo,target=80", "invalid publish mode value (foo): must be either 'ingress' or 'host'" },
    { ctl_check_port, "target=80,protocol=foo", "invalid protocol value 'foo'" },
    { ctl_check_port, "target=80,foo=1", "invalid field key: foo" },
    { ctl_check_port, "foo", "invalid containerPort: foo" },
    { ctl_check_port, "80:99999", "invalid containerPort: 99999" },
    { ctl_check_port, "x:80", "invalid hostPort: x" },
    { ctl_check_port, "80/foo", "invalid proto: foo" },
    { ctl_check_port, "1.2.3.4:80:80", "hostip is not supported" },
    { ctl_check_port, "8080:80", NULL },
    { ctl_check_port, "8080-8089:80-89/udp", NULL },
    { ctl_check_port, "target=80", NULL },
    { ctl_check_mount, "type=bind,source=/a,target=/b,readonly", NULL },
    { ctl_check_mount, "type=volume,src=v,dst=/b,ro=false", NULL },
    { ctl_check_mount, "type=tmpfs,destination=/t", NULL },
    { ctl_check_mount, "type=bind", "target is required" },
    { ctl_check_mount, "", "value is empty" },
    { ctl_check_mount, "type=foo,target=/a", "invalid mount type: 'foo'" },
    { ctl_check_mount, "type=cluster,target=/a", "mount type 'cluster' is not supported yet" },
    { ctl_check_mount, "target=/a,volume-nocopy=true", "mount option 'volume-nocopy' is not supported yet" },
    { ctl_check_mount, "target=/a,foo=bar", "unknown option 'foo' in 'foo=bar'" },
    { ctl_check_mount, "target=/a,foo", "invalid field 'foo' must be a key=value pair" },
    { ctl_check_mount, "target=", "invalid value for 'target': value is empty" },
    { ctl_check_mount, "\"target=/a,b\"", NULL },
    { ctl_check_mount, "\"target=/a", "unbalanced quotes in \"\"target=/a\"" },
    { ctl_check_command_line, "a 'b c'", NULL },
    { ctl_check_command_line, "", NULL },
    { ctl_check_format, "json", NULL },
    { ctl_check_format, "{{.ID}}", "Go templates are not supported: use \"json\" and a tool such as jq" },
    { ctl_check_format, "raw", "unknown format: use \"table\" or \"json\"" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autoptr (GError) error = NULL;
    gboolean ok = rows[i].check (rows[i].text, &error);

    g_assert_cmpstr (error != NULL ? error->message : NULL, ==, rows[i].error);
    g_assert_cmpint (ok, ==, rows[i].error == NULL);
  }
}

static void
test_host_entry (void)
{
  static const char *const rows[][2]
      = { { "db:10.0.0.1", "10.0.0.1 db" }, { "db=[::1]", "::1 db" }, { "db:::1", "::1 db" } };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autofree char *entry = ctl_value_host_entry (rows[i][0]);
    g_assert_cmpstr (entry, ==, rows[i][1]);
  }
}

static void
test_since (void)
{
  gint64 now = G_GINT64_CONSTANT (1700000000000000);
  gint64 value;

  g_assert_true (ctl_value_since ("42m", now, &value, NULL));
  g_assert_cmpint (value, ==, now - G_GINT64_CONSTANT (2520000000));
  g_assert_true (ctl_value_since ("2013-01-02T13:23:37Z", now, &value, NULL));
  g_assert_cmpint (value, ==, G_GINT64_CONSTANT (1357133017000000));
  g_assert_true (ctl_value_since ("1357133017", now, &value, NULL));
  g_assert_cmpint (value, ==, G_GINT64_CONSTANT (1357133017000000));
  g_assert_false (ctl_value_since ("yesterday", now, &value, NULL));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/ctl/values/duration", test_duration);
  g_test_add_func ("/ctl/values/bytes", test_bytes);
  g_test_add_func ("/ctl/values/cpus", test_cpus);
  g_test_add_func ("/ctl/values/uint", test_uint);
  g_test_add_func ("/ctl/values/checks", test_checks);
  g_test_add_func ("/ctl/values/host-entry", test_host_entry);
  g_test_add_func ("/ctl/values/since", test_since);
  return g_test_run ();
}
