#!/usr/bin/env bash
# A client reconfiguration script: writes the address of the master to a file that a proxy or an application reads.
#
#   sentinel client-reconfig-script mymaster /etc/sentinel/reconfigure-clients.sh
#
# Arguments: master name, role of this Sentinel (leader or observer), state, old address and port, new address and port.
# It is called on every Sentinel, so it must do no harm when it runs more than once.

set -euo pipefail

if [[ $# -ne 7 ]]; then
    echo "usage: ${0##*/} NAME ROLE STATE FROM-HOST FROM-PORT TO-HOST TO-PORT" >&2
    exit 2
fi
name=$1
host=$6
port=$7
folder=${MASTER_FOLDER:-/run/sentinel}

# Written aside and moved, so that a reader sees the old address or the new one, never a part.
new=$(mktemp "$folder/.$name.XXXXXX") || exit 1
trap 'rm -f "$new"' EXIT
printf '%s %s\n' "$host" "$port" >"$new"
chmod 644 "$new"
mv "$new" "$folder/$name.master"
