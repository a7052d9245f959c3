#!/bin/sh
# Plays the command line of a router for the examples: `show`, `configure` and `request` are links to this file, found by the PATH
# of the SSH server. What the router knows is in files below $HOME/router; a test puts there what it wants the router to be like.
set -u
state=$HOME/router
mkdir -p "$state"

refuse() { echo "% $1" >&2; exit "${2:-1}"; }
fact() { cat "$state/$1" 2>/dev/null || printf '%s' "$2"; }
count() { number=$(($(fact "$1" 0) + 1)); printf '%s' "$number" >"$state/$1"; echo "$number"; }

cut_the_session() {
    process=$PPID
    until case $(cat "/proc/$process/comm") in sshd*) true ;; *) false ;; esac; do
        process=$(awk '/^PPid:/ { print $2 }' "/proc/$process/status")
    done
    kill -KILL "$process"
}

show() {
    case "$*" in
    version)
        left=$(fact busy 0)
        if [ "$left" -gt 0 ]; then
            printf '%s' $((left - 1)) >"$state/busy"
            refuse "the software is being activated"
        fi
        echo "Test Router Software, Version $(fact version 17.9.4)"
        ;;
    activations) fact activations 0 ;;
    running-config) fact config "" ;;
    health)
        down=$(fact config "" | grep -c shutdown)
        printf 'interfaces up: %s\nsessions: 2\n' "$((4 - down))"
        ;;
    "registration active")
        if [ "$(count asked)" -ge "$(fact cell-up-at 1)" ]; then echo "cell 4711 ACTIVE"; else echo "cell 4711 SEARCHING"; fi
        ;;
    inventory) printf 'SLOT  PART      SERIAL\n0     RSP-480   SN1001\n1     LC-24X10  SN1002\n2     PSU-AC    -\n' ;;
    "bgp summary")
        [ "$(count bgp-asked)" -gt "$(fact bgp-failures 0)" ] || refuse "the routing process does not answer"
        printf '192.0.2.9   Established\n192.0.2.13  Established\n'
        ;;
    licence) echo "licence: $(fact licence missing)" ;;
    "ntp status") echo "clock is synchronised to 192.0.2.123" ;;
    reloads) fact reloads 0 ;;
    *) refuse "Invalid input: show $*" ;;
    esac
}

configure() {
    line=$(cat)
    case "$*" in
    set) printf '%s\n' "$line" >>"$state/config" ;;
    delete)
        grep -vxF -- "$line" "$state/config" >"$state/config.new"
        mv "$state/config.new" "$state/config"
        ;;
    *) refuse "Invalid input: configure $*" ;;
    esac
}

request() {
    case "$*" in
    "cell unlock" | "cell lock") printf '%s' "$2" >"$state/cell" ;;
    "account check backup") [ "$(cat)" = "$(fact account none)" ] || refuse "wrong password" ;;
    "account set backup")
        password=$(cat)
        [ "${#password}" -ge 8 ] || refuse "the password is shorter than 8 characters"
        printf '%s' "$password" >"$state/account"
        ;;
    "licence activate")
        [ "$(fact licence-server down)" = up ] || refuse "the licence server cannot be reached" 3
        printf active >"$state/licence"
        ;;
    "software activate")
        version=$(cat)
        if [ "$(fact cut-before no)" = yes ]; then
            printf no >"$state/cut-before"
            cut_the_session
            exit 1
        fi
        count activations >/dev/null
        printf '%s' "$version" >"$state/version"
        [ "$(fact cut-after no)" = no ] || { printf '%s' "$(fact busy-after 0)" >"$state/busy"; cut_the_session; }
        ;;
    "card reload")
        count reloads >/dev/null
        cut_the_session
        ;;
    *) refuse "Invalid input: request $*" ;;
    esac
}

program=$(basename "$0")
"$program" "$@"
