// SPDX-License-Identifier: LGPL-2.1-or-later
/* One description per object: each spec and object is a plain struct with one table row per member.
 * From the rows come the D-Bus (a{sv}), JSON and storage forms, defaults, comparison, copy, free, and CLI fields.
 *
 * Nested messages are immutable and reference-counted (atomically): a copy of a message shares them. To change one, copy it
 * (swarm_message_copy), change the copy while it is yours alone, and put it in place of the old one.
 *
 * Storage form: protobuf wire encoding (https://protobuf.dev/programming-guides/encoding/): varint tags, unknown fields are kept. */
#pragma once
#include "base/enum.h"
#include "base/id.h"
#include <gio/gio.h>
#include <json-glib/json-glib.h>

typedef struct _SwarmType SwarmType;

/* The first member of every message struct. */
typedef struct {
  const SwarmType *type;
  GBytes *unknown; /* stored fields that this version does not know, passed on as they came */
} SwarmMessage;

typedef enum {
  SWARM_FIELD_BOOL,     /* gboolean */
  SWARM_FIELD_INT,      /* gint64 */
  SWARM_FIELD_UINT,     /* guint64 */
  SWARM_FIELD_DOUBLE,   /* double */
  SWARM_FIELD_STRING,   /* char *, NULL = "" */
  SWARM_FIELD_BYTES,    /* GBytes *; 'ay', base64 in JSON */
  SWARM_FIELD_ID,       /* SwarmId; 25-character string for people, "" when nil */
  SWARM_FIELD_ENUM,     /* gint with .enumeration; string for people, number in storage */
  SWARM_FIELD_TIME,     /* gint64, µs since 1970; RFC 3339 string with fraction for people, 0 = absent */
  SWARM_FIELD_DURATION, /* gint64, nanoseconds, as the Engine API has it */
  SWARM_FIELD_MESSAGE,  /* SwarmFoo *, NULL = absent; .type */
  SWARM_FIELD_STRINGS,  /* GPtrArray * of char *, NULL = empty; element_free g_free */
  SWARM_FIELD_IDS,      /* GArray * of SwarmId, NULL = empty */
  SWARM_FIELD_MESSAGES, /* GPtrArray * of SwarmFoo *, NULL = empty; .type */
  SWARM_FIELD_MAP,      /* GHashTable * of char * → char *, NULL = empty; encoded sorted by key */
} SwarmFieldKind;

typedef enum {
  SWARM_FIELD_SECRET = 1 << 0,         /* never in Inspect, JSON or a log; storage and wire only */
  SWARM_FIELD_IMMUTABLE = 1 << 1,      /* an update that changes it is refused */
  SWARM_FIELD_REPLACES_TASKS = 1 << 2, /* a change replaces the service's tasks */
  SWARM_FIELD_READONLY = 1 << 3,       /* not accepted from users (status, ids, versions) */
  SWARM_FIELD_ALWAYS = 1 << 4,         /* shown in JSON and a{sv} even when it has its default */
} SwarmFieldFlags;

typedef struct _SwarmField SwarmField;
/* Checks one value inside @message (field-local rules only). The error's message is for the user, without the path: the path is put
 * before it, but not when the text is one of swarm's own, set with swarm_field_error_verbatim(). */
typedef gboolean (*SwarmFieldValidator) (const SwarmField *field, const SwarmMessage *message, GError **error);

struct _SwarmField {
  guint number; /* storage tag, never reused; 0 ends the table */
  const char *name; /* for people; "Version.Index" shows one row as a dictionary of its own, as the Engine API has it */
  SwarmFieldKind kind;
  guint offset;
  SwarmFieldFlags flags;
  const SwarmType *type;        /* MESSAGE, MESSAGES */
  const SwarmEnum *enumeration; /* ENUM */
  gint64 fallback;              /* default of numbers, booleans, enums (double: SWARM_FIELD_DOUBLE has 0) */
  SwarmFieldValidator validate; /* may be NULL */
  guint since;                  /* feature level that brought it; 0 = from the start */
  const char *doc;
  const char *negative; /* UINT: the whole text for a negative number, where swarm has one; else NULL */
};

struct _SwarmType {
  const char *name;
  gsize size;
  const SwarmField *fields;
  /* Rules between the fields of one message; may be NULL. */
  gboolean (*validate) (const SwarmMessage *message, GError **error);
};

/* Sets SWARM_ERROR_INVALID_ARGUMENT with a text that reaches the user exactly so. */
void swarm_field_error_verbatim (GError **error, const char *format, ...) G_GNUC_PRINTF (2, 3);
/* Lists longer than this are refused in every form: one small message must not become a large amount of memory. */
#define SWARM_FIELD_MAX_ELEMENTS 65536

/* Rows: SWARM_FIELD (1, "Image", SwarmContainerSpec, image, STRING, .flags = …) */
#define SWARM_FIELD(num, json_name, Struct, member, KIND, ...) \
  { .number = (num), .name = (json_name), .kind = SWARM_FIELD_##KIND, .offset = G_STRUCT_OFFSET (Struct, member), __VA_ARGS__ }

/* A new message with every default set; one reference. */
gpointer swarm_message_new (const SwarmType *type);
gpointer swarm_message_ref (gconstpointer message);
void swarm_message_unref (gpointer message); /* NULL is fine */
void swarm_message_clear (gpointer *message_pointer); /* unref and NULL */
#define swarm_message_clear_pointer(pp) swarm_message_clear ((gpointer *) (pp))
/* Containers as the members of messages have them; keys and strings belong to them (g_strdup what goes in). */
GHashTable *swarm_map_new (void);
GPtrArray *swarm_strings_new (void);
GPtrArray *swarm_messages_new (void);
GArray *swarm_ids_new (void);
/* Puts a copy of @value (NULL: empty) in place of a string member's old value. */
void swarm_string_set (char **member, const char *value);
/* Puts a reference to @value (may be NULL) in place of a message member's old value. */
void swarm_message_set (gpointer *member, gconstpointer value);
#define swarm_message_set_pointer(pp, value) swarm_message_set ((gpointer *) (pp), (value))
/* A copy that may be changed: own strings, lists and maps; nested messages shared. */
gpointer swarm_message_copy (gconstpointer message);
/* Field by field, nested messages too; unknown fields count. NULL equals a message with all defaults: no, NULL equals only NULL. */
gboolean swarm_message_equal (gconstpointer a, gconstpointer b);
/* TRUE when a field with one of @flags (on the row itself or on any row above it in the nesting) differs. */
gboolean swarm_message_differs (gconstpointer a, gconstpointer b, SwarmFieldFlags flags);
/* Path of the first field with @flags that differs ("TaskTemplate.ContainerSpec.Image"); NULL: none. Caller frees. */
char *swarm_message_first_difference (gconstpointer a, gconstpointer b, SwarmFieldFlags flags);

typedef enum {
  SWARM_FORM_WITH_SECRETS = 1 << 0, /* include SECRET fields (never towards users) */
  SWARM_FORM_FROM_USER = 1 << 1,    /* parsing: READONLY fields are refused like unknown ones */
  SWARM_FORM_COMPLETE = 1 << 2,     /* show fields that have their default, too */
} SwarmFormFlags;

/* a{sv}, floating. Absent = default, but for ALWAYS rows. Nested a{sv}, lists av or as, maps a{ss}, enums s, ids s, times s. */
GVariant *swarm_message_to_variant (gconstpointer message, SwarmFormFlags flags);
/* From a{sv}; any integer type that fits, variants inside variants are unwrapped, "aa{sv}"/"av"/"as" lists. An unknown key or wrong type is
 * SWARM_ERROR_INVALID_ARGUMENT that names its path; then runs swarm_message_validate(). NULL on error. */
gpointer swarm_message_from_variant (const SwarmType *type, GVariant *dict, SwarmFormFlags flags, GError **error);
JsonNode *swarm_message_to_json (gconstpointer message, SwarmFormFlags flags);
gpointer swarm_message_from_json (const SwarmType *type, JsonNode *node, SwarmFormFlags flags, GError **error);
/* Storage form. */
GBytes *swarm_message_encode (gconstpointer message);
/* Bytes that grow; data is of g_malloc. */
typedef struct {
  guint8 *data;
  gsize len;
  gsize size;
} SwarmBuffer;
void swarm_buffer_append (SwarmBuffer *self, gconstpointer data, gsize len);
/* A number as protobuf's varint. */
void swarm_buffer_append_varint (SwarmBuffer *self, guint64 value);
/* Appends the storage form. */
void swarm_message_encode_to (SwarmBuffer *out, gconstpointer message);
/* Appends only the fields in which @message differs from @base (of the same type); bit N of @ret_fields: field number N. FALSE and nothing is
 * appended when that cannot be said so. */
gboolean swarm_message_encode_changes (SwarmBuffer *out, gconstpointer base, gconstpointer message, guint64 *ret_fields);
/* Are all @fields of such a set rows of @type? */
gboolean swarm_type_has_fields (const SwarmType *type, guint64 fields);
/* The highest feature level (rows' .since) anywhere in @type; 0: all of it was there from the start. */
guint swarm_type_level (const SwarmType *type);
/* The feature level that one must have to understand what @message says beyond @base (of the same type; NULL: nothing). */
guint swarm_message_level (gconstpointer message, gconstpointer base);
/* A copy of @base with @fields as they are in @changes: the inverse. NULL: it has a field that this version does not know. */
gpointer swarm_message_merge (gconstpointer base, gconstpointer changes, guint64 fields);
/* From the storage form; lenient about unknown fields, strict about everything else; nesting depth ≤ 16. */
gpointer swarm_message_decode (const SwarmType *type, GBytes *data, GError **error);
/* All validators, depth first; the error names the path unless the text itself is one of swarm's (it is then passed as it is). */
gboolean swarm_message_validate (gconstpointer message, GError **error);

/* RFC 3339 with up to nanosecond digits ("2026-01-02T03:04:05.123456Z"); caller frees. */
char *swarm_time_to_string (gint64 us);
gboolean swarm_time_from_string (const char *text, gint64 *ret_us);

/* Declares `foo_ref/unref` sugar and g_autoptr for a message struct. */
#define SWARM_MESSAGE_DECLARE(Type, lower) \
  extern const SwarmType lower##_type; \
  static inline Type *lower##_new (void) { return swarm_message_new (&lower##_type); } \
  static inline Type *lower##_ref (const Type *m) { return swarm_message_ref (m); } \
  static inline Type *lower##_copy (const Type *m) { return swarm_message_copy (m); } \
  static inline void lower##_unref (Type *m) { swarm_message_unref (m); } \
  G_DEFINE_AUTOPTR_CLEANUP_FUNC (Type, lower##_unref)
