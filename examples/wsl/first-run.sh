#!/bin/sh
# Runs as root before the first shell. That shell belongs to the user with the number 1000, who is made here.
set -u

if getent passwd 1000 >/dev/null; then
    exit 0
fi

echo "Whom shall shells belong to? It need not be the name that you have in Windows."
while :; do
    printf 'User name: '
    read -r name || exit 1
    if adduser --uid 1000 --gecos '' "$name"; then
        adduser --quiet "$name" sudo && exit 0
        deluser --quiet "$name"
    fi
done
