// SPDX-License-Identifier: LGPL-2.1-or-later
/* From the options of `service create` and `service update` to a service's spec. Only syntax is checked here; rules are
 * the agent's. */
#pragma once
#include "ctl/opts.h"
#include "model/spec.h"

extern const CtlOption ctl_service_options[];        /* create and update */
extern const CtlOption ctl_service_create_options[]; /* --env, --publish, … */
extern const CtlOption ctl_service_update_options[]; /* --env-add, --env-rm, … */
extern const char *const ctl_service_create_unsupported[];
extern const char *const ctl_service_update_unsupported[];

/* The spec of a new service. Caller owns it. */
SwarmServiceSpec *ctl_service_spec_create (CtlArgs *args, GError **error);
/* A changed copy of @spec. Caller owns it. */
SwarmServiceSpec *ctl_service_spec_update (const SwarmServiceSpec *spec, CtlArgs *args, GError **error);

/* Parts, for tests. */
gboolean ctl_check_port (const char *text, GError **error);
gboolean ctl_check_port_rm (const char *text, GError **error);
gboolean ctl_check_mount (const char *text, GError **error);
gboolean ctl_check_command_line (const char *text, GError **error);
/* Appends what one --publish asks for: several ports when it names a range. */
gboolean ctl_ports_parse (const char *text, GPtrArray **ports, GError **error);
/* "mode=host,target=80,published=8080"; of a range the first one. Caller owns it. */
SwarmPortConfig *ctl_port_parse (const char *text, GError **error);
SwarmMount *ctl_mount_parse (const char *text, GError **error);
