// SPDX-License-Identifier: LGPL-2.1-or-later
/* Keyed lines of something under way. */
#pragma once
#include <glib.h>

typedef struct {
  gboolean terminal; /* each key keeps its line; elsewhere only what changes and lasts is printed */
  gboolean quiet;
  GPtrArray *keys; /* in order of appearance */
  GHashTable *texts;
} CtlScreen;

void ctl_screen_init (CtlScreen *self, gboolean quiet);
void ctl_screen_clear (CtlScreen *self);
/* A CtlProgressLineFunc; @screen: CtlScreen. */
void ctl_screen_show (const char *key, const char *text, gboolean lasting, gpointer screen);
