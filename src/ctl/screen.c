// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ctl/screen.h"
#include "ctl/client.h"
#include "ctl/format.h"
#include <stdio.h>

void
ctl_screen_init (CtlScreen *self, gboolean quiet)
{
  self->terminal = ctl_on_terminal ();
  self->quiet = quiet;
  self->keys = g_ptr_array_new_with_free_func (g_free);
  self->texts = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
}

void
ctl_screen_clear (CtlScreen *self)
{
  g_ptr_array_unref (self->keys);
  g_hash_table_unref (self->texts);
}

void
ctl_screen_show (const char *key, const char *text, gboolean lasting, gpointer data)
{
  CtlScreen *screen = data;
  guint line;
  const char *before = g_hash_table_lookup (screen->texts, key);
  g_autofree char *shown = ctl_printable (g_strdup (text), FALSE);

  if (screen->quiet || g_strcmp0 (before, text) == 0)
    return;
  if (!screen->terminal) {
    if (!lasting) /* what lasted before it need not be said again after it */
      return;
    g_hash_table_insert (screen->texts, g_strdup (key), g_strdup (text));
    printf ("%s: %s\n", key, shown);
    fflush (stdout);
    return;
  }
  if (!g_ptr_array_find_with_equal_func (screen->keys, key, g_str_equal, &line)) {
    g_ptr_array_add (screen->keys, g_strdup (key));
    printf ("%s: %s \n", key, shown);
  } else {
    guint up = screen->keys->len - line;
    printf ("\033[%uA\r\033[2K%s: %s \033[%uB\r", up, key, shown, up);
  }
  g_hash_table_insert (screen->texts, g_strdup (key), g_strdup (text));
  fflush (stdout);
}
