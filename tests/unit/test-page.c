// SPDX-License-Identifier: LGPL-2.1-or-later
/* One page of a list fits into a message, whatever is on it. */
#include "api/private.h"

static GVariant *
item_of (gsize size)
{
  g_autofree char *text = g_strnfill (size, 'x');
  GVariantBuilder builder;
  g_variant_builder_init (&builder, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (&builder, "{sv}", "Text", g_variant_new_string (text));
  return g_variant_builder_end (&builder);
}

static void
test_number (void)
{
  g_auto (SwarmApiPage) page;
  swarm_api_page_init (&page, 2);
  g_assert_true (swarm_api_page_take (&page, item_of (1)));
  g_assert_true (swarm_api_page_take (&page, NULL));
  g_assert_true (swarm_api_page_take (&page, item_of (1)));
  g_assert_true (swarm_api_page_take (&page, NULL)); /* what is filtered out has room */
  g_assert_false (page.more);
  g_assert_false (swarm_api_page_take (&page, item_of (1)));
  g_assert_true (page.more);
  g_assert_cmpuint (page.items->len, ==, 2);
}

static void
test_bytes (void)
{
  g_auto (SwarmApiPage) page;
  swarm_api_page_init (&page, 0);
  g_assert_true (swarm_api_page_take (&page, item_of (1400 * 1024))); /* the largest there is: a page of its own */
  g_assert_false (swarm_api_page_take (&page, item_of (1)));
  g_assert_true (page.more);

  g_auto (SwarmApiPage) next;
  gsize bytes = 0;
  swarm_api_page_init (&next, 0);
  while (swarm_api_page_take (&next, item_of (10000)))
    bytes += 10000;
  g_assert_cmpuint (bytes, >, 512 * 1024);
  g_assert_cmpuint (bytes, <=, 1024 * 1024);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/page/number", test_number);
  g_test_add_func ("/page/bytes", test_bytes);
  return g_test_run ();
}
