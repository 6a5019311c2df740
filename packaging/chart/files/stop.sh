#!/bin/sh
# Before a data node is stopped: if it is the master, it hands over to a replica without losing a write. It does nothing on
# a replica. The variables are those of start.sh; SWITCHOVER_SECONDS is how long it is tried.

set -eu
# The log of the container.
if [ -w /proc/1/fd/1 ] && [ -z "${LOG:-}" ]; then LOG=/proc/1/fd/1; fi
exec >>"${LOG:-/dev/null}" 2>&1

set -- --timeout 2000
if [ -n "${TLS_DIR:-}" ]; then
    set -- "$@" --tls --cacert "$TLS_DIR/ca.crt" --cert "$TLS_DIR/tls.crt" --key "$TLS_DIR/tls.key"
fi

end=$(($(date +%s) + ${SWITCHOVER_SECONDS:-60}))
# It is refused while no replica is ready for it, such as one that was started a moment ago.
until "$SENTINEL" switchover "$MASTER_NAME" --if-master "$HOST:$PORT" --wait --wait-for 30 --reason "$HOST is stopped" "$@"; do
    if [ "$(date +%s)" -ge "$end" ]; then
        echo "no replica took over; the Sentinels replace this master once it is gone"
        exit 1
    fi
    sleep 1
done
