#!/usr/bin/env bash
# Installs the real servers that the tests talk to, OpenSSH's, OpenLDAP's and yuma123's, and curl, which the README uses. As root on Debian and its kin it installs what
# is missing, starts nothing and leaves nothing that would start by itself; elsewhere it says what to install and goes on.
set -euo pipefail
policy=/usr/sbin/policy-rc.d

has() { [ -x "/usr/sbin/$1" ] || command -v "$1" >/dev/null; }

install_package() { DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$1" </dev/null >"$log" 2>&1; }

# install PACKAGE SERVICE...
install() {
    log=$(mktemp)
    if [ ! -e "$policy" ]; then
        # Debian's own way to say that a package which is installed now must not start its service.
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
        trap 'rm -f "$policy"' EXIT
    fi
    if ! install_package "$1"; then
        apt-get update -qq </dev/null >"$log" 2>&1 || true
        install_package "$1" || { tail -n 5 "$log" >&2; return 1; }
    fi
    if command -v systemctl >/dev/null; then
        systemctl disable "${@:2}" >/dev/null 2>&1 || true
    fi
    rm -f "$log"
}

# provide PROGRAM WHOSE PACKAGE SERVICE...
provide() {
    has "$1" && return
    if [ "$(id -u)" -ne 0 ]; then
        why="is missing, and only root can install it"
    elif ! command -v apt-get >/dev/null; then
        why="is missing, and this machine has no apt-get"
    elif install "${@:3}"; then
        return
    else
        why="could not be installed"
    fi
    echo "$2 ($1), which $why. Debian and Ubuntu: apt-get install $3" >&2
}

provide sshd "The tests of SSH steps need OpenSSH's server" openssh-server ssh.service ssh.socket
provide slapd "The tests of logins by a directory need OpenLDAP's server" slapd slapd.service
provide netconfd "The tests of NETCONF steps need yuma123's server" netconfd netconfd.service
provide curl "The test of the README needs curl" curl
if [ "$(id -u)" -eq 0 ] && has sshd; then
    mkdir -p -m 0755 /run/sshd
fi
