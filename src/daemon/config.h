// SPDX-License-Identifier: LGPL-2.1-or-later
/* agent.conf (key file) with drop-ins in agent.conf.d, and the command line. A bad line is named with file and line, logged and
 * skipped: it does not take the host down. */
#pragma once
#include <glib.h>

typedef struct {
  char *root;           /* --root: prefix for state and run time directories; NULL: the system's */
  char *bus;            /* --bus: NULL: system bus; "none"; else an address */
  char *listen;         /* HOST:PORT, default 0.0.0.0:2377 */
  char *advertise;      /* [Agent] AdvertiseAddress=; NULL: found out */
  char *state_dir;
  char *runtime_dir;
  char *plugin_dir;
  char *runtime_plugin; /* [Plugins] Runtime=, default podman */
  char *scheduler_plugin;
  char *network_plugin; /* [Plugins] Network=; NULL: nobody chose, see swarm_config_network */
  int log_level;        /* syslog priority */
  guint idle_exit_s;    /* 0: never */
  GHashTable *labels;   /* [Labels]: engine labels */
  GPtrArray *things;    /* [GenericResources]: SwarmGenericResource */
  GHashTable *plugin_values; /* "runtime-podman\nKey" → value, from sections named like plugins */
  gboolean init;        /* --init */
  char *join;           /* --join HOST:PORT */
  char *token_file;     /* --token-file */
  guint n_bad_lines;
} SwarmConfig;

/* Parses argv (program name first) and reads the files. FALSE: wrong usage, @error says why; *ret_exit is set for --help/--version. */
SwarmConfig *swarm_config_load (int *argc, char ***argv, gboolean *ret_exit, GError **error);
void swarm_config_free (SwarmConfig *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SwarmConfig, swarm_config_free)

/* Applies one file on top; for tests. Bad lines are counted and logged. FALSE only when the file cannot be read or is no text. */
gboolean swarm_config_read_file (SwarmConfig *self, const char *path, GError **error);
SwarmConfig *swarm_config_new_defaults (void);
/* Which network plugin: what was chosen, else overlay, but where nothing really runs (Runtime=sim) host. */
const char *swarm_config_network (const SwarmConfig *self);
