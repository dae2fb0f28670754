// SPDX-License-Identifier: LGPL-2.1-or-later
/* Changes to single fields of a spec: lists, maps, environment, capabilities, ports, mounts. The lists belong to a
 * message that is ours alone. */
#pragma once
#include "ctl/opts.h"
#include "model/spec.h"

/* Makes a nested message ours to change: a copy in place of the shared one, or a new one. */
#define CTL_FIELDS_OWN(member, lower)                                                                                  \
  G_STMT_START                                                                                                         \
  {                                                                                                                    \
    gpointer own_copy_ = (member) != NULL ? lower##_copy (member) : lower##_new ();                                    \
    swarm_message_unref (member);                                                                                      \
    (member) = own_copy_;                                                                                              \
  }                                                                                                                    \
  G_STMT_END

void ctl_fields_append (GPtrArray **list, const char *text);
/* @message's reference is taken. */
void ctl_fields_append_message (GPtrArray **list, gpointer message);
void ctl_fields_append_all (GPtrArray **list, GPtrArray *texts);
/* Those that are not there yet. */
void ctl_fields_append_new (GPtrArray **list, GPtrArray *texts);
void ctl_fields_remove_strings (GPtrArray *list, GPtrArray *remove);
void ctl_fields_sort (GPtrArray *list);
/* The option's value, when it is given. */
void ctl_fields_set_string (CtlArgs *args, const char *option, char **field);
void ctl_fields_set_int (CtlArgs *args, const char *option, gint64 *field);
void ctl_fields_set_uint (CtlArgs *args, const char *option, guint64 *field);
void ctl_fields_set_bool (CtlArgs *args, const char *option, gboolean *field);
/* Is one of the options (NULL-terminated) given? */
gboolean ctl_fields_any_given (CtlArgs *args, const char *const *options);
/* The words of a shell-like command line replace the list, when the option is given. */
void ctl_fields_set_words (CtlArgs *args, const char *option, GPtrArray **field);

/* "key=value" texts into a map; keys (or "key=…") out of it. */
void ctl_fields_add_pairs (GHashTable **map, GPtrArray *pairs);
void ctl_fields_remove_pairs (GHashTable *map, GPtrArray *keys);

/* Files first, then @env, later ones replace earlier ones; a name alone takes this process's value. */
gboolean ctl_fields_make_env (GPtrArray *files, GPtrArray *env, GPtrArray **ret, GError **error);
void ctl_fields_update_env (GPtrArray **env, GPtrArray *remove, GPtrArray *add);

void ctl_fields_remove_hosts (GPtrArray **hosts, GPtrArray *remove);
void ctl_fields_update_mounts (GPtrArray **mounts, GPtrArray *remove, GPtrArray *add);
void ctl_fields_update_ports (GPtrArray **ports, GPtrArray *remove, GPtrArray *add);

/* Docker's rule: adding wins over dropping; when @update, adding what was dropped only takes it off the drop list, and
 * back. */
void ctl_fields_capabilities (GPtrArray *add, GPtrArray *drop, gboolean update, GPtrArray **capability_add,
                              GPtrArray **capability_drop);
