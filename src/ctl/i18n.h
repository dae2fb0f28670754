// SPDX-License-Identifier: LGPL-2.1-or-later
/* Texts for people go through _(); table contents and JSON do not, so that they read the same everywhere. */
#pragma once
#include "config.h"
#include <glib/gi18n.h>
