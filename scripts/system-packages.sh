#!/bin/sh
# Programs outside Python that the tests use. As root with apt they are installed; elsewhere they are named, and the
# tests that need them are skipped (in CI a missing one is a failure).
set -eu

need() { # command or file, package
    case "$1" in
        /*) [ -e "$1" ] && return 0 ;;
        *) command -v "$1" >/dev/null 2>&1 && return 0 ;;
    esac
    packages="$packages $2"
}

packages=""
PATH="$PATH:/usr/sbin:/sbin"
need Xvfb xvfb
need xdotool xdotool
need openbox openbox
need fping fping
need ip iproute2
need fc-list fontconfig
[ -d /usr/share/fonts/truetype/dejavu ] || packages="$packages fonts-dejavu-core"
need go golang-go
need /usr/share/gocode/src/github.com/vmware/govmomi/simulator golang-github-vmware-govmomi-dev
[ -n "$packages" ] || exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing for the tests:$packages"
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086
    if ! apt-get install -qqy --no-install-recommends $packages </dev/null >/dev/null 2>&1; then
        apt-get update -qq </dev/null || true
        # shellcheck disable=SC2086
        apt-get install -qqy --no-install-recommends $packages </dev/null >/dev/null && exit 0
    else
        exit 0
    fi
fi
echo "Not installed:$packages" >&2
if [ -n "${CI:-}" ]; then
    exit 1
fi
echo "The tests that need them are skipped." >&2
