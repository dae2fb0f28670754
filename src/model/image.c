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

#define DOMAIN_PART "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
#define DOMAIN "^(?:" DOMAIN_PART "(?:\\." DOMAIN_PART ")*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?$"
#define PATH_PART "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*"
#define PATH "^" PATH_PART "(?:/" PATH_PART ")*$"
#define TAG "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$"
#define DIGEST "^[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}$"
#define SHA256 "^sha256:[0-9a-f]{64}$"
#define BARE_HEX "^[a-f0-9]{64}$"

typedef struct {
  const char *text;
  GRegex *regex; /* made when it is first needed, and kept: making it takes ten times longer than matching */
} Pattern;

static Pattern domain_pattern = { DOMAIN, NULL }, path_pattern = { PATH, NULL }, tag_pattern = { TAG, NULL }, digest_pattern = { DIGEST, NULL },
               sha256_pattern = { SHA256, NULL }, bare_hex_pattern = { BARE_HEX, NULL };

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

static gboolean
matches (Pattern *pattern, const char *text)
{
  if (g_once_init_enter (&pattern->regex))
    /* '$' alone would also match before a newline at the end. */
    g_once_init_leave (&pattern->regex, g_regex_new (pattern->text, G_REGEX_DOLLAR_ENDONLY, 0, NULL));
  return g_regex_match (pattern->regex, text, 0, NULL);
}

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

  if (matches (&bare_hex_pattern, name))
    return FALSE;
  if (at != NULL)
    ret->digest = g_strdup (at + 1);
  /* A colon before the last slash belongs to a registry's port. */
  if (colon != NULL && (slash == NULL || colon > slash)) {
    ret->tag = g_strdup (colon + 1);
    *colon = '\0';
  }
  split_domain (ret, name);
  if (!matches (&domain_pattern, ret->domain) || !matches (&path_pattern, ret->path) || strlen (ret->domain) + 1 + strlen (ret->path) > MAX_NAME)
    return FALSE;
  if (ret->tag != NULL && !matches (&tag_pattern, ret->tag))
    return FALSE;
  if (ret->digest == NULL)
    return TRUE;
  return g_str_has_prefix (ret->digest, "sha256:") ? matches (&sha256_pattern, ret->digest) : matches (&digest_pattern, ret->digest);
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
