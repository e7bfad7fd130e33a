#!/bin/sh
# Print the path of a Python >= 3.11 with Tk and venv. Tries $1 first, if given; then what is installed.
# Where the system's package manager may be used (root, apt) it installs what is missing; elsewhere it names the
# one package that is.
set -eu

usable() {
    "$1" -c 'import sys, ssl, sqlite3, venv, ensurepip, tkinter; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

recent() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

search() {
    for name in ${1:+"$1"} python3 python3.13 python3.12 python3.11 python3.14 python \
        /usr/bin/python3 /usr/bin/python3.13 /usr/bin/python3.12 /usr/bin/python3.11 \
        "$HOME"/.pyenv/versions/3.1[1-9]*/bin/python3; do
        path=$(command -v "$name" 2>/dev/null) || continue
        if usable "$path"; then
            echo "$path"
            return 0
        fi
    done
    return 1
}

if search "${1:-}"; then
    exit 0
fi

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing Python with Tk (python3 python3-tk python3-venv) …" >&2
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update -q && apt-get install -qy --no-install-recommends python3 python3-tk python3-venv; } >&2 </dev/null || true
    if search "${1:-}"; then
        exit 0
    fi
fi

found=""
for name in ${1:+"$1"} python3 python3.13 python3.12 python3.11; do
    if command -v "$name" >/dev/null 2>&1 && recent "$name"; then
        found=$name
        break
    fi
done

ids=""
if [ -r /etc/os-release ]; then
    # shellcheck disable=SC1091
    ids=$(. /etc/os-release && echo " ${ID:-} ${ID_LIKE:-} ")
fi
if [ -z "$found" ]; then
    echo "hvconsole needs Python 3.11 or newer; install it and try again." >&2
    exit 1
fi
missing=""
for module in venv ensurepip tkinter ssl sqlite3; do
    "$found" -c "import $module" >/dev/null 2>&1 || missing="$missing $module"
done
case "$missing" in
    *tkinter*) what="Tk for Python" tk=" python3-tk" ;;
    *) what="Python's module$missing" tk="" ;;
esac
case "$missing" in
    *venv*|*ensurepip*) tk="$tk python3-venv" ;;
esac
case "$missing:$ids" in
    *:*debian*|*:*ubuntu*) how="sudo apt install$tk" ;;
    *:*fedora*|*:*rhel*) how="sudo dnf install python3-tkinter" ;;
    *:*suse*) how="sudo zypper install python3-tk" ;;
    *:*arch*) how="sudo pacman -S tk" ;;
    *:*alpine*) how="sudo apk add python3-tkinter" ;;
    *) if [ "$(uname)" = Darwin ]; then how="brew install python-tk"; else how="install the package python3-tk"; fi ;;
esac
echo "$what is missing for $(command -v "$found"). Install it and try again:" >&2
echo "    $how" >&2
exit 1
