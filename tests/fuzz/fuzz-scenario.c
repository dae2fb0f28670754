// SPDX-License-Identifier: LGPL-2.1-or-later
/* Scenarios as people write them: an error that says why, or one that can be written and read again. */
#include "fuzz.h"
#include "sim/scenario.h"

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  g_autofree char *text = g_strndup ((const char *) data, size), *again = NULL, *last = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (SimScenario) scenario = sim_scenario_parse (text, &error), back = NULL;

  if (scenario == NULL) {
    g_assert (error != NULL && error->message[0] != '\0');
    return 0;
  }
  again = sim_scenario_to_text (scenario);
  back = sim_scenario_parse (again, &error);
  if (back == NULL)
    g_error ("an own scenario is refused: %s", error->message);
  last = sim_scenario_to_text (back);
  g_assert (g_str_equal (again, last));
  return 0;
}
