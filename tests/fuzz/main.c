// SPDX-License-Identifier: LGPL-2.1-or-later
/* Builds without libFuzzer: replays the corpus, whose directory is the only argument. */
#include "fuzz.h"

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GDir) dir = argc == 2 ? g_dir_open (argv[1], 0, &error) : NULL;
  const char *name;
  guint n = 0;

  if (dir == NULL) {
    g_printerr ("%s\n", error != NULL ? error->message : "usage: replay CORPUS-DIRECTORY");
    return 2;
  }
  while ((name = g_dir_read_name (dir)) != NULL) {
    g_autofree char *path = g_build_filename (argv[1], name, NULL), *data = NULL;
    gsize len;
    if (!g_file_get_contents (path, &data, &len, &error)) {
      g_printerr ("%s\n", error->message);
      return 1;
    }
    LLVMFuzzerTestOneInput ((const guint8 *) data, len);
    n++;
  }
  g_print ("%u inputs\n", n);
  return n > 0 ? 0 : 1;
}
