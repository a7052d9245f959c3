#!/usr/bin/env bash
# Installs the real servers that the tests talk to, OpenSSH's, and curl, which the README uses. As root on Debian and its kin it installs what is missing,
# starts nothing and leaves nothing that would start by itself; elsewhere it says what to install and goes on.
set -euo pipefail
policy=/usr/sbin/policy-rc.d

has_sshd() { [ -x /usr/sbin/sshd ] || command -v sshd >/dev/null; }

advise() { echo "The tests of SSH steps need OpenSSH's server (sshd), which $1. Debian and Ubuntu: apt-get install openssh-server" >&2; }

install_package() { DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$1" </dev/null >"$log" 2>&1; }

install_sshd() {
    log=$(mktemp)
    if [ ! -e "$policy" ]; then
        # Debian's own way to say that a package which is installed now must not start its service.
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
        trap 'rm -f "$policy"' EXIT
    fi
    if ! install_package openssh-server; then
        apt-get update -qq </dev/null >"$log" 2>&1 || true
        install_package openssh-server || { tail -n 5 "$log" >&2; return 1; }
    fi
    if command -v systemctl >/dev/null; then
        systemctl disable ssh.service ssh.socket >/dev/null 2>&1 || true
    fi
    rm -f "$log"
}

if ! has_sshd; then
    if [ "$(id -u)" -ne 0 ]; then
        advise "is missing, and only root can install it"
    elif ! command -v apt-get >/dev/null; then
        advise "is missing, and this machine has no apt-get"
    else
        install_sshd || advise "could not be installed"
    fi
fi
if ! command -v curl >/dev/null; then
    log=$(mktemp)
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null || ! { install_package curl || { apt-get update -qq </dev/null >"$log" 2>&1 && install_package curl; }; }; then
        echo "The test of the README needs curl, which is missing. Debian and Ubuntu: apt-get install curl" >&2
    fi
    rm -f "$log"
fi
if [ "$(id -u)" -eq 0 ] && has_sshd; then
    mkdir -p -m 0755 /run/sshd
fi
