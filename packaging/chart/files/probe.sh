#!/bin/sh
# usage: probe.sh live | ready
#
# live: the node answers something. ready: it has loaded its data, has its link to the master up if it is a replica, and every
# Sentinel that answers (one at least) knows it as that, at the address that it has now. So the next node may be restarted:
# a replica that is not seen yet is not told whom to follow when the master hands over.
#
# The variables are those of start.sh; CLI is redis-cli or valkey-cli.

set -eu
what=$1

set --
if [ -n "${TLS_DIR:-}" ]; then
    set -- --tls --cacert "$TLS_DIR/ca.crt" --cert "$TLS_DIR/tls.crt" --key "$TLS_DIR/tls.key"
fi

# The password is that of the data nodes, and is kept from the program that asks the Sentinels.
node() {
    if [ -n "${PASSWORD_FILE:-}" ]; then
        REDISCLI_AUTH=$(cat "$PASSWORD_FILE") "$CLI" -p "$PORT" "$@"
    else
        "$CLI" -p "$PORT" "$@"
    fi
}

if [ "$what" = live ]; then
    [ -n "$(node "$@" ping)" ]
    exit
fi

told=$(node "$@" info)
case $told in *loading:1*) exit 1 ;; esac
tab=$(printf '\t')
case $told in
*role:master*)
    question=get-master-addr-by-name
    answer="$HOST$tab$PORT"
    ;;
*master_link_status:up*)
    question=replicas
    answer="$HOST$tab$PORT${tab}slave${tab}ok"
    ;;
*) exit 1 ;;
esac

answered=no
for address in $(printf '%s\n' "$SENTINEL_ADDRS" | tr , ' '); do
    known=$("$SENTINEL" "$question" "$MASTER_NAME" -s "$address" --timeout 1000 --format tsv "$@" 2>/dev/null) || continue
    answered=yes
    case $known in *"$answer"*) ;; *) exit 1 ;; esac
done
[ "$answered" = yes ]
