// SPDX-License-Identifier: LGPL-2.1-or-later
/* Registry credentials that `podman login` or `docker login` stored on this machine. */
#pragma once
#include <gio/gio.h>

/* Base64 of {"username","password","serveraddress"} for @image, as docker's X-Registry-Auth; "" when nothing is stored.
 * Caller frees. */
char *ctl_registry_auth (const char *image, GError **error);
/* The keys under which a login may be stored, most specific first: "registry.example.com/team/app",
 * "registry.example.com/team", "registry.example.com". */
char **ctl_registry_auth_keys (const char *image);
