#!/bin/sh
# Makes .venv with the command .venv/bin/rewatch, from nothing but a shell. Safe to repeat.
# PYTHON= chooses the interpreter; without one, and as root on Debian, the packages are installed.
set -eu
cd "$(dirname "$0")/.."

usable() {
    command -v "$1" >/dev/null 2>&1 &&
        "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
    for candidate in ${PYTHON:-python3.11 python3 /usr/bin/python3}; do
        if usable "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    return 1
}

if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    if ! python=$(find_python); then
        packages="python3 python3-venv"
        if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
            apt-get -qq update
            # shellcheck disable=SC2086 - two packages
            DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $packages >/dev/null
        fi
        if ! python=$(find_python); then
            echo "Python 3.11 or later with its venv module is missing; run" >&2
            echo "  sudo apt-get update && sudo apt-get install -y $packages" >&2
            exit 1
        fi
    fi
    "$python" -m venv --clear .venv
fi

wanted=$(cat requirements/dev.txt pyproject.toml | cksum)
if [ "$(cat .venv/installed 2>/dev/null || true)" != "$wanted" ]; then
    # most modules are never imported: what is, is compiled then
    .venv/bin/python -m pip install --quiet --no-input --no-compile --require-hashes -r requirements/dev.txt
    # compat mode puts the checkout itself on the path, so that new folders are found without installing again
    .venv/bin/python -m pip install --quiet --no-input --no-deps --config-settings editable_mode=compat -e .
    echo "$wanted" >.venv/installed
fi
