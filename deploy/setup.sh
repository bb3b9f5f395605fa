# Sourced by up, down and test: a Python of 3.11 or later, .venv with exactly deploy/requirements.txt, and gris in it.
# What this machine lacks is installed (Debian and its kin, as root) or named with the command that brings it.
# shellcheck shell=bash

checkout="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
venv="$checkout/.venv"
enough='import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2])'

say() { printf '%s\n' "$*" >&2; }
fail() { say "$@"; exit 1; }

# Print the first Python that is new enough and can make virtual environments.
find_python() {
    local name
    for name in "${GRIS_PYTHON:-}" python3.11 python3.12 python3.13 python3 python; do
        if [ -n "$name" ] && command -v "$name" >/dev/null 2>&1 && "$name" -c "$enough" >/dev/null 2>&1; then
            command -v "$name"
            return 0
        fi
    done
    return 1
}

# A Java that runs Kafka 4: 17 or later, of JAVA_HOME when set.
java_is_there() {
    local java="java" version
    [ -n "${JAVA_HOME:-}" ] && java="$JAVA_HOME/bin/java"
    command -v "$java" >/dev/null 2>&1 || return 1
    version="$("$java" -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -n 1)"
    [ "${version:-0}" -ge 17 ]
}

can_install() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; }

# Install the first of the named packages that this Debian has (or the several named in one argument).
install_first() {
    local wanted name
    if [ -z "${package_lists_are_new:-}" ]; then
        apt-get update -qq >&2 || fail "apt-get update failed: check this machine's package sources."
        package_lists_are_new=yes
    fi
    for wanted in "$@"; do
        for name in $wanted; do
            # `show` also knows names that no source offers; a candidate is what can be installed.
            case "$(apt-cache policy "$name")" in
                *"Candidate: (none)"* | "") continue 2 ;;
            esac
        done
        say "Installing $wanted …"
        # shellcheck disable=SC2086  # several packages in one argument
        DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $wanted >/dev/null ||
            fail "apt-get install $wanted failed: run it by hand to see why."
        return 0
    done
    return 1
}

need_python() {
    if ! python="$(find_python)" && can_install; then
        install_first "python3 python3-venv" || true
        find_python >/dev/null || install_first "python3.13 python3.13-venv" "python3.12 python3.12-venv" \
            "python3.11 python3.11-venv" || true
    fi
    python="$(find_python)" || fail "Python 3.11 or later with its venv module is missing. Install it (Debian, Ubuntu:" \
        "apt-get install python3 python3-venv; Fedora: dnf install python3; macOS: brew install python@3.13)" \
        "or name one in GRIS_PYTHON."
}

# The broker runs on Java; Maven fetches its jars once. Neither is needed when the broker is somebody else's.
need_java() {
    case "${GRIS_KAFKA:-127.0.0.1:9092}" in
        127.0.0.1:* | localhost:*) ;;
        *) return 0 ;;
    esac
    if ! java_is_there; then
        if ! can_install || ! install_first openjdk-17-jre-headless openjdk-21-jre-headless default-jre-headless; then
            fail "Java 17 or later is missing (the local Kafka runs on it). Install it (Debian, Ubuntu: apt-get install" \
                "openjdk-17-jre-headless; Fedora: dnf install java-21-openjdk-headless; macOS: brew install openjdk@17)" \
                "or set JAVA_HOME."
        fi
        java_is_there || fail "The Java found is older than 17: set JAVA_HOME to a later one."
    fi
    if ! command -v mvn >/dev/null 2>&1; then
        if ! can_install || ! install_first maven; then
            fail "Maven is missing (it fetches the local Kafka). Install it (Debian, Ubuntu: apt-get install maven;" \
                "Fedora: dnf install maven; macOS: brew install maven)."
        fi
    fi
}

# One client that the tests try is Node's.
need_node() {
    if ! command -v npm >/dev/null 2>&1 && { ! can_install || ! install_first "nodejs npm"; }; then
        fail "Node.js 18 or later with npm is missing (the tests try its Kafka client). Install it (Debian, Ubuntu:" \
            "apt-get install nodejs npm; Fedora: dnf install nodejs; macOS: brew install node)."
    fi
}

# The browser tests drive this machine's own Chromium, never one that a library brings. Named in GRIS_CHROMIUM.
need_chromium() {
    local name
    for name in "${GRIS_CHROMIUM:-}" chromium chromium-browser google-chrome-stable google-chrome \
        "/Applications/Chromium.app/Contents/MacOS/Chromium" \
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"; do
        if [ -n "$name" ] && "$name" --version >/dev/null 2>&1; then
            GRIS_CHROMIUM="$(command -v "$name")"
            export GRIS_CHROMIUM
            return 0
        fi
    done
    if [ -n "${installed_chromium:-}" ] || ! can_install || ! install_first "chromium fonts-dejavu-core" chromium; then
        fail "Chromium is missing (the browser tests run in it). Install it (Debian: apt-get install chromium" \
            "fonts-dejavu-core; Ubuntu: snap install chromium; Fedora: dnf install chromium; macOS: brew install --cask" \
            "chromium) or name one in GRIS_CHROMIUM."
    fi
    installed_chromium=yes
    need_chromium
}

# Make .venv and fill it, when it is not there or not what requirements.txt and pyproject.toml say.
need_venv() {
    local stamp="$venv/gris-setup" wanted
    wanted="$checkout $(cat "$checkout/deploy/requirements.txt" "$checkout/pyproject.toml" | cksum)"
    if [ -x "$venv/bin/gris" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && "$venv/bin/python" -c "$enough"; then
        return 0
    fi
    need_python
    if ! "$venv/bin/python" -c "$enough" >/dev/null 2>&1 || ! "$venv/bin/python" -m pip --version >/dev/null 2>&1 ||
        ! grep -qF "$venv/bin/" "$venv/bin/pip"; then
        # Not there, cut short, or of a checkout that was moved: its scripts name the old place.
        "$python" -m venv --clear "$venv" || fail "$python cannot make a virtual environment in $venv."
    fi
    say "Installing the Python packages into .venv (about a minute, only when they change) …"
    "$venv/bin/python" -m pip install -q --disable-pip-version-check --no-input --no-compile --no-deps --require-hashes \
        -r "$checkout/deploy/requirements.txt" || fail "The Python packages could not be installed: see above."
    "$venv/bin/python" -m pip install -q --disable-pip-version-check --no-input --no-deps --no-build-isolation \
        --editable "$checkout" || fail "The project itself could not be installed into .venv: see above."
    printf '%s\n' "$wanted" >"$stamp"
}
