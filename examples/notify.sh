#!/usr/bin/env bash
# A notification script: called with the name and the text of every warning event of a master.
#
#   sentinel notification-script mymaster /etc/sentinel/notify.sh
#
# Exit code 0: done. 1: try again later, up to ten times. 2 or more: do not try again. It is killed after 60 s. Several may
# run at once, so they may end in another order than the events came.

set -euo pipefail

event=${1:?the name of the event}
text=${2:?the text of the event}

case $event in
    +switch-master)
        # name, old address and port, new address and port
        read -r name _ _ host port <<<"$text"
        message="the master of $name is now $host:$port"
        priority=user.notice
        ;;
    +odown | -failover-abort-*)
        message="$event $text"
        priority=user.err
        ;;
    *)
        message="$event $text"
        priority=user.info
        ;;
esac

logger --tag sentinel --priority "$priority" -- "$message" || exit 1
