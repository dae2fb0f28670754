// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/random-system.h"
#include <errno.h>
#include <sys/random.h>

static void
fill (SwarmRandom *self, guint8 *data, gsize len)
{
  while (len > 0) {
    ssize_t n = getrandom (data, len, 0);

    /* Without randomness there is no safe way on: keys and ids would be guessable. */
    g_assert (n >= 0 || errno == EINTR);
    if (n > 0) {
      data += n;
      len -= (gsize) n;
    }
  }
}

SwarmRandom *
swarm_random_system (void)
{
  static SwarmRandom random = { fill };

  return &random;
}
