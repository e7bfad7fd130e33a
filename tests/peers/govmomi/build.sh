#!/bin/sh
# Builds a client of the govmomi library from Debian's packages
# golang-go and golang-github-vmware-govmomi-dev alone:  build.sh OUTPUT
set -eu
out=$(realpath -m "${1:-govmomi-client}")
cd "$(dirname "$0")"
GOPATH=/usr/share/gocode GO111MODULE=off GOFLAGS= CGO_ENABLED="${CGO_ENABLED:-0}" GOPROXY=off exec go build -o "$out" .
