// SPDX-License-Identifier: LGPL-2.1-or-later
/* Tables, ages, names and ports as docker prints them. Pure: text in, text out. */
#pragma once
#include "ctl/json.h"

/* A table laid out as docker's (Go's tabwriter: at least 10 wide, 3 apart, last column not padded). */
typedef struct _CtlTable CtlTable;
/* @titles: NULL-terminated. */
CtlTable *ctl_table_new (const char *const *titles);
/* As many cells as titles, each copied; NULL: empty. */
void ctl_table_add (CtlTable *table, const char *const *cells);
/* The text with a line per row; frees the table. Caller frees the text. */
char *ctl_table_finish (CtlTable *table);
/* The end of a list whose rows went either into @table or, ids or JSON objects, into @lines: the text of what was asked for. Frees both;
 * caller frees the text. */
char *ctl_list_finish (CtlTable *table, GString *lines, gboolean as_lines);

/* A member of a row's JSON object and the cell it has its value from. */
typedef struct {
  const char *key;
  guint cell;
} CtlJsonCell;
/* Adds a row of a table as one line with a JSON object, its members in the order of @members. */
void ctl_json_line_of_cells (GString *lines, const CtlJsonCell *members, guint n_members, const char *const *cells);
/* Adds one line with a JSON object. */
void ctl_json_line (GString *lines, JsonObject *object);

/* Orders "web.2" before "web.10". For qsort-like use. */
int ctl_natural_compare (const char *a, const char *b);
/* "6 seconds", "About a minute", "2 weeks". Caller frees. */
char *ctl_human_duration (gint64 us);
/* "6 seconds ago", in lower case; @timestamp RFC 3339. Caller frees. */
char *ctl_age (const char *timestamp, gint64 now_us);
/* "512MiB", four digits. Caller frees. */
char *ctl_human_bytes (gint64 bytes);
/* "1m30s", "5s", "500ms" from nanoseconds, as Go prints it. Caller frees. */
char *ctl_go_duration (gint64 ns);
/* First letter upper case, the rest lower. Caller frees. */
char *ctl_capitalize (const char *text);
/* The first 12 characters of an id. Caller frees. */
char *ctl_short_id (const char *id);
/* At most @width columns, the last one an ellipsis when it is cut. Caller frees. */
char *ctl_ellipsis (const char *text, guint width);
/* Columns that the text takes on a terminal. */
guint ctl_text_width (const char *text);
/* Texts of other machines do not command this one's terminal: control characters become '?' in place (but for \n and \t where @lines). */
char *ctl_printable (char *text, gboolean lines);
/* An image as people write it, without its digest when it has a tag. Caller frees. */
char *ctl_image_name (const char *image);
/* "*:80-82->80-82/tcp, *:53->53/udp" from an array of port objects in ingress mode. Caller frees. */
char *ctl_ingress_ports (JsonArray *ports);
/* "*:8080->80/tcp,…" of the ports in host mode. Caller frees. */
char *ctl_host_ports (JsonArray *ports);
/* Breaks a text into lines of at most @width columns; the first starts at @column, others are indented to @indent. */
void ctl_wrap (GString *out, const char *text, guint column, guint indent, guint width);
