#!/bin/sh
# usage: probe.sh live | ready
#
# live: the node answers something. ready: it has loaded its data, and is a master or has its link to the master up, so that
# the next node may be restarted. The variables are those of start.sh; CLI is redis-cli or valkey-cli.

set -eu
what=$1

set -- -p "$PORT"
if [ -n "${TLS_DIR:-}" ]; then
    set -- "$@" --tls --cacert "$TLS_DIR/ca.crt" --cert "$TLS_DIR/tls.crt" --key "$TLS_DIR/tls.key"
fi
if [ -n "${PASSWORD_FILE:-}" ]; then
    REDISCLI_AUTH=$(cat "$PASSWORD_FILE")
    export REDISCLI_AUTH
fi

if [ "$what" = live ]; then
    [ -n "$("$CLI" "$@" ping)" ]
    exit
fi
told=$("$CLI" "$@" info)
case $told in *loading:1*) exit 1 ;; esac
case $told in *role:master* | *master_link_status:up*) exit 0 ;; esac
exit 1
