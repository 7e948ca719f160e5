#!/bin/sh
# funai-forge-seed REPOSITORY OWNER: make a bare repository of what git fast-import reads from standard input.
# It appears whole or not at all, and one that is there is never touched.
set -eu
umask 022

repository=$1
owner=$2
[ ! -e "$repository" ] || exit 0

# Beside its place, so that it can be moved there at once; nothing serves names that begin with a dot.
draft=$(mktemp -d "${repository%/*}/.seed.XXXXXX")
trap 'rm -rf "$draft"' EXIT

git init --quiet --bare --initial-branch=main "$draft"
git --git-dir="$draft" fast-import --quiet
chmod 0755 "$draft"
chown -R "$owner:" "$draft"
mv -T -n "$draft" "$repository"
