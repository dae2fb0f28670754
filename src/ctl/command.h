// SPDX-License-Identifier: LGPL-2.1-or-later
/* The one table of swarmctl's commands. The parser, the help texts, the manual page and the shell completion all come
 * from it. */
#pragma once
#include "ctl/i18n.h"
#include <gio/gio.h>

typedef enum {
  CTL_BOOL,   /* --x, --x=true|false */
  CTL_STRING, /* the last one given counts */
  CTL_LIST,   /* may be repeated */
  CTL_UINT,   /* strconv-like unsigned number */
  CTL_INT,
  CTL_DURATION, /* 1m30s */
  CTL_BYTES,    /* 512m, 1.5g */
  CTL_DECIMAL,  /* CPUs: 0.5 */
  CTL_FLOAT,    /* a ratio: 0.25 */
} CtlKind;

typedef enum {
  CTL_OPTION_SECRET = 1 << 0, /* overwritten in argv once it is read, and never shown in an error */
  CTL_OPTION_HIDE = 1 << 1,   /* overwritten in argv: other users' ps does not show it while we wait */
} CtlOptionFlags;

typedef struct {
  const char *name; /* without the dashes; NULL ends a table */
  char letter;      /* short form, 0: none */
  CtlKind kind;
  const char *help;                                      /* N_() */
  const char *word;                                      /* what the value is called in help texts; NULL: by kind */
  const char *fallback;                                  /* shown as (default …) */
  const char *choices;                                   /* the values, space separated: shell completion */
  gboolean (*check) (const char *value, GError **error); /* after the kind's own check; may be NULL */
  CtlOptionFlags flags;
} CtlOption;

typedef struct _CtlContext CtlContext;
typedef struct _CtlCommand CtlCommand;

struct _CtlCommand {
  const char *path;  /* "service create"; NULL ends the table */
  const char *alias; /* "list" for "ls": another last word */
  const char *args;  /* "[OPTIONS] IMAGE [COMMAND] [ARG...]" */
  int min_args;
  int max_args;                    /* -1: any number */
  const char *summary;             /* N_() */
  const CtlOption *const *options; /* NULL-terminated list of tables */
  const char *const *unsupported;  /* swarm's options that are not here yet, by name */
  gboolean options_first;          /* what follows the first argument is not for us (service create IMAGE COMMAND…) */
  const char *objects;             /* what the arguments name: "node", "service", "task", "network" or NULL: shell completion */
  gboolean (*run) (CtlContext *context, GError **error);
  const char *examples; /* one "command line\tN_() what it does" per line, without "swarmctl " */
};

/* All commands, sorted as help shows them; ends with path NULL. */
extern const CtlCommand ctl_commands[];
/* "node", "service", "task": N_() summary; name NULL ends. */
typedef struct {
  const char *name;
  const char *summary;
} CtlGroup;
extern const CtlGroup ctl_groups[];
/* Commands of swarm that are not here yet ("service rollback"), NULL-terminated. */
extern const char *const ctl_unsupported_commands[];
/* Options that every command understands (-H, --help). */
extern const CtlOption ctl_global_options[];

/* The command for the first words of @words (NULL-terminated); @ret_used is the number of words it took. NULL: none. */
const CtlCommand *ctl_command_find (const char *const *words, guint *ret_used);
/* The last word of the path, as it is typed. */
const char *ctl_command_word (const CtlCommand *command);

/* Handlers, one file per group. */
gboolean ctl_cmd_ca (CtlContext *context, GError **error);
gboolean ctl_cmd_init (CtlContext *context, GError **error);
gboolean ctl_cmd_join (CtlContext *context, GError **error);
gboolean ctl_cmd_join_token (CtlContext *context, GError **error);
gboolean ctl_cmd_leave (CtlContext *context, GError **error);
gboolean ctl_cmd_info (CtlContext *context, GError **error);
gboolean ctl_cmd_node_ls (CtlContext *context, GError **error);
gboolean ctl_cmd_node_inspect (CtlContext *context, GError **error);
gboolean ctl_cmd_node_ps (CtlContext *context, GError **error);
gboolean ctl_cmd_node_promote (CtlContext *context, GError **error);
gboolean ctl_cmd_node_demote (CtlContext *context, GError **error);
gboolean ctl_cmd_node_update (CtlContext *context, GError **error);
gboolean ctl_cmd_node_drain (CtlContext *context, GError **error);
gboolean ctl_cmd_node_rm (CtlContext *context, GError **error);
gboolean ctl_cmd_network_attach (CtlContext *context, GError **error);
gboolean ctl_cmd_network_create (CtlContext *context, GError **error);
gboolean ctl_cmd_network_detach (CtlContext *context, GError **error);
gboolean ctl_cmd_network_inspect (CtlContext *context, GError **error);
gboolean ctl_cmd_network_ls (CtlContext *context, GError **error);
gboolean ctl_cmd_network_rm (CtlContext *context, GError **error);
gboolean ctl_cmd_service_create (CtlContext *context, GError **error);
gboolean ctl_cmd_service_ls (CtlContext *context, GError **error);
gboolean ctl_cmd_service_ps (CtlContext *context, GError **error);
gboolean ctl_cmd_service_inspect (CtlContext *context, GError **error);
gboolean ctl_cmd_service_scale (CtlContext *context, GError **error);
gboolean ctl_cmd_service_plan (CtlContext *context, GError **error);
gboolean ctl_cmd_service_rebalance (CtlContext *context, GError **error);
gboolean ctl_cmd_service_rollback (CtlContext *context, GError **error);
gboolean ctl_cmd_service_update (CtlContext *context, GError **error);
gboolean ctl_cmd_service_logs (CtlContext *context, GError **error);
gboolean ctl_cmd_service_rm (CtlContext *context, GError **error);
gboolean ctl_cmd_backup (CtlContext *context, GError **error);
gboolean ctl_cmd_restore (CtlContext *context, GError **error);
gboolean ctl_cmd_unlock (CtlContext *context, GError **error);
gboolean ctl_cmd_unlock_key (CtlContext *context, GError **error);
gboolean ctl_cmd_update (CtlContext *context, GError **error);
gboolean ctl_cmd_task_inspect (CtlContext *context, GError **error);
