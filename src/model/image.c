// SPDX-License-Identifier: LGPL-2.1-or-later
/* Image names, by the rules of the distribution project's reference grammar:
 * [domain/]path[:tag][@digest], https://github.com/distribution/reference. */
#include "model/image.h"
#include "base/error.h"
#include <string.h>

#define DEFAULT_DOMAIN "docker.io"
#define LEGACY_DOMAIN "index.docker.io"
#define OFFICIAL_PREFIX "library/"
#define MAX_NAME 255
#define MAX_TAG 128
#define SHA256_DIGITS 64
#define MIN_DIGEST_DIGITS 32

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define LETTERS LOWER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"
#define LOWER_HEX DIGITS "abcdef"
#define HEX LOWER_HEX "ABCDEF"

typedef struct {
  char *domain;
  char *path;
  char *tag;    /* NULL: none */
  char *digest; /* NULL: none */
} Reference;

static void
reference_clear (Reference *self)
{
  g_free (self->domain);
  g_free (self->path);
  g_free (self->tag);
  g_free (self->digest);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Reference, reference_clear)

/* ---- the grammar; by hand, for regular expressions took a tenth of a whole service create ---- */

/* part(.part)*(:port)?, a part has hyphens inside only; or [IPv6](:port)? */
static gboolean
is_domain (const char *at)
{
  gsize n;

  if (*at == '[') {
    n = strspn (at + 1, HEX ":");
    if (n == 0 || at[n + 1] != ']')
      return FALSE;
    at += n + 2;
  } else {
    for (;; at++) {
      n = strspn (at, LETTERS DIGITS "-");
      if (n == 0 || at[0] == '-' || at[n - 1] == '-')
        return FALSE;
      at += n;
      if (*at != '.')
        break;
    }
  }
  if (*at == '\0')
    return TRUE;
  n = strspn (at + 1, DIGITS);
  return *at == ':' && n > 0 && at[n + 1] == '\0';
}

/* [a-z0-9]+ with one of / . _ __ -+ between two of them */
static gboolean
is_path (const char *at)
{
  for (;;) {
    gsize n = strspn (at, LOWER DIGITS);

    if (n == 0)
      return FALSE;
    at += n;
    if (*at == '\0')
      return TRUE;
    if (*at == '-')
      at += strspn (at, "-");
    else if (g_str_has_prefix (at, "__"))
      at += 2;
    else if (strchr ("/._", *at) != NULL)
      at++;
    else
      return FALSE;
  }
}

static gboolean
is_tag (const char *text)
{
  gsize n = strspn (text, LETTERS DIGITS "_.-");

  return n > 0 && n <= MAX_TAG && text[n] == '\0' && text[0] != '.' && text[0] != '-';
}

static gboolean
is_hash (const char *text)
{
  return strspn (text, LOWER_HEX) == SHA256_DIGITS && text[SHA256_DIGITS] == '\0';
}

/* algorithm:hex; an algorithm is words with one of - _ + . between two of them */
static gboolean
is_digest (const char *at)
{
  gsize n;

  if (g_str_has_prefix (at, "sha256:"))
    return is_hash (at + strlen ("sha256:"));
  for (;; at++) {
    if (!g_ascii_isalpha (*at))
      return FALSE;
    at += strspn (at, LETTERS DIGITS);
    if (*at == '\0' || strchr (":-_+.", *at) == NULL)
      return FALSE;
    if (*at == ':')
      break;
  }
  n = strspn (at + 1, HEX);
  return n >= MIN_DIGEST_DIGITS && at[n + 1] == '\0';
}

/* ---- parsing ---- */

/* The first part names a registry when it looks like a host; else it is the docker hub. */
static void
split_domain (Reference *self, const char *name)
{
  const char *slash = strchr (name, '/');
  g_autofree char *first = slash != NULL ? g_strndup (name, (gsize) (slash - name)) : NULL;

  if (first != NULL
      && (strpbrk (first, ".:") != NULL || g_str_equal (first, "localhost") || strpbrk (first, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != NULL)) {
    self->domain = g_steal_pointer (&first);
    self->path = g_strdup (slash + 1);
  } else {
    self->domain = g_strdup (DEFAULT_DOMAIN);
    self->path = g_strdup (name);
  }
  if (g_str_equal (self->domain, LEGACY_DOMAIN)) {
    g_free (self->domain);
    self->domain = g_strdup (DEFAULT_DOMAIN);
  }
  if (g_str_equal (self->domain, DEFAULT_DOMAIN) && strchr (self->path, '/') == NULL) {
    char *official = g_strconcat (OFFICIAL_PREFIX, self->path, NULL);

    g_free (self->path);
    self->path = official;
  }
}

static gboolean
parse (const char *text, Reference *ret)
{
  const char *at = strchr (text, '@');
  g_autofree char *name = at != NULL ? g_strndup (text, (gsize) (at - text)) : g_strdup (text);
  char *colon = strrchr (name, ':');
  const char *slash = strrchr (name, '/');

  if (is_hash (name))
    return FALSE;
  if (at != NULL)
    ret->digest = g_strdup (at + 1);
  /* A colon before the last slash belongs to a registry's port. */
  if (colon != NULL && (slash == NULL || colon > slash)) {
    ret->tag = g_strdup (colon + 1);
    *colon = '\0';
  }
  split_domain (ret, name);
  if (!is_domain (ret->domain) || !is_path (ret->path) || strlen (ret->domain) + 1 + strlen (ret->path) > MAX_NAME)
    return FALSE;
  return (ret->tag == NULL || is_tag (ret->tag)) && (ret->digest == NULL || is_digest (ret->digest));
}

char *
swarm_image_normalise (const char *name, GError **error)
{
  g_auto (Reference) ref = { NULL };

  /* Longer than any valid one: not worth a look. */
  if (name == NULL || strlen (name) > 1024 || !parse (name, &ref)) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "ContainerSpec: \"%.256s\" is not a valid repository/tag",
                 name != NULL ? name : "");
    return NULL;
  }
  if (ref.tag == NULL && ref.digest == NULL)
    ref.tag = g_strdup ("latest");
  return g_strconcat (ref.domain, "/", ref.path, ref.tag != NULL ? ":" : "", ref.tag != NULL ? ref.tag : "",
                      ref.digest != NULL ? "@" : "", ref.digest != NULL ? ref.digest : "", NULL);
}

char *
swarm_image_familiar (const char *normalised, gboolean drop_digest)
{
  const char *at = strchr (normalised, '@');
  gsize len = drop_digest && at != NULL ? (gsize) (at - normalised) : strlen (normalised);
  g_autofree char *name = g_strndup (normalised, len);
  const char *rest = name;

  if (g_str_has_prefix (rest, DEFAULT_DOMAIN "/"))
    rest += strlen (DEFAULT_DOMAIN "/");
  /* Only what normalising would put back. */
  if (rest != name && g_str_has_prefix (rest, OFFICIAL_PREFIX) && strchr (rest + strlen (OFFICIAL_PREFIX), '/') == NULL)
    rest += strlen (OFFICIAL_PREFIX);
  return g_strdup (rest);
}

gboolean
swarm_image_has_digest (const char *name)
{
  return strchr (name, '@') != NULL;
}
