// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once
#include <glib.h>

/* Does this host have what networks take: namespaces, bridges, VXLAN, nftables? Tried in a namespace that goes again. FALSE: @error says what it has not. */
gboolean swarm_netd_probe (GError **error);
