#!/bin/sh
# Starts a data node as what the Sentinels say that it is: as the master, or as a replica of the master.
#
# MASTER_NAME       the master's name at the Sentinels
# SENTINEL_ADDRS    all Sentinels, host:port,...   (and SENTINEL_PASSWORD)
# HOST, PORT        where others reach this node
# SENTINEL, SERVER  the program `sentinel`, and that of the data node
# BASE, CONFIG      the configuration that is given (read-only), and the one that is written and started with
# DATA              where the data are
# PASSWORD_FILE     the password of the data nodes; empty: none
# TLS_DIR           tls.crt, tls.key and ca.crt; empty: no TLS
# EMPTY_SECONDS     how long a master that comes back without its data waits to be replaced

set -eu
trap 'exit 143' TERM INT

# None of these lines holds a secret.
say() { printf '%s %s\n' "$(date -u +%FT%TZ)" "$*"; }

set -- --timeout 1000 --format tsv
if [ -n "${TLS_DIR:-}" ]; then
    set -- "$@" --tls --cacert "$TLS_DIR/ca.crt" --cert "$TLS_DIR/tls.crt" --key "$TLS_DIR/tls.key"
fi

sentinels() { printf '%s\n' "$SENTINEL_ADDRS" | tr , '\n'; }

# The address that most Sentinels tell: "COUNT HOST PORT", or nothing.
most() {
    sentinels | while read -r address; do
        "$SENTINEL" get-master-addr-by-name "$MASTER_NAME" -s "$address" "$@" 2>/dev/null || true
    done | sort | uniq -c | sort -rn | head -n 1
}

# Sets `master` and `at` to what a majority of all Sentinels tells. One alone may have been away for long. Without a
# majority nothing is started: a node that guesses may become a second master.
ask() {
    needed=$(($(sentinels | wc -l) / 2 + 1))
    while :; do
        count=0 master='' at=''
        read -r count master at <<EOF
$(most "$@")
EOF
        [ "${count:-0}" -lt "$needed" ] || return 0
        say "waiting: $needed Sentinels have to name the same master, ${count:-0} do"
        sleep 1 &
        wait $!
    done
}

is_empty() { [ -z "$(find "$DATA" -mindepth 1 ! -name lost+found ! -name '.*' 2>/dev/null | head -n 1)" ]; }
has_replicas() { [ -n "$("$SENTINEL" replicas "$MASTER_NAME" "$@" 2>/dev/null | tail -n +2)" ]; }

ask "$@"
# Its replicas would throw their data away to be like it. Where they are alive one of them is promoted soon.
waited=0
while [ "$master" = "$HOST" ] && is_empty && has_replicas "$@" && [ "$waited" -lt "${EMPTY_SECONDS:-60}" ]; do
    say "waiting: this node is the master and has no data, others may have them"
    sleep 2 &
    wait $!
    waited=$((waited + 2))
    ask "$@"
done

umask 077
{
    cat "$BASE"
    echo
    if [ -n "${TLS_DIR:-}" ]; then
        echo "port 0"
        echo "tls-port $PORT"
        echo "tls-cert-file $TLS_DIR/tls.crt"
        echo "tls-key-file $TLS_DIR/tls.key"
        echo "tls-ca-cert-file $TLS_DIR/ca.crt"
        echo "tls-auth-clients ${TLS_AUTH_CLIENTS:-optional}"
        echo "tls-replication yes"
    else
        echo "port $PORT"
    fi
    echo "dir $DATA"
    # Its name stays, its address does not.
    echo "replica-announce-ip $HOST"
    echo "replica-announce-port $PORT"
    if [ -n "${PASSWORD_FILE:-}" ]; then
        password=$(sed 's/[\\"]/\\&/g' "$PASSWORD_FILE")
        echo "requirepass \"$password\""
        echo "masterauth \"$password\""
    else
        echo "protected-mode no"
    fi
    if [ "$master" != "$HOST" ] || [ "$at" != "$PORT" ]; then
        echo "replicaof $master $at"
    fi
} >"$CONFIG"

if [ "$master" = "$HOST" ] && [ "$at" = "$PORT" ]; then
    say "starting as the master"
else
    say "starting as a replica of $master:$at"
fi
exec "$SERVER" "$CONFIG"
