// SPDX-License-Identifier: LGPL-2.1-or-later
/* For test programs whose tests all run on one Fixture. */
#pragma once
#include <glib.h>

/* What a row of such a program is, after its Fixture. */
#define FIXTURE_TEST struct { const char *name; void (*func) (Fixture *, gconstpointer); }

/* Adds each row of @tests as "@group/<name>". */
#define ADD_FIXTURE_TESTS(group, tests, setup, teardown) \
  for (guint fixture_i = 0; fixture_i < G_N_ELEMENTS (tests); fixture_i++) { \
    g_autofree char *path = g_strconcat (group "/", tests[fixture_i].name, NULL); \
    g_test_add (path, Fixture, NULL, setup, tests[fixture_i].func, teardown); \
  }
