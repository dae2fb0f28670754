// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once
#include <glib.h>

/* Normalises an image name as docker does: "nginx" → "docker.io/library/nginx:latest"; keeps tag and digest; lower-case checks.
 * SWARM_ERROR_INVALID_ARGUMENT `ContainerSpec: "x" is not a valid repository/tag`. Caller frees. */
char *swarm_image_normalise (const char *name, GError **error);
/* The familiar form people see: without docker.io/library/; digest dropped when @drop_digest. Caller frees. */
char *swarm_image_familiar (const char *normalised, gboolean drop_digest);
gboolean swarm_image_has_digest (const char *name);
