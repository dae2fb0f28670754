// SPDX-License-Identifier: LGPL-2.1-or-later
/* What the agent answers, as JSON in the shape of the Engine API: swarmctl's one form of data. */
#pragma once
#include <gio/gio.h>
#include <json-glib/json-glib.h>

/* Any value: dictionaries become objects in their order, variants are unwrapped, 'ay' becomes base64. */
JsonNode *ctl_variant_to_json (GVariant *value);
/* JSON that people wrote, in brackets of no more than 64 levels: the parser goes deeper into itself with each. NULL: error. */
JsonNode *ctl_json_parse (const char *text, GError **error);
/* Compact in one line, or docker's layout with an indent of four. Caller frees. */
char *ctl_json_print (JsonNode *node, gboolean pretty);
/* Same for an object alone. */
char *ctl_json_print_object (JsonObject *object);

/* Members by dotted path ("Spec.TaskTemplate.ContainerSpec.Image"); absent or of another type: the fallback. Borrowed.
 */
JsonNode *ctl_json_get (JsonObject *object, const char *path);
const char *ctl_json_string (JsonObject *object, const char *path); /* "" */
/* Same with a fallback also for "": members that have their default may be left out by the agent. */
const char *ctl_json_string_or (JsonObject *object, const char *path, const char *fallback);
gint64 ctl_json_int (JsonObject *object, const char *path);         /* 0 */
gboolean ctl_json_bool (JsonObject *object, const char *path);      /* FALSE */
JsonObject *ctl_json_object (JsonObject *object, const char *path); /* NULL */
JsonArray *ctl_json_array (JsonObject *object, const char *path);   /* NULL */
/* The objects of an array (NULL: none) as a list of borrowed pointers. */
GPtrArray *ctl_json_objects (JsonArray *array);
