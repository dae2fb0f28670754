# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# The images of the lab's registry: nginx, from Debian's packages, and busybox. Written as OCI layouts, pushed with skopeo.

sha() { sha256sum "$1" | cut -d' ' -f1; }
size() { stat -c %s "$1"; }

# A one-layer OCI image. CONFIG is the image configuration's "config" object.
oci_image() { # ROOTFS LAYOUT CONFIG
  local root=$1 out=$2 config=$3 blobs=$2/blobs/sha256 layer conf manifest
  mkdir -p "$blobs"
  tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C "$root" -cf "$out/layer" .
  layer=$(sha "$out/layer")
  cat > "$out/config" << END
{"created":"2024-01-01T00:00:00Z","architecture":"$(dpkg --print-architecture)","os":"linux","config":$config,"rootfs":{"type":"layers","diff_ids":["sha256:$layer"]}}
END
  conf=$(sha "$out/config")
  cat > "$out/manifest" << END
{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:$conf","size":$(size "$out/config")},
"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"sha256:$layer","size":$(size "$out/layer")}]}
END
  manifest=$(sha "$out/manifest")
  cat > "$out/index.json" << END
{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:$manifest","size":$(size "$out/manifest")}]}
END
  echo '{"imageLayoutVersion":"1.0.0"}' > "$out/oci-layout"
  mv "$out/layer" "$blobs/$layer"
  mv "$out/config" "$blobs/$conf"
  mv "$out/manifest" "$blobs/$manifest"
}

busybox_root() { # DIR
  local applet
  mkdir -p "$1"/{bin,etc,proc,sys,dev,tmp,run,root,var/tmp,usr}
  chmod 1777 "$1/tmp" "$1/var/tmp"
  cp "$BASE/bin/busybox" "$1/bin/busybox"
  for applet in $("$BASE/bin/busybox" --list | grep -vx busybox); do ln -s busybox "$1/bin/$applet"; done
  ln -s ../bin "$1/usr/bin"
  printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' > "$1/etc/passwd"
  printf 'root:x:0:\nnogroup:x:65534:\n' > "$1/etc/group"
}

# As the official image behaves: port 80, logs to /dev/stdout and /dev/stderr, ends on SIGQUIT. The page is the container's name.
nginx_root() { # DIR
  mmdebstrap_with_our_apt --variant=extract --include="$IMAGE_PACKAGES" "$1"
  rm -rf "$1"/usr/share/{doc,man,locale,info} "$1"/var/{lib/apt,cache/apt} "$1"/etc/nginx/{sites-enabled,modules-enabled,conf.d}/* "$1"/dev/*
  cp "$BASE/bin/busybox" "$1/bin/busybox"
  [ -e "$1/bin/sh" ] || ln -s busybox "$1/bin/sh"
  mkdir -p "$1"/{proc,sys,run,var/log/nginx,var/lib/nginx,etc/nginx/conf.d}
  printf 'root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33:www-data:/var/www:/bin/false\n' > "$1/etc/passwd"
  printf 'root:x:0:\nwww-data:x:33:\n' > "$1/etc/group"
  ln -sf /dev/stdout "$1/var/log/nginx/access.log"
  ln -sf /dev/stderr "$1/var/log/nginx/error.log"
  cat > "$1/etc/nginx/conf.d/default.conf" << 'END'
server {
  listen 80 default_server;
  default_type text/plain;
  location / { return 200 "$hostname\n"; }
}
END
}

push_images() { # LAYOUTS: inside a network namespace of its own, with a registry that ends with it
  local i
  ip link set lo up
  in_root "$BASE" "$1" docker-registry serve /mnt/registry.yml > "$1/registry.log" 2>&1 &
  for i in $(seq 200); do curl -sf http://127.0.0.1:5000/v2/ > /dev/null && break; sleep 0.05; done
  for i in busybox:latest nginx:latest; do
    in_root "$BASE" "$1" skopeo --insecure-policy copy --quiet --dest-tls-verify=false "oci:/mnt/${i%:*}" "docker://127.0.0.1:5000/library/$i" || return 1
  done
}

make_images() { # DIR: where the registry keeps them
  local dir=$1 work=$1/work
  say "making the images nginx and busybox (once)"
  mkdir -p "$work" "$dir/registry"
  busybox_root "$work/busybox.root"
  nginx_root "$work/nginx.root"
  oci_image "$work/busybox.root" "$work/busybox" '{"Env":["PATH=/bin"],"Cmd":["sh"]}'
  oci_image "$work/nginx.root" "$work/nginx" \
    '{"Env":["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],"Cmd":["nginx","-g","daemon off;"],"ExposedPorts":{"80/tcp":{}},"StopSignal":"SIGQUIT"}'
  registry_config /mnt/registry 127.0.0.1 > "$work/registry.yml"
  mkdir "$work/registry"
  unshare --net --pid --fork --kill-child bash "$LABHOME/lab" _push-images "$BASE" "$work" || die "the images could not be pushed (see $work/registry.log)"
  rmdir "$dir/registry"
  mv "$work/registry" "$dir/registry"
  rm -rf --one-file-system "$work"
}

registry_config() { # DIR ADDRESS
  cat << END
version: 0.1
log: {level: warn, accesslog: {disabled: true}}
storage:
  filesystem: {rootdirectory: $1}
  delete: {enabled: true}
http: {addr: "$2:5000"}
END
}
