// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/enum.h"
#include <string.h>

const char *
swarm_enum_to_string (const SwarmEnum *self, int value)
{
  for (guint i = 0; self->rows[i].text != NULL; i++)
    if (self->rows[i].value == value)
      return self->rows[i].text;
  return NULL;
}

gboolean
swarm_enum_from_string (const SwarmEnum *self, const char *text, int *ret)
{
  for (guint i = 0; self->rows[i].text != NULL; i++)
    if (g_strcmp0 (self->rows[i].text, text) == 0) {
      *ret = self->rows[i].value;
      return TRUE;
    }
  return FALSE;
}
