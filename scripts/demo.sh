#!/bin/sh
# Open the console on the built-in lab. $1: the folder of the virtual environment's programs.
set -eu
bin=$1

if [ "$(uname)" = Linux ] && [ -z "${DISPLAY:-}" ] && [ -z "${WAYLAND_DISPLAY:-}" ]; then
    cat >&2 <<TEXT
There is no screen here (DISPLAY is not set), so the window can't be opened. Without a screen you can
    $bin/hvconsole lab                              run the lab and work it from the command line
    xvfb-run -s "-screen 0 1600x1000x24" make demo  open the window on a virtual screen
TEXT
    exit 1
fi
exec "$bin/hvconsole" --demo
