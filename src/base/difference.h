// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once
#include <glib.h>

/* @a - @b of times that may come from another machine: what is no time at all gives the largest difference there is, not an overflow. */
static inline gint64
swarm_difference (gint64 a, gint64 b)
{
  gint64 difference;
  if (__builtin_sub_overflow (a, b, &difference) || difference == G_MININT64)
    return a > b ? G_MAXINT64 : -G_MAXINT64;
  return difference;
}
