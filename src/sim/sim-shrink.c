// SPDX-License-Identifier: LGPL-2.1-or-later
/* Delta debugging: parts of a failing scenario are left out, in halves first, as long as it fails the same way. */
#include "sim/sim-fuzz.h"
#include <string.h>

typedef struct {
  SimScenario *best;
  char *sort; /* what the failure must be like */
  guint tries;
  SimFailsFunc fails;
  gpointer data;
} Shrink;

/* The failure without its time, numbers and ids: its first words. */
static char *
sort_of (const char *why)
{
  /* Of an expectation: what stands after its JSON. */
  const char *json = strstr (why, "}: "), *text = json != NULL ? json + 1 : strstr (why, ": ");
  g_autoptr (GString) sort = g_string_new (NULL);
  guint words = 0;
  for (const char *p = text != NULL ? text + 2 : why; *p != '\0' && words < 4; p++) {
    if (*p == ' ')
      words++;
    if (!g_ascii_isdigit (*p))
      g_string_append_c (sort, *p);
  }
  return g_string_free (g_steal_pointer (&sort), FALSE);
}

static gboolean
still_fails (Shrink *self, const SimScenario *candidate)
{
  if (self->tries == 0)
    return FALSE;
  self->tries--;
  g_autofree char *why = self->fails (candidate, self->data);
  g_autofree char *sort = why != NULL ? sort_of (why) : NULL;
  return g_strcmp0 (sort, self->sort) == 0;
}

/* The list at @offset without @n elements from @from on. */
static SimScenario *
without (const SimScenario *scenario, gsize offset, guint from, guint n)
{
  SimScenario *copy = sim_scenario_copy (scenario);
  GPtrArray **list = (GPtrArray **) ((char *) copy + offset);
  g_ptr_array_remove_range (*list, from, n);
  return copy;
}

static guint
length (const SimScenario *scenario, gsize offset)
{
  GPtrArray *list = *(GPtrArray *const *) ((const char *) scenario + offset);
  return list != NULL ? list->len : 0;
}

static gboolean
shrink_list (Shrink *self, gsize offset)
{
  gboolean better = FALSE;
  for (guint n = MAX (length (self->best, offset) / 2, 1); n > 0 && self->tries > 0; n /= 2) {
    for (guint from = length (self->best, offset); from > 0 && self->tries > 0;) {
      guint size = MIN (n, from);
      from -= size;
      g_autoptr (SimScenario) candidate = without (self->best, offset, from, size);
      if (!still_fails (self, candidate))
        continue;
      sim_scenario_unref (self->best);
      self->best = g_steal_pointer (&candidate);
      better = TRUE;
    }
  }
  return better;
}

SimScenario *
sim_shrink (const SimScenario *scenario, const char *why, guint tries, SimFailsFunc fails, gpointer data)
{
  Shrink self = { sim_scenario_ref (scenario), sort_of (why), tries, fails, data };
  gboolean better = TRUE;
  while (better && self.tries > 0) {
    better = shrink_list (&self, G_STRUCT_OFFSET (SimScenario, events));
    better |= shrink_list (&self, G_STRUCT_OFFSET (SimScenario, services));
    better |= shrink_list (&self, G_STRUCT_OFFSET (SimScenario, behaviours));
    better |= shrink_list (&self, G_STRUCT_OFFSET (SimScenario, nodes));
  }
  g_free (self.sort);
  return self.best;
}
