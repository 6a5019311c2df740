#!/usr/bin/env bash
# Prints the address of the current master, as host:port, asking one Sentinel after the other.
# REDIS_CLI names another client than redis-cli, such as valkey-cli.
#
# usage: master-address.sh MASTER-NAME [SENTINEL-HOST:PORT ...]
# example: redis-cli -u "redis://$(examples/master-address.sh mymaster 10.0.0.1:26379 10.0.0.2:26379)" SET key value

set -euo pipefail

if [[ $# -lt 1 ]]; then
    echo "usage: ${0##*/} MASTER-NAME [SENTINEL-HOST:PORT ...]" >&2
    exit 2
fi
name=$1
shift
[[ $# -gt 0 ]] || set -- 127.0.0.1:26379

for sentinel in "$@"; do
    # A Sentinel that hangs must not hang this script. Two lines come back: host and port.
    mapfile -t address < <(
        timeout 2 "${REDIS_CLI:-redis-cli}" -h "${sentinel%:*}" -p "${sentinel##*:}" \
            SENTINEL get-master-addr-by-name "$name" 2>/dev/null
    )
    if [[ ${#address[@]} -eq 2 && ${address[1]} =~ ^[0-9]+$ ]]; then
        printf '%s:%s\n' "${address[0]}" "${address[1]}"
        exit 0
    fi
done
echo "no Sentinel of ($*) knows the master $name" >&2
exit 1
