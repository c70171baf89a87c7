#!/usr/bin/env bash
# Installs what the tests need and says exactly what to install where it cannot.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=()
command -v chromium >/dev/null || packages+=(chromium)
command -v firefox-esr >/dev/null || command -v firefox >/dev/null || packages+=(firefox-esr)
command -v WebKitWebDriver >/dev/null || packages+=(webkit2gtk-driver)
command -v Xvfb >/dev/null || packages+=(xvfb)
# The power cuts: root mounts by itself, others through fusermount.
[ "$(id -u)" = 0 ] || command -v fusermount3 >/dev/null || command -v fusermount >/dev/null || packages+=(fuse3)
command -v nginx >/dev/null || [ -x /usr/sbin/nginx ] || packages+=(nginx)
command -v caddy >/dev/null || packages+=(caddy)
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || packages+=(postgresql)
id postgres >/dev/null 2>&1 || packages+=(postgresql)

if [ ${#packages[@]} -gt 0 ]; then
  as_root=()
  if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null || ! sudo -n true 2>/dev/null; then
      echo "Please install these Debian packages, then run this again: apt-get install ${packages[*]}" >&2
      exit 1
    fi
    as_root=(sudo)
  fi
  echo "installing: ${packages[*]}" >&2
  # Packages of the distribution start a service of their own; the tests use
  # clusters of theirs, so it is kept from starting.
  "${as_root[@]}" apt-get update -q >&2
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -q --no-install-recommends "${packages[@]}" >&2
fi

if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
  echo "Please install Node.js 20 or newer with npm, then run this again." >&2
  exit 1
fi
# The independent witness that ours is tried against.
if ! command -v litewitness >/dev/null && [ ! -x "$(go env GOPATH)/bin/litewitness" ]; then
  GOBIN="$(go env GOPATH)/bin" go install filippo.io/torchwood/cmd/litewitness@v0.6.1 >&2
fi
make -s node
